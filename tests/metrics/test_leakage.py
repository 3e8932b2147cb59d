import numpy as np
import pytest

from diffvs_jax.metrics.leakage import leakage

RATE, SECONDS = 100, 5


@pytest.fixture
def song():
    """A stem that is silent in seconds 1, 2 and 4, and a mixture that is silent in second 4 and in the tail."""
    rng = np.random.default_rng(0)
    reference = 0.1 * rng.standard_normal((SECONDS * RATE + 50, 2)).astype(np.float32)
    rest = 0.1 * rng.standard_normal(reference.shape).astype(np.float32)
    reference[RATE : 3 * RATE] = 0
    reference[4 * RATE :] = rest[4 * RATE :] = 0
    return reference, reference + rest


def test_leakage_is_the_level_beside_the_mixture_where_the_stem_is_silent(song):
    reference, mixture = song
    estimate = reference.copy()
    estimate[RATE : 2 * RATE] += 0.1 * mixture[RATE : 2 * RATE]
    estimate[2 * RATE : 3 * RATE] -= 0.01 * mixture[2 * RATE : 3 * RATE]
    estimate[4 * RATE :] = 1.0  # nothing leaks from a silent mixture, and the tail is no second
    assert float(leakage(reference, estimate, mixture, RATE)) == pytest.approx((-20 - 40) / 2, abs=1e-3)
    estimate[2 * RATE : 3 * RATE] = 0
    assert float(leakage(reference, estimate, mixture, RATE)) == -np.inf  # halfway to it


def test_the_mixture_itself_leaks_0_db_and_silence_none(song):
    reference, mixture = song
    batch = np.stack([mixture, 0 * mixture])
    found = leakage(np.stack([reference] * 2), batch, np.stack([mixture] * 2), RATE)
    np.testing.assert_array_equal(found, [0, -np.inf])


def test_without_a_silent_second_there_is_none(song):
    _, mixture = song
    assert np.isnan(leakage(mixture, mixture, mixture, RATE))
    assert np.isnan(leakage(0 * mixture, mixture, 0 * mixture, RATE))
    assert np.isnan(leakage(mixture[:99], mixture[:99], mixture[:99], RATE))


def test_silent_is_what_lies_so_far_below_the_mixture(song):
    reference, mixture = song
    quiet = np.where(reference == 0, 0.001 * mixture, reference)  # 60 dB below
    assert np.isnan(leakage(quiet * 1.1, mixture, mixture, RATE))
    assert float(leakage(quiet * 0.9, mixture, mixture, RATE)) == 0
    assert float(leakage(quiet * 1.1, mixture, mixture, RATE, silence_db=-50)) == 0
    assert np.isnan(leakage(0.001 * reference, mixture, 0.001 * mixture, RATE))  # a mixture that is silent itself
