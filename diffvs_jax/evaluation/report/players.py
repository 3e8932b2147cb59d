"""The worst and the best seconds, to be heard and seen: sounds and pictures are part of the page."""

import base64
import dataclasses
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.audio.encoding import FORMATS, Encoder
from diffvs_jax.evaluation.records import Excerpt
from diffvs_jax.evaluation.report.markup import Html, duration, element, number
from diffvs_jax.evaluation.report.scores import Scores
from diffvs_jax.evaluation.spectrogram import RANGE_DB, decibels, mel_places

SIGNALS = ("mixture", "estimate", "truth")
_SHOWN = 10  # of the worst, and of the best
# About 140 kb/s at 44.1 kHz: a page of twenty excerpts stays below ten megabytes.
_MP3 = dataclasses.replace(FORMATS["mp3"], quality={"compression_level": 0.6, "bitrate_mode": "CONSTANT"})
_MP3_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
_JPEG_QUALITY = 80
_MARKED_HZ = (500, 2000, 8000)


class Heard(NamedTuple):
    """An excerpt and the track it is from."""

    track: str
    excerpt: Excerpt


def extremes(scores: Scores) -> tuple[list[Heard], list[Heard]]:
    """The worst and the best excerpts of the first run, the most extreme first, no second in both.

    Excerpts whose sounds are not there, or which have no score, are left out.
    """
    heard = [
        Heard(track, excerpt)
        for track, record in scores.first_run.items()
        for excerpt in record.excerpts
        if not np.isnan(excerpt.sdr)
        and all((scores.folder / excerpt.files.get(name, "")).is_file() for name in SIGNALS)
    ]
    heard.sort(key=lambda one: one.excerpt.sdr)
    worst = heard[: min(_SHOWN, (len(heard) + 1) // 2)]
    best = heard[::-1][: min(_SHOWN, len(heard) // 2)]
    return worst, best


def players(scores: Scores, heard: Sequence[Heard], anchors: Mapping[str, str]) -> Html:
    """Mixture, estimate and truth of each excerpt, side by side."""
    return element("div", *(_card(scores.folder, one, anchors[one.track]) for one in heard), class_="excerpts")


def _card(folder: Path, heard: Heard, anchor: str) -> Html:
    excerpt = heard.excerpt
    loaded = {name: files.load(folder / excerpt.files[name]) for name in SIGNALS}
    rate = loaded[SIGNALS[0]][1]
    signals = {name: files.resample(audio, own_rate, rate) for name, (audio, own_rate) in loaded.items()}
    pictures = decibels(list(signals.values()), rate)
    heading = element("h4", element("a", heard.track, href=f"#{anchor}"))
    told = f"SDR {number(excerpt.sdr)} dB in the second from {duration(excerpt.second)}"
    begin = excerpt.second - excerpt.start
    columns = [
        _player(name, audio, rate, picture, begin)
        for (name, audio), picture in zip(signals.items(), pictures, strict=True)
    ]
    return element("article", heading, element("p", told, class_="note"), element("div", *columns, class_="players"))


def _player(name: str, audio: np.ndarray, rate: int, picture: np.ndarray, begin: float) -> Html:
    """One signal: its spectrogram, in which the scored second is marked, above the player."""
    seconds = len(audio) / rate
    left, width = 100 * begin / seconds, 100 / seconds
    scored = element("span", class_="scored", style=f"left:{left:.2f}%;width:{width:.2f}%")
    image = element("img", src=_jpeg(picture), alt=f"Mel spectrogram of the {name}", decoding="async")
    places = mel_places(_MARKED_HZ, rate)
    pitches = [
        element("span", f"{hz / 1000:g} kHz", class_="pitch", style=f"bottom:{100 * place:.1f}%", aria_hidden="true")
        for hz, place in places.items()
    ]
    sound = element("audio", controls=True, preload="none", src=_mp3(audio, rate), aria_label=name)
    shown = element("div", image, scored, *pitches, element("span", class_="playhead"), class_="spectrogram")
    return element("figure", element("figcaption", name), shown, sound)


def _jpeg(picture: np.ndarray) -> str:
    """A spectrogram in dB, low frequencies below, as a data URI."""
    from matplotlib.image import imsave  # slow to import, and only pictures need it

    content, quality = io.BytesIO(), {"quality": _JPEG_QUALITY}
    imsave(content, picture, vmin=-RANGE_DB, vmax=0, cmap="magma", origin="lower", format="jpeg", pil_kwargs=quality)
    return _data_uri("image/jpeg", content.getvalue())


def _mp3(audio: np.ndarray, rate: int) -> str:
    """A sound ``[samples, channels]`` as a data URI; more than two channels become one."""
    if rate not in _MP3_RATES:
        audio, rate = files.resample(audio, rate, 44_100), 44_100
    if audio.shape[1] > 2:
        audio = files.to_channels(audio, 1)
    with tempfile.TemporaryDirectory(prefix="diffvs-jax-") as folder:
        encoder = Encoder(Path(folder) / "sound.mp3", _MP3, rate, audio.shape[1], len(audio))
        encoder.write(audio)
        encoder.close()
        return _data_uri("audio/mpeg", encoder.path.read_bytes())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
