"""A config's training batches: this process's share to train on, or what all processes measure."""

from collections.abc import Sequence
from typing import Any

import grain
import jax
import numpy as np

from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.data.examples import Pool, describe_batch
from diffvs_jax.data.pipeline import example_spec, training_batches, visits
from diffvs_jax.data.tracks import Track


def process_batches(config: Any, tracks: Sequence[Track], first_example: int) -> grain.DatasetIterator[np.ndarray]:
    """Batches of this process, which together with those of the others are the global ones.

    ``first_example`` of the common sequence is where they begin.
    """
    return _batches(
        config,
        config.data,
        tracks,
        config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        first_example=first_example,
    )


def describe_global_batch(config: Any, tracks: Sequence[Track], first_example: int) -> list[dict]:
    """What the global batch that begins there is drawn from, for people (see ``data.examples.describe_batch``)."""
    path = SignalPath.from_config(config)
    pool = Pool(tracks, example_spec(config.data, path.chunk_samples, path.sample_rate, path.num_channels))
    sequence = visits(pool, config.seed)
    return describe_batch(pool, [sequence[first_example + place] for place in range(config.train.batch_size)])


def common_batches(config: Any, tracks: Sequence[Track], seed: int) -> grain.DatasetIterator[np.ndarray]:
    """Batches of that size, the same ones in every process: ``process_count`` of them are a global batch.

    Threads alone read them: starting workers costs seconds, and does not change what is drawn.
    """
    data = config.data.copy_and_resolve_references()
    data.num_threads = max(data.num_threads, data.num_workers)
    data.num_workers = 0
    return _batches(config, data, tracks, seed)


def _batches(config: Any, data: Any, tracks: Sequence[Track], seed: int, **place: int):
    return training_batches(
        tracks,
        data,
        batch_size=config.train.batch_size // jax.process_count(),
        chunk_samples=SignalPath.from_config(config).chunk_samples,
        sample_rate=config.audio.sample_rate,
        num_channels=config.audio.num_channels,
        seed=seed,
        **place,
    )
