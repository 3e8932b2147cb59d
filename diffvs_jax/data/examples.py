"""One training example: which tracks its rows come from, where in them, and what is read."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from diffvs_jax.data.augmentation import NO_AUGMENTATION, Augmentation, Trace, augment
from diffvs_jax.data.tracks import Track, check_targets, require_targets
from diffvs_jax.errors import InputError

# Below this peak a target counts as silent: -60 dB of full scale.
_SILENT_PEAK = 1e-3
# Recordings end alike when the lower end is not below this share of the higher: 18 kHz teaches nothing about 20.
_ALIKE = 0.8


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
      match_bandwidth: whether all rows end at the frequency where the first of their sources does.
      augmentation: what happens to the rows then.
    """

    targets: tuple[str, ...]
    chunk_samples: int
    sample_rate: int
    num_channels: int
    remix_probability: float = 0.0
    vocal_active_tries: int = 0
    match_bandwidth: bool = True
    augmentation: Augmentation = NO_AUGMENTATION

    @property
    def rows(self) -> range:
        """A row per target, and one for the rest of the music."""
        return range(len(self.targets) + 1)


class Pool:
    """The tracks of a training set, and which of them can give which row.

    Args:
      tracks: what to draw from.
      spec: of the examples.

    Raises:
      InputError: no tracks, targets that cannot be, or a row that no track can give.
    """

    def __init__(self, tracks: Sequence[Track], spec: ExampleSpec):
        check_targets(spec.targets)
        self.tracks, self.spec = tuple(tracks), spec
        self.rows = [_rows_of(track, spec) for track in tracks]
        weights = np.array([track.weight for track in tracks])
        # Row by row the weights' running sum over the tracks that can give it.
        self._shares = [
            np.cumsum(weights * [row in rows for rows in self.rows]) if len(tracks) else np.zeros(1)
            for row in spec.rows
        ]
        for row, share in zip(spec.rows, self._shares, strict=True):
            if share[-1] == 0:
                wanted = f"stem '{spec.targets[row]}'" if row < len(spec.targets) else "any other stem than the targets"
                stems = sorted({stem for track in tracks for stem in track.stems})
                raise InputError(f"no track has {wanted} (stems there are: {', '.join(stems)}); choose other targets")

    def epoch_order(self, seed: int, epoch: int) -> np.ndarray:
        """Tracks that an epoch visits, in an order of its own, ``[len(tracks)]``.

        A track comes as often as its weight says: the weight's whole part in every epoch, its
        fraction in that share of all epochs (systematic sampling).
        """
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(self.tracks))
        weights = np.array([track.weight for track in self.tracks])[order]
        if (weights == 1).all():
            return order
        marks = np.cumsum(weights) * (len(order) / weights.sum())
        visited = np.searchsorted(marks, np.arange(len(order)) + rng.random(), side="right")
        return rng.permutation(order[np.minimum(visited, len(order) - 1)])

    def partner(self, row: int, rng: np.random.Generator) -> int:
        """A track, by weight, that can give ``row``."""
        share = self._shares[row]
        return min(int(np.searchsorted(share, rng.random() * share[-1], side="right")), len(self.tracks) - 1)


def draw_batch(
    pool: Pool, visits: Sequence[tuple[int, int]], allocate: Callable[..., np.ndarray] = np.empty
) -> np.ndarray:
    """Augmented examples, float32 ``[batch, num_targets + 1, chunk_samples, num_channels]``.

    Args:
      pool: what to draw from.
      visits: for each example the index of the visited track, and a seed for all that is random in it.
      allocate: ``(shape, dtype)`` to the array that is filled.
    """
    spec = pool.spec
    # Drawn in place: an example of six seconds has 4 MB, and each copy of it costs like reading it did.
    stems = np.empty((len(spec.rows), spec.chunk_samples, spec.num_channels), np.float32)
    batch = allocate((len(visits), len(spec.rows), spec.chunk_samples, spec.num_channels), np.float32)
    for example, (track_index, seed) in zip(batch, visits, strict=True):
        draw_example(pool, track_index, np.random.default_rng(seed), stems, example)
    return batch


def draw_example(
    pool: Pool,
    track_index: int,
    rng: np.random.Generator,
    stems: np.ndarray,
    out: np.ndarray,
    trace: Trace | None = None,
) -> None:
    """Draws one augmented example.

    A remixed example keeps the visited track for the first row it can give, so that an epoch still
    visits every track; each further row has a track and an offset of its own. Where the visited
    track cannot give every row, the example is always remixed.

    Args:
      pool: what to draw from.
      track_index: of the visited track.
      rng: of everything random.
      stems: room for what is read, float32 ``[num_targets + 1, chunk_samples, num_channels]``.
      out: the example, of the same shape.
      trace: a list that what happened to which row is appended to, for people.
    """
    spec, own = pool.spec, pool.rows[track_index]
    indices = [track_index] * len(spec.rows)
    if rng.random() < spec.remix_probability or len(own) < len(spec.rows):
        indices = [track_index if row == own[0] else pool.partner(row, rng) for row in spec.rows]
        for row, index in zip(spec.rows, indices, strict=True):
            _draw_rows(pool.tracks[index], [row], spec, rng, stems)
            if trace is not None:
                trace.append((row, f"of {pool.tracks[index].name}"))
    else:
        _draw_rows(pool.tracks[track_index], spec.rows, spec, rng, stems)
    bandwidth = _bandwidth([pool.tracks[index] for index in indices], spec) if spec.match_bandwidth else math.inf
    augment(stems, len(spec.targets), spec.augmentation, spec.sample_rate, rng, bandwidth, trace, out)


