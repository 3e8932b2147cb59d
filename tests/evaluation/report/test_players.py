import base64
import io

import numpy as np
import pytest
import soundfile
from matplotlib import image

from diffvs_jax.evaluation.records import load_records
from diffvs_jax.evaluation.report.players import SIGNALS, extremes, players
from diffvs_jax.evaluation.report.scores import load_scores
from tests.evaluation.report.fabricated import ODD_NAMES, RATE, write_scores
from tests.evaluation.report.parsed import parse, read


def content(uri, kind):
    head, _, data = uri.partition(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(data))


def tones(rng, seconds):
    """A low, a middle and a high tone."""
    time = np.arange(round(seconds * RATE)) / RATE
    return [0.3 * np.sin(2 * np.pi * hz * time)[:, None].repeat(2, 1) for hz in (300, 1000, 2500)]


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    folder = write_scores(tmp_path_factory.mktemp("tones"), ["song"], (0,), excerpts=1, sounds=tones)
    scores = load_scores(folder)
    worst, best = extremes(scores)
    return [*worst, *best], list(parse(players(scores, [*worst, *best], {"song": "track-0"})).iter("article"))


def test_worst_and_best_are_of_the_first_run(scores_folder):
    worst, best = extremes(load_scores(scores_folder))
    expected = sorted(e.sdr for r in load_records(scores_folder) if r.run == "seed_0" for e in r.excerpts)
    assert [one.excerpt.sdr for one in worst] == expected[:3]
    assert [one.excerpt.sdr for one in best] == expected[:2:-1]
    assert {one.track for one in worst} <= set(ODD_NAMES[:3])


def test_ten_of_each_at_most(tmp_path):
    folder = write_scores(tmp_path, ["a", "b", "c", "d"], (0,), excerpts=3, sounds=lambda *_: [np.zeros(80)] * 3)
    worst, best = extremes(load_scores(folder))
    assert (len(worst), len(best)) == (10, 10)
    assert worst[-1].excerpt.sdr < best[-1].excerpt.sdr


def test_excerpts_whose_sounds_are_gone_are_left_out(tmp_path):
    folder = write_scores(tmp_path, ["a"], (0,), excerpts=1)
    for path in (folder / "excerpts").rglob("*truth*"):
        path.unlink()
    assert extremes(load_scores(folder)) == ([], [])


def test_what_is_heard_is_the_file(cards):
    for article in cards[1]:
        for audio, hz in zip(article.iter("audio"), (300, 1000, 2500), strict=True):
            heard, rate = soundfile.read(content(audio.get("src"), "audio/mpeg"))
            assert rate == RATE and heard.shape == (3 * RATE, 2)
            spectrum = np.abs(np.fft.rfft(heard[:, 0]))
            assert spectrum.argmax() * rate / len(heard) == pytest.approx(hz, abs=1)
        assert [audio.get("aria-label") for audio in article.iter("audio")] == list(SIGNALS)


def test_what_is_seen_is_what_is_heard(cards):
    rows = []
    for picture in cards[1][0].iter("img"):
        pixels = image.imread(content(picture.get("src"), "image/jpeg"), "jpeg")
        rows.append(pixels.astype(float).mean(axis=(1, 2)).argmax() / len(pixels))
    assert rows[0] > rows[1] + 0.1 > rows[2] + 0.2


def test_the_scored_second_is_marked(cards):
    for one, article in zip(*cards, strict=True):
        marks = [span.get("style") for span in article.iter("span") if span.get("class") == "scored"]
        begin = 100 * (one.excerpt.second - one.excerpt.start) / 3
        assert marks == [f"left:{begin:.2f}%;width:33.33%"] * 3
        assert f"−{-one.excerpt.sdr:.2f} dB" in read(article) or f"{one.excerpt.sdr:.2f} dB" in read(article)


def test_rates_that_mp3_lacks_are_resampled(tmp_path):
    def sounds(rng, seconds):
        return [0.1 * rng.standard_normal((round(seconds * 96_000), 3)) for _ in SIGNALS]

    folder = write_scores(tmp_path, ["a"], (0,), excerpts=1, sounds=sounds, rate=96_000)
    scores = load_scores(folder)
    audio = next(parse(players(scores, extremes(scores)[0], {"a": "x"})).iter("audio"))
    with soundfile.SoundFile(content(audio.get("src"), "audio/mpeg")) as heard:
        assert (heard.samplerate, heard.channels, heard.frames) == (44_100, 1, 3 * 44_100)
