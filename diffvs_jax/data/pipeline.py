"""Tracks to batches: seeded, sharded, resumable. Runs in grain's workers, away from the device."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import grain
import numpy as np
from absl import flags

from diffvs_jax.data.augmentation import NO_AUGMENTATION, Augmentation, Trace, augment
from diffvs_jax.data.datasets import Track, require_targets
from diffvs_jax.errors import InputError

# Below this peak a target counts as silent: -60 dB of full scale.
_SILENT_PEAK = 1e-3


@dataclasses.dataclass(frozen=True)
class ExampleSpec:
    """What an example is made of; plain values, since workers receive it pickled.

    Attributes:
      targets: stem names, in the order of the example's rows.
      chunk_samples: length of an example.
      sample_rate: in Hz.
      num_channels: 1 or 2.
      remix_probability: of rows that come from independently drawn tracks and offsets.
      vocal_active_tries: how often an offset with silent targets is drawn anew.
      augmentation: what happens to the rows then.
    """

    targets: tuple[str, ...]
    chunk_samples: int
    sample_rate: int
    num_channels: int
    remix_probability: float = 0.0
    vocal_active_tries: int = 0
    augmentation: Augmentation = NO_AUGMENTATION


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
) -> grain.DatasetIterator[np.ndarray]:
    """Endless batches of augmented stems, float32 ``[batch_size, num_targets + 1, samples, channels]``.

    Rows are the targets in the config's order, then the sum of all other stems; the mixture is
    their sum. An epoch visits every track once, in an order of its own. Equal arguments give
    equal batches, whatever the number of workers and threads. All processes must pass the same
    tracks and seed: process p of P takes every P-th example of one common sequence, so together
    they consume it once, the examples of a global step do not depend on P, and partners for
    remixing come from all tracks.

    ``get_state()`` gives what ``json`` can store and ``set_state()`` continues exactly there. A
    state belongs to the ``num_workers``, batch size and process count that it was taken under.

    Args:
      tracks: what to draw from; each holds every target.
      config: ``config.data``, read for ``targets``, ``remix_probability``, ``augment``,
        ``vocal_active_tries``, ``num_workers``, ``num_threads`` and ``prefetch`` (batches held
        ready, by every worker).
      batch_size: examples per batch of this process.
      chunk_samples: length of an example at ``sample_rate``; shorter tracks end in zeros.
      sample_rate: in Hz.
      num_channels: 1 or 2.
      seed: of everything random, in [0, 2**32).
      process_index: this process, in [0, process_count).
      process_count: processes that share the sequence of examples.

    Raises:
      InputError: no tracks, a missing target, or a setting out of its range.
    """
    spec = example_spec(config, chunk_samples, sample_rate, num_channels)
    _check_sizes(batch_size, config.num_workers, config.num_threads, config.prefetch)
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; choose it from 0 to {2**32 - 1}")
    if not 0 <= process_index < process_count:
        raise InputError(f"process_index is {process_index}; it must lie in [0, {process_count})")
    if not tracks:
        raise InputError("no tracks to train on; check the data set folder and its split")
    require_targets(tracks, spec.targets)

    def visited_track(place: int, _: int) -> int:
        epoch, place_in_epoch = divmod(place, len(tracks))
        return int(_epoch_order(len(tracks), seed, epoch)[place_in_epoch])

    def example(track_index: int, rng: np.random.Generator) -> np.ndarray:
        return draw_example(tracks, track_index, spec, rng)

    # Randomness is tied to the place in the common sequence (before the slice), and batches are
    # formed before grain hands them to threads and workers: neither can change what is drawn.
    dataset = grain.MapDataset.range(len(tracks)).seed(seed).repeat().map_with_index(visited_track)
    dataset = dataset.random_map(example)[process_index::process_count]
    batches = dataset.batch(batch_size, drop_remainder=True).to_iter_dataset(
        grain.ReadOptions(num_threads=min(config.num_threads, config.prefetch), prefetch_buffer_size=config.prefetch)
    )
    if config.num_workers > 0:
        # grain reads absl flags here and fails where no command has parsed them, as in a notebook.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=config.num_workers))
    return iter(batches)


def evaluation_chunks(
    tracks: Sequence[Track],
    targets: Sequence[str],
    *,
    chunk_samples: int,
    sample_rate: int,
    num_channels: int,
    per_track: int,
) -> np.ndarray:
    """Evenly spaced chunks of every track, the same on every call, as they are.

    Returns:
      float32 ``[len(tracks) * per_track, num_targets + 1, chunk_samples, num_channels]``, track
      by track; rows as in ``training_batches``. One chunk per track is its middle. Tracks too
      short for distinct chunks repeat themselves, so the number never depends on the audio.

    Raises:
      InputError: no tracks, a missing target, or ``per_track`` below 1.
    """
    if per_track < 1 or not tracks:
        raise InputError(f"{per_track} chunks of each of {len(tracks)} tracks; both must be at least 1")
    require_targets(tracks, targets)
    spec = ExampleSpec(tuple(targets), chunk_samples, sample_rate, num_channels)
    rows = range(len(spec.targets) + 1)
    return np.stack(
        [
            _read_rows(track, rows, round((place + 0.5) / per_track * _last_start(track, spec)), spec)
            for track in tracks
            for place in range(per_track)
        ]
    )


def draw_example(
    tracks: Sequence[Track], track_index: int, spec: ExampleSpec, rng: np.random.Generator, trace: Trace | None = None
) -> np.ndarray:
    """One augmented example, float32 ``[num_targets + 1, chunk_samples, num_channels]``.

    A remixed example keeps the visited track for its first target, so that an epoch still visits
    every track; each further row has a track and an offset of its own. What happened to which row
    is appended to ``trace``, for people.
    """
    rows = range(len(spec.targets) + 1)
    if rng.random() < spec.remix_probability:
        indices = [track_index, *rng.integers(len(tracks), size=len(rows) - 1)]
        if trace is not None:
            trace.extend((row, f"of {tracks[index].name}") for row, index in zip(rows, indices, strict=True))
        drawn = [_draw_rows(tracks[index], [row], spec, rng) for row, index in zip(rows, indices, strict=True)]
        stems = np.concatenate(drawn)
    else:
        stems = _draw_rows(tracks[track_index], rows, spec, rng)
    return augment(stems, len(spec.targets), spec.augmentation, spec.sample_rate, rng, trace=trace)


@functools.lru_cache(maxsize=16)
def _epoch_order(num_tracks: int, seed: int, epoch: int) -> np.ndarray:
    # grain's own shuffle takes milliseconds per element on a set of few tracks, more than reading.
    return np.random.default_rng((seed, epoch)).permutation(num_tracks)


def _draw_rows(track: Track, rows: Sequence[int], spec: ExampleSpec, rng: np.random.Generator) -> np.ndarray:
    """``rows`` of a track from one random offset, ``[len(rows), samples, channels]``.

    The offset is drawn anew while all targets among the rows are silent, as long as tries last.
    """
    last = _last_start(track, spec)
    targets = [row for row in rows if row < len(spec.targets)]
    others = [row for row in rows if row >= len(spec.targets)]
    start = int(rng.integers(last + 1))
    active = _read_rows(track, targets, start, spec)
    # Tries read the targets alone; where a track has a single offset there is nothing to try.
    for _ in range(spec.vocal_active_tries if targets and last > 0 else 0):
        if np.abs(active).max() >= _SILENT_PEAK:
            break
        start = int(rng.integers(last + 1))
        active = _read_rows(track, targets, start, spec)
    return np.concatenate([active, _read_rows(track, others, start, spec)])


def _read_rows(track: Track, rows: Sequence[int], start: int, spec: ExampleSpec) -> np.ndarray:
    """``[len(rows), samples, channels]``: a target each, or the sum of what is no target."""
    stems = np.zeros((len(rows), spec.chunk_samples, spec.num_channels), np.float32)
    rest = [name for name in track.stems if name not in spec.targets]
    for place, row in enumerate(rows):
        for name in [spec.targets[row]] if row < len(spec.targets) else rest:
            stems[place] += track.read_stem(name, start, spec.chunk_samples, spec.sample_rate, spec.num_channels)
    return stems


def _last_start(track: Track, spec: ExampleSpec) -> int:
    return max(0, int(track.seconds * spec.sample_rate) - spec.chunk_samples)


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
        augmentation=Augmentation.from_config(config.augment),
    )


def _check_sizes(batch_size: int, num_workers: int, num_threads: int, prefetch: int) -> None:
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
    for name, value in (("num_workers", num_workers), ("num_threads", num_threads), ("prefetch", prefetch)):
        if value < 0:
            raise InputError(f"{name} is {value}; 0 switches it off")
