"""Long tracks as overlapping chunks, and back, on the host, as a stream.

Chunks lie on one grid of frames. Each is faded in and out by a raised cosine whose outermost
``taper`` samples are dropped (a model's edges are wrong, and a cross-fade alone blends them
in); the sum is divided by the summed weights, so equal estimates give themselves back.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

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


class Chunk(NamedTuple):
    """One chunk of a track, ``[length, channels]``, zero-padded beyond the track's ends.

    Chunk ``number`` starts at sample ``number * step - taper``. Once it is added, the track's first
    ``final`` samples are settled.
    """

    number: int
    audio: np.ndarray
    final: int


def num_chunks(num_samples: int, plan: ChunkPlan) -> int:
    """How many chunks cover a track of ``num_samples``; at least one."""
    uncovered = num_samples - (plan.length - 2 * plan.taper)
    return 1 + max(0, -(-uncovered // plan.step))


def split(blocks: Iterable[np.ndarray], plan: ChunkPlan) -> Iterator[Chunk]:
    """Cuts a track that comes in blocks ``[samples, channels]`` of any length; one of no samples has no chunks.

    Reads one sample beyond the chunk it gives, and no more than a block further.
    """
    blocks = iter(blocks)
    held: list[np.ndarray] = []  # from the chunk's start on
    have = num_samples = 0
    for number in itertools.count():
        while have <= plan.length and (block := next(blocks, None)) is not None:
            if not held:
                held, have = [np.zeros((plan.taper, block.shape[1]), np.float32)], plan.taper
            held.append(block)
            have += block.shape[0]
            num_samples += block.shape[0]
        if not num_samples:
            return
        audio = np.concatenate(held)
        last = have <= plan.length - plan.taper
        missing = max(plan.length - have, 0)
        final = num_samples if last else max((number + 1) * plan.step - plan.taper, 0)
        yield Chunk(number, np.pad(audio[: plan.length], ((0, missing), (0, 0))), final)
        if last:
            return
        held, have = [audio[plan.step :]], have - plan.step


def fade(plan: ChunkPlan) -> np.ndarray:
    """Weights of a chunk, float32 ``[length]``: zero in the taper, positive everywhere else."""
    inner = plan.length - 2 * plan.taper
    ramp = min(inner // 2, max(inner - plan.step, 1))
    rise = np.sin(0.5 * np.pi * (np.arange(ramp) + 0.5) / ramp) ** 2
    weights = np.ones(inner)
    weights[:ramp] = rise
    weights[inner - ramp :] = np.minimum(weights[inner - ramp :], rise[::-1])
    return np.pad(weights, plan.taper).astype(np.float32)


def overlap_add(chunks: Iterable[tuple[np.ndarray, int]], plan: ChunkPlan) -> Iterator[np.ndarray]:
    """Cross-fades estimates ``[..., length, channels]`` of a track's chunks, each with its chunk's ``final``.

    Holds one chunk in memory whatever the track's length. The blocks ``[..., samples, channels]``
    join along axis -2 to the track's length.
    """
    weights = fade(plan)
    weight_column = weights[:, None]
    position, done = -plan.taper, 0
    total: np.ndarray | None = None
    norm = np.zeros(plan.length, np.float32)
    for chunk, final in chunks:
        if total is None:
            total = np.zeros_like(chunk, dtype=np.float32)
        total += chunk * weight_column
        norm += weights
        if final > done:
            first, end = done - position, final - position
            yield total[..., first:end, :] / norm[first:end, None]
        done = final
        total = _shift(total, plan.step, axis=-2)
        norm = _shift(norm, plan.step, axis=-1)
        position += plan.step


def _shift(array: np.ndarray, step: int, axis: int) -> np.ndarray:
    """Drops ``step`` entries at the start of an axis and adds zeros at its end."""
    array = np.moveaxis(array, axis, 0)
    array = np.concatenate([array[step:], np.zeros_like(array[:step])])
    return np.moveaxis(array, 0, axis)
