"""How fast training examples come: ``python -m diffvs_jax.data.benchmark --config=configs/base.py``.

The same songs as wav, as flac, as ogg and prepared, read by this package, by a plain loop around
soundfile and, where PyTorch is installed, by its DataLoader with as many workers. All of them draw
the same mix: a random chunk of every stem, remixed over songs, with gain, channel swap and sign flip.
"""

import functools
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from absl import flags
from ml_collections import ConfigDict, config_flags

from diffvs_jax import cli
from diffvs_jax.data.datasets import open_split
from diffvs_jax.data.peers import dataloader_batches, soundfile_batches
from diffvs_jax.data.pipeline import training_batches
from diffvs_jax.data.preparing import Form, folder_names, prepare_track
from diffvs_jax.data.source import open_tracks
from diffvs_jax.data.synthetic import write_corpus
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.table import table

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file; audio and data are used.", lock_config=True)
_WORKERS = flags.DEFINE_multi_integer(
    "num_workers", [0, 2], "Worker processes, 0 for threads of this one; can be given several times.", lower_bound=0
)
_SECONDS = flags.DEFINE_float("seconds", 5.0, "How long each is measured.")
_SONGS = flags.DEFINE_integer("num_songs", 4, "Songs to read from.", lower_bound=1)
_SONG_SECONDS = flags.DEFINE_float("song_seconds", 30.0, "Length of a procedural song.")
_BATCH = 8
flags.mark_flag_as_required("config")

Batches = Iterator[np.ndarray]


def main(arguments: list[str]) -> None:
    """Prints examples per second, per worker, and the ratio to the DataLoader."""
    cli.no_arguments(arguments)
    config = _CONFIG.value
    workers = sorted(set(_WORKERS.value))
    with tempfile.TemporaryDirectory(prefix="diffvs-benchmark-") as folder:
        sources = _write_sources(config, Path(folder))
        rows = [row for name, tracks in sources.items() for row in _measure_source(config, name, tracks, workers)]
    header = ["source", "reader", "workers", "examples/s", "per process", "times DataLoader"]
    cli.say(table(header, rows))
    chunk = _chunk_samples(config) / config.audio.sample_rate
    channels = config.audio.num_channels
    cli.say(
        f"an example: {len(config.data.targets) + 1} rows of {chunk:.2f} s, {channels} channels; batches of {_BATCH}"
    )
    if importlib.util.find_spec("torch") is None:
        cli.say("PyTorch is not installed: no DataLoader to compare with")


def _chunk_samples(config: ConfigDict) -> int:
    return (config.audio.num_frames - 1) * config.audio.hop_length


def _write_sources(config: ConfigDict, folder: Path) -> dict[str, list[Track]]:
    """The same songs as wav (16 bit), flac, ogg, and prepared."""
    audio = config.audio
    if config.data.root:
        wav = _whole_songs(config)
        cli.say(f"songs: {len(wav)} of {config.data.root}")
    else:
        with cli.progress("rendering songs", "song") as progress:
            form = (_SONG_SECONDS.value, audio.sample_rate, audio.num_channels)
            write_corpus(folder / "wav", "train", _SONGS.value, *form, config.data.synthetic.seed, 2, progress)
        wav = open_split(folder / "wav", "train")
        cli.say(f"songs: {len(wav)} procedural ones of {_SONG_SECONDS.value:g} s")
    form32 = Form(tuple(config.data.targets), audio.sample_rate, audio.num_channels, 32)
    for track, name in zip(wav, folder_names(wav), strict=True):
        for stem in track.stems:
            samples, rate = track.load_stem(stem)
            for suffix in ("wav", "flac", "ogg"):
                _encode(folder / suffix / "train" / name / f"{stem}.{suffix}", samples, rate)
        prepare_track(track, folder / "prepared" / "train" / name, form32)
    return {name: open_split(folder / name, "train") for name in ("prepared", "wav", "flac", "ogg")}


def _whole_songs(config: ConfigDict) -> list[Track]:
    """Songs of the config's data sets that hold every row of an example, the first of them."""
    rows = len(config.data.targets) + 1
    form = Form(tuple(config.data.targets), config.audio.sample_rate, config.audio.num_channels, 32)
    least = 2 * _chunk_samples(config) / config.audio.sample_rate
    songs = [
        track
        for track in open_tracks(config, "train", "", log=cli.say)
        if len(form.rows(track)) == rows and track.seconds >= least
    ]
    if not songs:
        raise InputError(f"{config.data.root}: no song of {least:.0f} s or more holds the targets and something else")
    return songs[: _SONGS.value]


def _encode(path: Path, samples: np.ndarray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "VORBIS" if path.suffix == ".ogg" else "PCM_16"
    with soundfile.SoundFile(str(path), "w", rate, samples.shape[1], subtype) as file:
        for start in range(0, len(samples), rate):  # libsndfile's ogg encoder overflows its stack on long blocks
            file.write(samples[start : start + rate])


def _measure_source(config: ConfigDict, name: str, tracks: list[Track], workers: list[int]) -> Iterator[list]:
    """A table row per reader and number of workers."""
    draw = (tracks, tuple(config.data.targets), _BATCH, _chunk_samples(config))
    for count in workers:
        theirs = None
        if importlib.util.find_spec("torch") is not None:
            theirs = _rate(functools.partial(dataloader_batches, *draw, num_workers=count))
            yield [name, "DataLoader", count, theirs, theirs / max(count, 1), 1.0]
        if count == 0:
            plain = _rate(functools.partial(soundfile_batches, *draw))
            yield [name, "soundfile loop", count, plain, plain, plain / theirs if theirs else "–"]
        ours = _rate(functools.partial(_our_batches, config, tracks, count))
        yield [name, "diffvs_jax", count, ours, ours / max(count, 1), ours / theirs if theirs else "–"]


def _our_batches(config: ConfigDict, tracks: list[Track], num_workers: int) -> Batches:
    data = ConfigDict(config.data.to_dict())
    data.num_workers = num_workers
    form = {"sample_rate": config.audio.sample_rate, "num_channels": config.audio.num_channels}
    return training_batches(tracks, data, batch_size=_BATCH, chunk_samples=_chunk_samples(config), seed=0, **form)


def _rate(start: Callable[[], Batches]) -> float:
    """Examples per second of an iterator, after its first batches."""
    batches = start()
    for _ in range(3):
        next(batches)
    begin, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < _SECONDS.value:
        count += len(next(batches))
    getattr(batches, "close", lambda: None)()
    return count / elapsed


if __name__ == "__main__":
    cli.run(main)
