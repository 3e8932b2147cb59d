import numpy as np
import pytest
from scipy import signal

from diffvs_jax.data.augmentation import equaliser

RATE = 44_100


def decibels(section, hertz):
    """Gain of a second-order section at some frequencies, as scipy sees it."""
    _, response = signal.freqz_sos(np.atleast_2d(section), hertz, fs=RATE)
    return 20 * np.log10(np.abs(response))


@pytest.mark.parametrize("gain", [-9.0, 6.0])
@pytest.mark.parametrize("hertz", [100.0, 3000.0])
def test_a_bell_has_its_gain_at_its_centre_and_none_far_away(gain, hertz):
    section = equaliser.bell(hertz, gain, 1.0, RATE)
    np.testing.assert_allclose(decibels(section, [hertz, 0.001, 22_049.99]), [gain, 0, 0], atol=1e-3)
    around = decibels(section, [hertz / 1.3, hertz * 1.3])
    assert (np.abs(around) < abs(gain)).all() and (np.sign(around) == np.sign(gain)).all()


def test_a_higher_quality_makes_a_narrower_bell():
    narrow, broad = (decibels(equaliser.bell(1000.0, 6.0, quality, RATE), [1500.0])[0] for quality in (4.0, 0.5))
    assert 0 < narrow < 1 and 4 < broad < 6


@pytest.mark.parametrize("gain", [-9.0, 6.0])
@pytest.mark.parametrize("high", [False, True])
def test_a_shelf_has_its_gain_on_its_side_and_half_at_its_corner(gain, high):
    below, corner, above = decibels(equaliser.shelf(2000.0, gain, RATE, high=high), [0.001, 2000.0, 22_049.99])
    assert corner == pytest.approx(gain / 2, abs=1e-6)
    assert (below, above) == (
        pytest.approx(0 if high else gain, abs=1e-3),
        pytest.approx(gain if high else 0, abs=1e-3),
    )


@pytest.mark.parametrize("rate", [8000, RATE])
def test_filters_are_stable_and_stay_within_their_gain(rate):
    rng = np.random.default_rng(0)
    impulse = np.zeros((rate, 2), np.float32)
    impulse[0] = [1, -0.5]
    for _ in range(20):
        response, words = equaliser.random_equaliser(impulse, 6.0, rate, rng)
        assert np.abs(response[-100:]).max() < 1e-6
        np.testing.assert_allclose(response[:, 1], -0.5 * response[:, 0], atol=1e-6)
        gains = 20 * np.log10(np.abs(np.fft.rfft(response[:, 0])))
        assert 0.3 < np.abs(gains).max() < 24.1
        assert words.startswith("EQ ")


def test_without_gain_nothing_changes():
    stem = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)
    same, _ = equaliser.random_equaliser(stem, 0.0, RATE, np.random.default_rng(1))
    np.testing.assert_allclose(same, stem, atol=1e-6)
    assert same.dtype == np.float32
