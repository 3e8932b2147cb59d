import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.metrics.ratios import decibels, median

NAN, INF = np.nan, np.inf
CASES = [
    ([3.0, 1.0, 2.0, NAN], 2.0),
    ([4.0, NAN, 1.0, NAN], 2.5),
    ([NAN, NAN, NAN, NAN], NAN),
    ([1.0, INF, INF, NAN], INF),  # an interpolation between two infinities would be NaN
    ([1.0, INF, INF, 0.0], INF),
    ([-INF, -INF, -INF, 5.0], -INF),
    ([-INF, NAN, NAN, 5.0], -INF),
    ([7.0, NAN, NAN, NAN], 7.0),
]


@pytest.mark.parametrize("numpy_like", [np, jnp])
def test_the_median_passes_over_nan_and_knows_infinity(numpy_like):
    values, expected = (numpy_like.asarray(column) for column in zip(*CASES, strict=True))
    np.testing.assert_array_equal(median(values), expected)


def test_the_median_of_nothing_is_nan():
    np.testing.assert_array_equal(median(np.zeros((2, 0))), [NAN, NAN])


def test_decibels():
    np.testing.assert_allclose(decibels(np.array([100.0, 1.0]), np.array([1.0, 10.0])), [20, -10])
