"""Procedural songs on disk, in MUSDB18's layout."""

import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from diffvs_jax.data.processes import run_jobs
from diffvs_jax.data.synthetic.song import check_form, render_song
from diffvs_jax.data.synthetic.soundfont import check_soundfont


def write_corpus(
    root: str | os.PathLike,
    split: str,
    num_songs: int,
    seconds: float,
    sample_rate: int,
    num_channels: int,
    seed: int,
    num_workers: int,
    progress: Callable[[int, int], None] | None = None,
    soundfont: str = "",
) -> None:
    """Writes songs in MUSDB18's layout: ``root/split/NAME/{vocals,drums,bass,other}.wav``.

    A song's folder appears whole or not at all, and those that exist are kept: a run that was cut
    off goes on where it stopped. No two splits share a song. Songs with and without a soundfont have other names.

    Args:
      root: folder of the corpus.
      split: "train", "test" or any other name.
      num_songs: songs in the split.
      seconds: length of each.
      sample_rate: Hz.
      num_channels: 1 or 2.
      seed: of the corpus.
      num_workers: processes; 1 or less renders in this one.
      progress: called with (songs done, songs in all) after each song.
      soundfont: path of a General MIDI .sf2 that plays some instruments; "": none.
    """
    check_form(seconds, sample_rate, num_channels)
    mark = f" sf {Path(soundfont).resolve().stem}" if soundfont else ""
    folder = Path(root) / split
    jobs = []
    for index in range(num_songs):
        song = folder / f"Procedural {split} {seed}-{index:04d}{mark}"
        if not song.is_dir():
            jobs.append((song, _song_seed(seed, split, index), seconds, sample_rate, num_channels, soundfont))
    if jobs:
        check_soundfont(soundfont)
    folder.mkdir(parents=True, exist_ok=True)
    for count, _ in enumerate(run_jobs(_write_song, jobs, num_workers), start=1):
        if progress:
            progress(num_songs - len(jobs) + count, num_songs)


def _song_seed(seed: int, split: str, index: int) -> int:
    """A seed of 128 bits: splits and indices do not meet."""
    words = np.random.SeedSequence((seed, zlib.crc32(split.encode()), index)).generate_state(4)
    return int.from_bytes(words.tobytes(), "little")


def _write_song(folder: Path, seed: int, seconds: float, sample_rate: int, num_channels: int, soundfont: str) -> None:
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        unfinished.mkdir(exist_ok=True)
        for name, stem in render_song(seed, seconds, sample_rate, num_channels, soundfont).items():
            soundfile.write(str(unfinished / f"{name}.wav"), stem, sample_rate, subtype="PCM_16")
        if not folder.is_dir():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
