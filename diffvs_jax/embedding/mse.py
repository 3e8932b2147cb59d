"""Embedding MSE: how far an estimate is from its reference in the space of a network that listens."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np

Embed = Callable[[np.ndarray, int], Iterable[np.ndarray] | np.ndarray]
"""Any embedding: a function from (audio ``[samples, channels]``, sample rate in Hz) to blocks of
vectors ``[frames, features]``, one after the other in time, or to one array of them all, of NumPy,
JAX or PyTorch. All are finite real numbers.

Audio of one length must give blocks of the same shapes, whatever is in it. Blocks that are made as
they are asked for, by a generator, are never all in memory.
"""


def embedding_mse(embed: Embed, reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """Mean over frames and features of the squared difference of two embeddings; see ``embedding_mses``."""
    return embedding_mses(embed, reference, [estimate], sample_rate)[0]


def embedding_mses(
    embed: Embed, reference: np.ndarray, estimates: Sequence[np.ndarray], sample_rate: int
) -> list[float]:
    """Embedding MSE of several estimates of one reference, which is embedded once.

    What Diff-VS reports as its proxy for listening (with MERT's layer 12), lower is better. Block by
    block, all in turn: memory does not grow with the track where ``embed`` makes blocks one by one.

    Args:
      embed: see ``Embed``.
      reference: ``[samples, channels]``.
      estimates: each like ``reference``.
      sample_rate: of all, in Hz.

    Returns:
      One number per estimate, summed up in float64; NaN where the audio is too short for a frame.

    Raises:
      ValueError: an estimate of another shape than the reference, blocks of other shapes, or what is no block of
        finite numbers.
    """
    for estimate in estimates:
        if estimate.shape != reference.shape:
            raise ValueError(f"an estimate is {estimate.shape}, its reference {reference.shape}")
    sums, count = np.zeros(len(estimates)), 0
    streams = [_blocks(embed(audio, sample_rate)) for audio in (reference, *estimates)]
    for truth, *others in zip(*streams, strict=True):
        for index, block in enumerate(others):
            if block.shape != truth.shape:
                raise ValueError(f"an estimate's block is {block.shape}, its reference's {truth.shape}")
            sums[index] += np.sum(np.square(block.astype(np.float64) - truth))
        count += truth.size
    return [float(total / count) if count else float("nan") for total in sums]


def _blocks(embedding: Iterable[np.ndarray] | np.ndarray) -> Iterator[np.ndarray]:
    blocks = [embedding] if hasattr(embedding, "__array__") else embedding  # NumPy's, JAX's, PyTorch's
    for block in map(np.asarray, blocks):
        if block.ndim != 2 or not any(jax.dtypes.issubdtype(block.dtype, kind) for kind in (np.floating, np.integer)):
            raise ValueError(
                f"a block of vectors is [frames, features] of real numbers, not {block.shape} {block.dtype}"
            )
        if not np.isfinite(block).all():
            raise ValueError(f"a block of vectors, {block.shape}, holds NaN or infinite numbers")
        yield block
