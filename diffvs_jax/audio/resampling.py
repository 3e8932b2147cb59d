"""Resampling of streams, and streams of an exact length."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import soxr

from diffvs_jax.audio.files import fit_length


def resample_blocks(blocks: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """Blocks ``[samples, channels]`` at another rate, the same as ``files.resample`` of all of them at once.

    There is no delay: the first sample stays the first. The lengths of what is yielded, which may be
    none for a block, sum to ``round(samples * to_rate / from_rate)`` within a sample.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    stream: soxr.ResampleStream | None = None
    for block in blocks:
        if stream is None:
            stream = soxr.ResampleStream(from_rate, to_rate, block.shape[1], dtype="float32", quality="HQ")
        nothing = block[:0]
        if len(resampled := stream.resample_chunk(np.ascontiguousarray(block))):
            yield resampled
    if stream is not None and len(resampled := stream.resample_chunk(nothing, last=True)):
        yield resampled


def fit_blocks(blocks: Iterable[np.ndarray], num_samples: Callable[[], int], slack: int = 1024) -> Iterator[np.ndarray]:
    """Blocks ``[samples, channels]``, cut or padded with zeros at the end to an exact length.

    Args:
      blocks: at least one.
      num_samples: the length, asked for once the blocks have ended.
      slack: samples that are held back until then, the most that can be cut.

    Raises:
      ValueError: more than that would have to be cut.
    """
    done, held = 0, None
    for block in blocks:
        held = block if held is None else np.concatenate([held, block])
        ready = len(held) - slack
        if ready > 0:
            yield held[:ready]
            done += ready
            held = held[ready:]
    wanted = num_samples() - done
    if held is None or wanted < 0:
        raise ValueError(f"cannot cut a stream at sample {done + wanted}: {done} samples are gone")
    if wanted:
        yield fit_length(held, wanted)
