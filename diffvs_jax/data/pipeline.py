"""Tracks to batches: seeded, sharded, resumable. Runs in grain's workers, away from the device."""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

import grain
import numpy as np
from absl import flags

from diffvs_jax.data.augmentation import Augmentation
from diffvs_jax.data.examples import ExampleSpec, Pool, draw_batch
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError


def training_batches(
    tracks: Sequence[Track],
    config: Any,
    *,
    batch_size: int,
    chunk_samples: int,
    sample_rate: int,
    num_channels: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
    first_example: int = 0,
) -> grain.DatasetIterator[np.ndarray]:
    """Endless batches of augmented stems, float32 ``[batch_size, num_targets + 1, samples, channels]``.

    Rows are the targets in the config's order, then the sum of all other stems; the mixture is
    their sum. An epoch visits every track once, or as often as its weight says, in an order of its
    own. Equal arguments give equal batches, whatever the number of workers and threads. All
    processes must pass the same tracks and seed: there is one common sequence of examples, and of
    each ``batch_size * process_count`` of them process p takes the p-th part. So the global batches,
    put together in the order of processes, do not depend on how many there are.

    The number of examples used so far is all that has to be kept to go on: ``first_example``, with
    any number of workers, threads and processes.

    Args:
      tracks: what to draw from; each row must be in some of them.
      config: ``config.data``, read for ``targets``, ``remix_probability``, ``augment``,
        ``match_bandwidth``, ``vocal_active_tries``, ``num_workers``, ``num_threads`` and ``prefetch`` (batches held
        ready, by every worker; threads are used where there are no workers).
      batch_size: examples per batch of this process.
      chunk_samples: length of an example at ``sample_rate``; shorter tracks end in zeros.
      sample_rate: in Hz.
      num_channels: 1 or 2.
      seed: of everything random, in [0, 2**32).
      process_index: this process, in [0, process_count).
      process_count: processes that share the sequence of examples.
      first_example: of the common sequence, where to begin.

    Raises:
      InputError: no tracks, a row that none of them has, or a setting out of its range.
    """
    spec = example_spec(config, chunk_samples, sample_rate, num_channels)
    _check_sizes(batch_size, config.num_workers, config.num_threads, config.prefetch)
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; choose it from 0 to {2**32 - 1}")
    if not 0 <= process_index < process_count:
        raise InputError(f"process_index is {process_index}; it must lie in [0, {process_count})")
    if not tracks:
        raise InputError("no tracks to train on; check the data set folder and its split")
    pool = Pool(tracks, spec)
    own = slice(process_index * batch_size, (process_index + 1) * batch_size)
    # A worker draws into memory that this process sees; batches held ready are then in grain's queue alone,
    # which frees them, so a worker reads without threads of its own.
    allocate = grain.multiprocessing.SharedMemoryArray if config.num_workers else np.empty
    threads, ahead = (0, 0) if config.num_workers else (min(config.num_threads, config.prefetch), config.prefetch)
    # Batches are formed before grain hands them to threads and workers: neither can change what is drawn.
    drawing = functools.partial(_draw_share, pool, own, allocate)
    dataset = visits(pool, seed)[first_example:].batch(
        batch_size * process_count, drop_remainder=True, batch_fn=drawing
    )
    batches = dataset.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead))
    if config.num_workers > 0:
        # grain reads absl flags here and fails where no command has parsed them, as in a notebook.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(config.num_workers, per_worker_buffer_size=max(config.prefetch, 1))
        batches = batches.mp_prefetch(options, worker_init_fn=_end_with_parent)
    return iter(batches)


def visits(pool: Pool, seed: int) -> grain.MapDataset[tuple[int, int]]:
    """The common sequence of examples, endless: the visited track's index, and a seed for all else in it.

    Randomness is tied to the place in the sequence.
    """
    num_tracks = len(pool.tracks)

    def visited_track(place: int, _: int) -> int:
        epoch, place_in_epoch = divmod(place, num_tracks)
        return int(_epoch_order(pool, seed, epoch)[place_in_epoch])

    def with_seed(track_index: int, rng: np.random.Generator) -> tuple[int, int]:
        return track_index, int(rng.integers(2**63))

    return grain.MapDataset.range(num_tracks).seed(seed).repeat().map_with_index(visited_track).random_map(with_seed)


def _draw_share(pool: Pool, own: slice, allocate, batch: Sequence[tuple[int, int]]) -> np.ndarray:
    """The part of a global batch that is this process's."""
    return draw_batch(pool, batch[own], allocate)


def _end_with_parent(*_: int) -> None:
    """A worker lives as long as its parent, whatever ends that one.

    Left alone, it would wait forever for somebody to take its batch, and a Ctrl-C, which the terminal
    sends to every process, would fill the screen.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@functools.lru_cache(maxsize=16)
def _epoch_order(pool: Pool, seed: int, epoch: int) -> np.ndarray:
    # grain's own shuffle takes milliseconds per element on a set of few tracks, more than reading.
    return pool.epoch_order(seed, epoch)


def example_spec(config: Any, chunk_samples: int, sample_rate: int, num_channels: int) -> ExampleSpec:
    """What ``config.data`` asks for, checked."""
    if not 0 <= config.remix_probability <= 1:
        raise InputError(f"remix_probability is {config.remix_probability}; it must lie in [0, 1]")
    if config.vocal_active_tries < 0:
        raise InputError(f"vocal_active_tries is {config.vocal_active_tries}; 0 switches it off")
    return ExampleSpec(
        targets=tuple(config.targets),
        chunk_samples=chunk_samples,
        sample_rate=sample_rate,
        num_channels=num_channels,
        remix_probability=config.remix_probability,
        vocal_active_tries=config.vocal_active_tries,
        match_bandwidth=config.match_bandwidth,
        augmentation=Augmentation.from_config(config.augment),
    )


def _check_sizes(batch_size: int, num_workers: int, num_threads: int, prefetch: int) -> None:
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
    for name, value in (("num_workers", num_workers), ("num_threads", num_threads), ("prefetch", prefetch)):
        if value < 0:
            raise InputError(f"{name} is {value}; 0 switches it off")
