"""Compression and soft clipping, relative to a stem's own peak: a quiet stem is treated like a loud one."""

import numpy as np

_BLOCK_SECONDS = 0.0015  # the compressor looks at peaks of so long blocks
_ATTACK_SECONDS = 0.005
_RELEASE_SECONDS = 0.1


def random_compression(
    stem: np.ndarray,
    ratio_range: tuple[float, float],
    decibel_range: tuple[float, float],
    sample_rate: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, str]:
    """``compress`` with a ratio and a threshold drawn uniformly; also a few words for people."""
    ratio, decibels = rng.uniform(*ratio_range), rng.uniform(*decibel_range)
    return compress(stem, ratio, decibels, sample_rate), f"compressed {ratio:.1f}:1 from {-decibels:.0f} dB"


def random_soft_clip(
    stem: np.ndarray, decibel_range: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """``soft_clip`` with a drive drawn uniformly; also a few words for people."""
    decibels = rng.uniform(*decibel_range)
    return soft_clip(stem, decibels), f"clipped {decibels:.0f} dB"


def compress(stem: np.ndarray, ratio: float, decibels: float, sample_rate: int) -> np.ndarray:
    """Turns down what rises above a threshold; nothing is made up for, so nothing gets louder.

    One gain serves all channels, so nothing moves between them. It follows the peaks with an
    attack of 5 ms and a release of 100 ms.

    Args:
      stem: ``[samples, channels]``.
      ratio: decibels in per decibel out, above the threshold.
      decibels: how far the threshold lies below the stem's peak.
      sample_rate: in Hz.
    """
    peak = _peak(stem)
    if peak == 0:
        return stem
    length = max(1, round(_BLOCK_SECONDS * sample_rate))
    above = 20 * np.log10(np.maximum(_block_peaks(stem, length) / peak, 1e-10)) + decibels
    reduction = np.maximum(above, 0) * (1 - 1 / ratio)
    block_gains = (10 ** (-_follow(reduction, length / sample_rate) / 20)).astype(np.float32)
    before = np.concatenate([block_gains[:1], block_gains[:-1]])
    way = np.linspace(1 / length, 1, length, dtype=np.float32)
    gains = before[:, None] + (block_gains - before)[:, None] * way  # no steps from block to block
    gains = gains.reshape(-1)[: stem.shape[0]]
    compressed = np.empty_like(stem)
    for channel in range(stem.shape[1]):
        np.multiply(stem[:, channel], gains, out=compressed[:, channel])
    return compressed


def soft_clip(stem: np.ndarray, decibels: float) -> np.ndarray:
    """Rounds peaks off with tanh, as if driven by ``decibels`` into a limit at the stem's peak, then turned down again.

    Quiet passages stay as they are; a full peak comes out at ``tanh(drive) / drive`` of itself.
    """
    limit = np.float32(max(_peak(stem) * 10 ** (-decibels / 20), 1e-37))  # silence divides by no zero
    return limit * np.tanh(stem / limit)


def _peak(stem: np.ndarray) -> float:
    return float(np.maximum(stem.max(), -stem.min()))


def _block_peaks(stem: np.ndarray, length: int) -> np.ndarray:
    """Peaks of all channels together in blocks of ``length`` samples; the last may be shorter."""
    whole = stem.shape[0] // length * length
    peaks = np.abs(stem[:whole].reshape(-1, length * stem.shape[1])).max(axis=1)
    return peaks if whole == stem.shape[0] else np.append(peaks, np.abs(stem[whole:]).max())


def _follow(reduction: np.ndarray, step_seconds: float) -> np.ndarray:
    """``reduction`` in decibels, smoothed with the attack where it rises and the release where it falls."""
    attack, release = (np.exp(-step_seconds / seconds) for seconds in (_ATTACK_SECONDS, _RELEASE_SECONDS))
    state, followed = 0.0, []
    for value in reduction.tolist():  # plain floats: a few thousand blocks take less than a millisecond
        pole = attack if value > state else release
        state = value + pole * (state - value)
        followed.append(state)
    return np.array(followed)
