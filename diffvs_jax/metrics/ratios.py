"""Ratios in dB and their median, for numpy and jax.numpy alike."""

from diffvs_jax.metrics.sums import Array


def decibels(numerator: Array, denominator: Array) -> Array:
    """``10 log10`` of a ratio of energies."""
    xp = numerator.__array_namespace__()
    return 10 * xp.log10(numerator / denominator)


def median(values: Array) -> Array:
    """Median over the last axis of what is not NaN, infinities included; NaN without any.

    With as many values on either side it is the mean of the two in the middle.
    """
    xp = values.__array_namespace__()
    if values.shape[-1] == 0:
        return xp.full(values.shape[:-1], float("nan"), dtype=values.dtype)
    ordered = xp.sort(values, axis=-1)  # NaN comes last
    count = xp.sum(~xp.isnan(values), axis=-1, keepdims=True)
    low, high = (xp.take_along_axis(ordered, index, axis=-1) for index in (xp.maximum(count - 1, 0) // 2, count // 2))
    return xp.where(low == high, low, (low + high) / 2)[..., 0]
