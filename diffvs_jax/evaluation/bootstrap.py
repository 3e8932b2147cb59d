"""How far a figure over tracks might be from that of all music, from the tracks alone."""

from collections.abc import Callable, Sequence

import numpy as np


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable = np.mean,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic of values that were drawn independently (Efron and Tibshirani 1993, ch. 13).

    Given differences between two systems on the same tracks it is the paired interval, in which what
    makes a track hard for both cancels.

    Args:
      values: one for each track, finite.
      statistic: of the last axis of an array; called with ``axis=1``.
      confidence: share of resamples within the interval.
      num_resamples: how often as many values are drawn with replacement.
      seed: of those draws.

    Returns:
      The interval's ends; NaN without values.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(len(values), size=(num_resamples, len(values)))
    ends = np.quantile(statistic(values[drawn], axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(ends[0]), float(ends[1])
