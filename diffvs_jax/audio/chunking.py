"""Long tracks as overlapping chunks, and back, on the host.

Chunks lie on one grid of frames. Each is faded in and out by a raised cosine whose outermost
``taper`` samples are dropped (a model's edges are wrong, and a cross-fade alone blends them
in); the sum is divided by the summed weights, so equal estimates give themselves back.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from diffvs_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class ChunkPlan:
    """Sizes in samples: chunk ``length``, ``step`` between chunks, ``taper`` dropped at each edge."""

    length: int
    step: int
    taper: int

    def __post_init__(self):
        if not 0 < self.step <= self.length - 2 * self.taper:
            raise InputError(
                f"chunks of {self.length} samples tapered by {self.taper} at each edge cannot step by {self.step}; "
                f"the step must lie between 1 and {self.length - 2 * self.taper}"
            )


def num_chunks(num_samples: int, plan: ChunkPlan) -> int:
    """How many chunks cover a track of ``num_samples``; at least one."""
    uncovered = num_samples - (plan.length - 2 * plan.taper)
    return 1 + max(0, -(-uncovered // plan.step))


def split(audio: np.ndarray, plan: ChunkPlan) -> Iterator[np.ndarray]:
    """Chunks ``[length, channels]`` of ``[samples, channels]``, zero-padded beyond the track's ends.

    Chunk ``i`` starts at sample ``i * step - taper`` of the track.
    """
    num_samples = audio.shape[0]
    for index in range(num_chunks(num_samples, plan)):
        start = index * plan.step - plan.taper
        inside = audio[max(start, 0) : start + plan.length]
        before = max(-start, 0)
        yield np.pad(inside, ((before, plan.length - before - inside.shape[0]), (0, 0)))


def fade(plan: ChunkPlan) -> np.ndarray:
    """Weights of a chunk, float32 ``[length]``: zero in the taper, positive everywhere else."""
    inner = plan.length - 2 * plan.taper
    ramp = min(inner // 2, max(inner - plan.step, 1))
    rise = np.sin(0.5 * np.pi * (np.arange(ramp) + 0.5) / ramp) ** 2
    weights = np.ones(inner)
    weights[:ramp] = rise
    weights[inner - ramp :] = np.minimum(weights[inner - ramp :], rise[::-1])
    return np.pad(weights, plan.taper).astype(np.float32)


def overlap_add(chunks: Iterable[np.ndarray], num_samples: int, plan: ChunkPlan) -> Iterator[np.ndarray]:
    """Cross-fades chunks ``[..., length, channels]`` into consecutive blocks of the track.

    Holds one chunk in memory whatever the track's length. The blocks ``[..., samples, channels]``
    join along axis -2 to exactly ``num_samples``.
    """
    weights = fade(plan)
    weight_column = weights[:, None]
    position, last = -plan.taper, num_chunks(num_samples, plan) - 1
    total: np.ndarray | None = None
    norm = np.zeros(plan.length, np.float32)
    for index, chunk in enumerate(chunks):
        if total is None:
            total = np.zeros_like(chunk, dtype=np.float32)
        total += chunk * weight_column
        norm += weights
        ready = plan.length if index == last else plan.step
        first, end = max(-position, 0), min(ready, num_samples - position)
        if end > first:
            yield total[..., first:end, :] / norm[first:end, None]
        total = _shift(total, plan.step, axis=-2)
        norm = _shift(norm, plan.step, axis=-1)
        position += plan.step


def _shift(array: np.ndarray, step: int, axis: int) -> np.ndarray:
    """Drops ``step`` entries at the start of an axis and adds zeros at its end."""
    array = np.moveaxis(array, axis, 0)
    array = np.concatenate([array[step:], np.zeros_like(array[:step])])
    return np.moveaxis(array, 0, axis)
