import numpy as np
import pytest
from scipy import stats

from diffvs_jax.evaluation.bootstrap import bootstrap_interval

DIFFERENCES = np.random.default_rng(3).gamma(2.0, 0.4, 40) - 0.3


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_interval_is_scipys(statistic):
    theirs = stats.bootstrap(
        (DIFFERENCES,), statistic, n_resamples=10_000, confidence_level=0.9, method="percentile", rng=7
    ).confidence_interval
    ours = bootstrap_interval(DIFFERENCES, statistic, confidence=0.9)
    np.testing.assert_allclose(ours, theirs, atol=0.015)


def test_of_a_mean_it_is_the_normal_interval_where_values_are_many():
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose(bootstrap_interval(values), (values.mean() - half, values.mean() + half), atol=0.01)


def test_a_seed_says_it_all():
    assert bootstrap_interval(DIFFERENCES, seed=1) == bootstrap_interval(DIFFERENCES, seed=1)
    assert bootstrap_interval(DIFFERENCES, seed=1) != bootstrap_interval(DIFFERENCES, seed=2)


def test_equal_values_leave_no_doubt():
    assert bootstrap_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert bootstrap_interval([0.5], np.median) == (0.5, 0.5)


def test_without_values_there_is_no_interval():
    assert np.isnan(bootstrap_interval([])).all()
