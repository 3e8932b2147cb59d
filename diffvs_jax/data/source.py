"""Where a config's songs come from: a folder on disk, or procedural songs rendered once."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffvs_jax.data.datasets import Track, musdb_tracks, require_targets
from diffvs_jax.data.synthetic import write_corpus

Progress = Callable[[int, int], None]


def open_tracks(config: Any, split: str, workdir: str | os.PathLike, progress: Progress | None = None) -> list[Track]:
    """Tracks of ``config.data.root``, or of ``workdir/songs`` after rendering what is missing there.

    Args:
      config: sections ``audio`` (rate and channels to render) and ``data``.
      split: "train" or "test".
      workdir: a training run's folder.
      progress: called with (songs done, songs in all) while rendering.

    Raises:
      InputError: no such folder, no tracks, or a track without a target.
    """
    root = config.data.root
    if not root:
        root = Path(workdir) / "songs"
        songs = config.data.synthetic
        count = {"train": songs.num_train_songs, "test": songs.num_test_songs}[split]
        rate, channels = config.audio.sample_rate, config.audio.num_channels
        workers = os.cpu_count() or 1
        write_corpus(root, split, count, songs.seconds, rate, channels, songs.seed, workers, progress)
    tracks = musdb_tracks(root, split)
    require_targets(tracks, config.data.targets)
    return tracks
