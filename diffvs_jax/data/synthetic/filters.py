"""Filters that move: a response per frame, windowed frames, overlap-add."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy.fft

from diffvs_jax.data.synthetic.sound import CONTROL_RATE

_BLOCK = 512
_NEUTRAL_HZ = 9000.0

Response = Callable[[np.ndarray, np.ndarray], Sequence[np.ndarray]]


def moving_filter(sources: Sequence[np.ndarray], sample_rate: int, num_frames: int, response: Response) -> np.ndarray:
    """Sum of sources, each through a filter of its own that moves.

    Args:
      sources: float32 ``[samples]`` each.
      sample_rate: Hz.
      num_frames: frames of the control tracks that ``response`` reads.
      response: (frames of the control tracks ``[n]``, frequencies in Hz ``[bins]``) -> for each source
        ``[bins]`` or ``[n, bins]``, which lasts at most a few milliseconds.

    Returns:
      float32 ``[samples]``.
    """
    hop = max(round(0.005 * sample_rate), 8)
    size, width = 6 * hop, 4 * hop
    num_samples = len(sources[0])
    count = num_samples // hop + 4
    padding = (3 * hop, count * hop + width - num_samples)
    padded = [np.pad(source, padding) for source in sources]
    window = (0.25 - 0.25 * np.cos(2 * np.pi * np.arange(width) / width)).astype(np.float32)
    frequencies = scipy.fft.rfftfreq(size, 1 / sample_rate).astype(np.float32)
    output = np.zeros((count + 6, hop), np.float32)
    for first in range(0, count, _BLOCK):
        frames = np.arange(first, min(first + _BLOCK, count))
        at = np.round((frames - 1) * (hop / sample_rate * CONTROL_RATE)).astype(int)
        index = frames[:, None] * hop + np.arange(width)
        spectrum = np.zeros((len(frames), len(frequencies)), np.complex64)
        for source, filtering in zip(padded, response(np.clip(at, 0, num_frames - 1), frequencies), strict=True):
            spectrum += scipy.fft.rfft(source[index] * window, size) * filtering
        blocks = scipy.fft.irfft(spectrum, size).reshape(len(frames), 6, hop)
        for part in range(6):
            output[first + part : first + part + len(frames)] += blocks[:, part]
    return output.reshape(-1)[3 * hop :][:num_samples]


def resonances(centers: np.ndarray, gains: Iterable[float], bandwidths: Sequence[float], f: np.ndarray) -> np.ndarray:
    """Complex response ``[frames, bins]`` of resonances in series; 1 far from each of them.

    Args:
      centers: Hz ``[frames, resonances]``.
      gains: at the centers.
      bandwidths: Hz.
      f: frequencies in Hz ``[bins]``, ascending.
    """
    # Nothing resonates high up: those bins need no arithmetic.
    near = int(np.searchsorted(f, _NEUTRAL_HZ))
    low = f[:near]
    response = np.ones((len(centers), len(f)), np.complex64)
    for number, (gain, bandwidth) in enumerate(zip(gains, bandwidths, strict=True)):
        center = centers[:, number, None].astype(np.float32)
        detuning = center * center - low * low
        width = low * np.float32(bandwidth)
        response[:, :near] *= (detuning + 1j * (width * np.float32(gain))) / (detuning + 1j * width)
    return response
