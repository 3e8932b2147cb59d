"""A config's training batches: this process's share to train on, or what all processes measure."""

from collections.abc import Sequence
from typing import Any

import grain
import jax
import numpy as np

from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.data.pipeline import training_batches
from diffvs_jax.data.tracks import Track


def process_batches(config: Any, tracks: Sequence[Track]) -> grain.DatasetIterator[np.ndarray]:
    """Batches of this process, which together with those of the others are the global ones."""
    return _batches(config, config.data, tracks, config.seed, jax.process_index(), jax.process_count())


def common_batches(config: Any, tracks: Sequence[Track], seed: int) -> grain.DatasetIterator[np.ndarray]:
    """Batches of that size, the same ones in every process: ``process_count`` of them are a global batch.

    Threads alone read them: starting workers costs seconds, and does not change what is drawn.
    """
    data = config.data.copy_and_resolve_references()
    data.num_threads = max(data.num_threads, data.num_workers)
    data.num_workers = 0
    return _batches(config, data, tracks, seed, 0, 1)


def _batches(config: Any, data: Any, tracks: Sequence[Track], seed: int, process_index: int, process_count: int):
    return training_batches(
        tracks,
        data,
        batch_size=config.train.batch_size // jax.process_count(),
        chunk_samples=SignalPath.from_config(config).chunk_samples,
        sample_rate=config.audio.sample_rate,
        num_channels=config.audio.num_channels,
        seed=seed,
        process_index=process_index,
        process_count=process_count,
    )
