"""One song on its way: blocks at its own rate in, chunks for the model out; estimates in, blocks of stems out.

Both ends stream, so memory does not grow with the song. What is in flight between them is kept here:
the mixture, sample for sample as it came, of which every block of stems takes its share.
"""

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from diffvs_jax.audio import chunking, files
from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.audio.resampling import fit_blocks, resample_blocks
from diffvs_jax.errors import InputError
from diffvs_jax.inference.packing import Piece

_HIGHEST_RATE = 1_000_000  # Hz, far above any; a damaged header may say more
Estimate = np.ndarray | None  # [S, chunk_samples, channels] of a piece; None: silence


@dataclasses.dataclass(eq=False)
class Track:
    """A song to separate.

    Attributes:
      blocks: float32 ``[samples, channels]`` of any lengths, read once and from another thread.
      sample_rate: in Hz.
      name: whatever tells it from others; nothing here reads it.
    """

    blocks: Iterable[np.ndarray]
    sample_rate: int
    name: Any = None
    num_samples: int = 0  # known when all blocks are read
    num_channels: int = 0  # known with the first
    stopped: bool = False  # set by who needs no more of it
    _mixture: deque = dataclasses.field(default_factory=deque)

    def read(self) -> Iterator[np.ndarray]:
        """The blocks, checked, and kept for ``take``.

        Raises:
          InputError: blocks that are no audio, or no samples at all.
        """
        if not (self.sample_rate == int(self.sample_rate) and 0 < self.sample_rate <= _HIGHEST_RATE):
            raise InputError(f"sample_rate is {self.sample_rate}; give a whole number from 1 to {_HIGHEST_RATE}")
        count = 0
        for block in self.blocks:
            if self.stopped:
                break
            block = checked(block, count).copy()  # whoever gives blocks may fill the same one again
            if self.num_channels not in (0, block.shape[1]):
                raise InputError(f"a block has {block.shape[1]} channels, those before it have {self.num_channels}")
            self.num_channels = block.shape[1]
            count += block.shape[0]
            self._mixture.append(block)
            yield block
        if not count:
            raise InputError("audio has no samples; nothing to separate")
        self.num_samples = count

    def take(self, num_samples: int) -> np.ndarray:
        """The next samples of the mixture, ``[num_samples, channels]``; they are read already."""
        parts = []
        while num_samples > 0:
            block = self._mixture.popleft()
            parts.append(block[:num_samples])
            if block.shape[0] > num_samples:
                self._mixture.appendleft(block[num_samples:])
            num_samples -= parts[-1].shape[0]
        return np.concatenate(parts)


def pieces(track: Track, path: SignalPath, plan: chunking.ChunkPlan) -> Iterator[Piece]:
    """A track's chunks in order, of every group of channels that the model sees together.

    The last piece carries the error, if one ends the track.
    """
    last = -1
    try:
        inside = resample_blocks(track.read(), track.sample_rate, path.sample_rate)
        for last, chunk, final in chunking.split(inside, plan):
            groups = channel_groups(chunk.shape[1], path.num_channels)
            for group, channels in enumerate(groups):
                audio = files.to_channels(chunk[:, channels], path.num_channels)
                heard = np.abs(audio).max() >= path.peak_floor
                yield Piece(track, group, len(groups), last, final, audio if heard else None)
        if last < 0:  # so few samples that none are left at a lower rate
            groups = channel_groups(track.num_channels, path.num_channels)
            yield from (Piece(track, group, len(groups), 0, 1, None) for group in range(len(groups)))
    except Exception as error:  # of any kind: it is the reader's, and told to who asked for the stems
        yield Piece(track, 0, 1, last + 1, 0, None, error)


def assemble(
    results: Iterable[tuple[Piece, Estimate]], track: Track, num_stems: int, path: SignalPath, plan: chunking.ChunkPlan
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of a track from the results of its pieces: mixture ``[n, channels]`` and stems ``[S, n, channels]``.

    They join to the track's own length, at its own rate, from its first sample on.

    Raises:
      Exception: what ended the track.
    """
    inside = chunking.overlap_add(_whole_chunks(results, track, num_stems, path), plan)
    flat = (np.moveaxis(block, 0, 1).reshape(block.shape[1], -1) for block in inside)
    outside = resample_blocks(flat, path.sample_rate, track.sample_rate)
    for block in fit_blocks(outside, lambda: track.num_samples):
        mixture = track.take(block.shape[0])
        yield mixture, np.moveaxis(block.reshape(block.shape[0], num_stems, -1), 0, 1)


def channel_groups(have: int, wanted: int) -> list[slice]:
    """Channels to separate together: pairs for a stereo model (an odd one alone), each alone for mono."""
    return [slice(start, min(start + wanted, have)) for start in range(0, have, wanted)]


def checked(block: np.ndarray, position: int = 0) -> np.ndarray:
    """A block ``[samples, channels]`` as float32, or one clear line; ``position`` samples came before it."""
    block = np.asarray(block)
    if block.ndim != 2 or block.shape[1] == 0:
        raise InputError(f"audio has shape {block.shape}; it must be [samples, channels]")
    if not np.issubdtype(block.dtype, np.floating):
        raise InputError(f"audio is {block.dtype}; convert it to floats with full scale at 1")
    with np.errstate(over="ignore"):
        block = block.astype(np.float32, copy=False)
    if not np.isfinite(block).all():
        bad = ~np.isfinite(block)
        first = position + int(np.argmax(bad.any(axis=1)))
        raise InputError(f"audio holds {np.count_nonzero(bad)} NaN or infinite samples, the first at sample {first}")
    return block


def _whole_chunks(
    results: Iterable[tuple[Piece, Estimate]], track: Track, num_stems: int, path: SignalPath
) -> Iterator[tuple[np.ndarray, int]]:
    """Estimates ``[S, chunk_samples, channels]`` of all of a track's channels, and what they settle."""
    for _, group in itertools.groupby(results, key=lambda result: result[0].number):
        estimates = []
        for piece, estimate in group:
            if piece.error is not None:
                raise piece.error
            estimates.append(estimate)
        widths = (part.stop - part.start for part in channel_groups(track.num_channels, path.num_channels))
        parts = [
            np.zeros((num_stems, path.chunk_samples, width), np.float32)
            if estimate is None
            else np.stack([files.to_channels(stem, width) for stem in estimate])
            for estimate, width in zip(estimates, widths, strict=True)
        ]
        yield np.concatenate(parts, axis=-1), piece.final
    if track.stopped:
        raise InputError("a track's stems must be taken before the next track is asked for")