def describe_batch(pool: Pool, visits: Sequence[tuple[int, int]]) -> list[dict]:
    """What ``draw_batch`` draws, for people: the track of every example and what happened to which row.

    A dict holds ``track``, ``rows`` (row's name to words), ``peak`` of each row, and ``finite``.
    """
    spec = pool.spec
    names = (*spec.targets, "rest")
    stems = np.empty((len(spec.rows), spec.chunk_samples, spec.num_channels), np.float32)
    examples = []
    for track_index, seed in visits:
        trace: Trace = []
        example = np.empty_like(stems)
        draw_example(pool, track_index, np.random.default_rng(seed), stems, example, trace)
        words = {name: [text for row, text in trace if row in (None, place)] for place, name in enumerate(names)}
        examples.append(
            {
                "track": pool.tracks[track_index].name,
                "rows": words,
                "peaks": dict(zip(names, np.abs(example).max(axis=(1, 2)).tolist(), strict=True)),
                "finite": bool(np.isfinite(example).all()),
            }
        )
    return examples


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
      by track; rows as in ``draw_example``. One chunk per track is its middle. Tracks too
      short for distinct chunks repeat themselves, so the number never depends on the audio.

    Raises:
      InputError: no tracks, a missing target, or ``per_track`` below 1.
    """
    if per_track < 1 or not tracks:
        raise InputError(f"{per_track} chunks of each of {len(tracks)} tracks; both must be at least 1")
    require_targets(tracks, targets)
    spec = ExampleSpec(tuple(targets), chunk_samples, sample_rate, num_channels)
    chunks = np.empty((len(tracks) * per_track, len(spec.rows), chunk_samples, num_channels), np.float32)
    places = [(track, (place + 0.5) / per_track) for track in tracks for place in range(per_track)]
    for chunk, (track, place) in zip(chunks, places, strict=True):
        _read_rows(track, spec.rows, round(place * _last_start(track, spec)), spec, chunk)
    return chunks


def _bandwidth(tracks: Sequence[Track], spec: ExampleSpec) -> float:
    """Hz at which the first of the rows' sources ends, row by row from ``tracks``; infinite where all end alike."""
    ends = []
    for row, track in zip(spec.rows, tracks, strict=True):
        of_row = [end for stem, end in track.bandwidths.items() if _row_of(stem, spec) == row]
        ends += [min(end, spec.sample_rate / 2) for end in of_row]
    return min(ends) if ends and min(ends) < _ALIKE * max(ends) else math.inf


def _row_of(stem: str, spec: ExampleSpec) -> int:
    return spec.targets.index(stem) if stem in spec.targets else len(spec.targets)


def _rows_of(track: Track, spec: ExampleSpec) -> list[int]:
    """Rows that a track can give; where several targets are the whole music, the rest is silence."""
    rows = [row for row, target in enumerate(spec.targets) if target in track.stems]
    rest = set(track.stems) - set(spec.targets) or 1 < len(rows) == len(spec.targets)
    return [*rows, len(spec.targets)] if rest else rows


def _draw_rows(track: Track, rows: Sequence[int], spec: ExampleSpec, rng: np.random.Generator, out: np.ndarray) -> None:
    """Reads ``rows`` of a track from one random offset into the rows of ``out``.

    The offset is drawn anew while all targets among the rows are silent, as long as tries last.
    """
    last = _last_start(track, spec)
    targets = [row for row in rows if row < len(spec.targets)]
    start = int(rng.integers(last + 1))
    _read_rows(track, targets, start, spec, out)
    # Where a track has a single offset there is nothing to try.
    for _ in range(spec.vocal_active_tries if targets and last > 0 else 0):
        if np.abs(out[targets]).max() >= _SILENT_PEAK:
            break
        start = int(rng.integers(last + 1))
        _read_rows(track, targets, start, spec, out)
    _read_rows(track, [row for row in rows if row not in targets], start, spec, out)


def _read_rows(track: Track, rows: Sequence[int], start: int, spec: ExampleSpec, out: np.ndarray) -> None:
    """Reads ``rows`` into those of ``out``: a target each, or the sum of what is no target."""
    rest = [name for name in track.stems if name not in spec.targets]
    for row in rows:
        track.read([spec.targets[row]] if row < len(spec.targets) else rest, start, spec.sample_rate, out[row])


def _last_start(track: Track, spec: ExampleSpec) -> int:
    return max(0, round(track.seconds * spec.sample_rate) - spec.chunk_samples)
