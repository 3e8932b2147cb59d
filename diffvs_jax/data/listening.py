"""All files of a track read side by side, once, in blocks: their levels, and what mixture and stems differ by."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.audio import decoding, files, segments
from diffvs_jax.data.levels import Levels
from diffvs_jax.errors import InputError

BLOCK_SECONDS = 8
"""Of every file at a time: 2.8 MB of stereo."""
_RESIDUAL_RANGE = 200.0  # dB; where stems sum exactly, the residual is minus this


class Source:
    """A file on its way through: how far it was read, and what was found.

    Args:
      stem: that the file is of; "mixture" for the mixture.
      path: the file.
      header: of the file.
    """

    def __init__(self, stem: str, path: Path, header: files.AudioInfo):
        self.stem, self.path, self.header = stem, path, header
        self.levels = Levels(header.sample_rate, header.num_channels)
        self.breaks_off = False
        self._blocks: Iterator[np.ndarray] = decoding.stream(path, BLOCK_SECONDS * header.sample_rate)

    @property
    def seconds(self) -> float:
        """Duration that the header tells."""
        return self.header.num_samples / self.header.sample_rate

    @property
    def incomplete(self) -> bool:
        """Whether reading, now over, gave less than the header tells."""
        return self.levels.num_samples < self.header.num_samples

    def next_block(self) -> np.ndarray | None:
        """Float32 ``[samples, channels]``; None after the last, and where the file breaks off."""
        try:
            return next(self._blocks, None)
        except InputError:
            self.breaks_off = True
            return None


class Residual:
    """Energy of the mixture less the sum of the stems, at the mixture's rate and channels.

    Args:
      mixture: its file; no file has more than two channels.
    """

    def __init__(self, mixture: Source):
        self._mixture = mixture
        self._rate, self._channels = mixture.header.sample_rate, mixture.header.num_channels
        self._difference = np.zeros((BLOCK_SECONDS * self._rate, self._channels), np.float32)
        self._error = self._energy = 0.0

    def add(self, source: Source, block: np.ndarray, second: int) -> None:
        """Takes the block of a file that begins at ``second``."""
        if source is self._mixture:
            self._energy += _energy(block)
            self._difference[: len(block)] += block
            return
        if source.header.sample_rate != self._rate:
            start, count = second * self._rate, len(self._difference)
            block = segments.load_segment(source.path, start, count, self._rate, self._channels)
        elif block.shape[1] > self._channels:
            block = files.to_channels(block, self._channels)
        self._difference[: len(block)] -= block  # mono counts for every channel

    def finish_block(self) -> None:
        """Every file has given its block."""
        self._error += _energy(self._difference)
        self._difference[:] = 0

    def decibels(self) -> float:
        """Relative to the mixture's energy; within 200 dB of zero."""
        if not self._error:
            return -_RESIDUAL_RANGE
        level = 10 * math.log10(self._error / self._energy) if self._energy else _RESIDUAL_RANGE
        return min(max(level, -_RESIDUAL_RANGE), _RESIDUAL_RANGE)


def listen(sources: Sequence[Source], mixture: Source | None) -> tuple[dict[str, np.ndarray], float | None]:
    """Reads files of stems, and a mixture, to their ends.

    Args:
      sources: files of stems; their levels are filled in.
      mixture: likewise.

    Returns:
      Peak of every second by stem, and the residual in dB: None without a mixture, where a file is
      damaged, or with more than two channels.
    """
    everything = [*sources, *([mixture] if mixture else [])]
    comparable = mixture and all(source.header.num_channels <= 2 for source in everything)
    residual = Residual(mixture) if mixture and comparable else None
    last = math.ceil(max(source.seconds for source in everything))
    peaks = {source.stem: np.zeros(last + BLOCK_SECONDS, np.float32) for source in everything}
    for second in range(0, last, BLOCK_SECONDS):
        for source in everything:
            block = source.next_block()
            if block is None:
                continue
            loud = source.levels.add(block)
            part = peaks[source.stem][second : second + len(loud)]
            np.maximum(part, loud, out=part)
            if source.levels.num_bad:
                residual = None
            if residual:
                residual = _add(residual, source, block, second)
        if residual:
            residual.finish_block()
    if any(source.incomplete for source in everything):
        residual = None
    return peaks, residual.decibels() if residual else None


def _add(residual: Residual, source: Source, block: np.ndarray, second: int) -> Residual | None:
    """The residual with the block; None where resampling, which looks ahead, meets damage."""
    try:
        residual.add(source, block, second)
        return residual
    except InputError:
        return None


def _energy(audio: np.ndarray) -> float:
    flat = audio.reshape(-1)
    return float(np.dot(flat, flat))
