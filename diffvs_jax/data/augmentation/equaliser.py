"""An equaliser with a few broad bands, set at random."""

import numpy as np

_LOW_SHELF = (60.0, 300.0)  # Hz: where the corner of each band is drawn from
_BELL = (200.0, 8000.0)
_HIGH_SHELF = (3000.0, 10_000.0)
_BELL_Q = (0.5, 2.0)
_SHELF_Q = 0.5**0.5  # the steepest shelf without a bump
_HIGHEST = 0.4  # of the sample rate: bands above are drawn in


def random_equaliser(
    stem: np.ndarray, decibels: float, sample_rate: int, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """A low shelf, two bells and a high shelf, each within ``decibels`` up or down.

    Args:
      stem: ``[samples, channels]``; all channels go through the same filter.
      decibels: largest gain and largest cut of a band.
      sample_rate: in Hz.
      rng: draws gains uniformly, frequencies and Q uniformly in their logarithm.

    Returns:
      The filtered stem and a few words for people.
    """
    gains = rng.uniform(-decibels, decibels, size=4)
    corners = np.exp(rng.uniform(*np.log([_LOW_SHELF, _BELL, _BELL, _HIGH_SHELF]).T))
    qualities = np.exp(rng.uniform(*np.log([_BELL_Q, _BELL_Q]).T))
    corners = np.minimum(corners, _HIGHEST * sample_rate)
    sections = np.stack(
        [
            shelf(corners[0], gains[0], sample_rate, high=False),
            bell(corners[1], gains[1], qualities[0], sample_rate),
            bell(corners[2], gains[2], qualities[1], sample_rate),
            shelf(corners[3], gains[3], sample_rate, high=True),
        ]
    )
    words = " ".join(f"{gain:+.0f}" for gain in gains)
    return equalise(stem, sections), f"EQ {words} dB"


def equalise(stem: np.ndarray, sections: np.ndarray) -> np.ndarray:
    """``stem [samples, channels]`` through second-order sections ``[bands, 6]``, starting at rest."""
    from scipy import signal  # slow to import, and most training does without

    return signal.sosfilt(sections, stem, axis=0).astype(np.float32)


def bell(hertz: float, decibels: float, quality: float, sample_rate: int) -> np.ndarray:
    """A second-order section with a gain of ``decibels`` at ``hertz`` and none far from it.

    Source: R. Bristow-Johnson, Audio EQ Cookbook, "peakingEQ".
    """
    amplitude, cosine, alpha = _cookbook(hertz, decibels, quality, sample_rate)
    return _section(
        (1 + alpha * amplitude, -2 * cosine, 1 - alpha * amplitude),
        (1 + alpha / amplitude, -2 * cosine, 1 - alpha / amplitude),
    )


def shelf(hertz: float, decibels: float, sample_rate: int, *, high: bool) -> np.ndarray:
    """A second-order section with a gain of ``decibels`` above (``high``) or below ``hertz``, half of it there.

    Source: R. Bristow-Johnson, Audio EQ Cookbook, "lowShelf" and "highShelf".
    """
    amplitude, cosine, alpha = _cookbook(hertz, decibels, _SHELF_Q, sample_rate)
    sign = -1.0 if high else 1.0  # the high shelf is the low one with the spectrum reversed
    root = 2 * np.sqrt(amplitude) * alpha
    plus, minus = amplitude + 1, amplitude - 1
    return _section(
        (
            amplitude * (plus - sign * minus * cosine + root),
            sign * 2 * amplitude * (minus - sign * plus * cosine),
            amplitude * (plus - sign * minus * cosine - root),
        ),
        (
            plus + sign * minus * cosine + root,
            sign * -2 * (minus + sign * plus * cosine),
            plus + sign * minus * cosine - root,
        ),
    )


def _cookbook(hertz: float, decibels: float, quality: float, sample_rate: int) -> tuple[float, float, float]:
    angle = 2 * np.pi * hertz / sample_rate
    return 10 ** (decibels / 40), np.cos(angle), np.sin(angle) / (2 * quality)


def _section(numerator: tuple[float, ...], denominator: tuple[float, ...]) -> np.ndarray:
    return np.array([*numerator, *denominator]) / denominator[0]
