import numpy as np
import pytest
import scipy.signal

from diffvs_jax.metrics.blocks import precision
from diffvs_jax.metrics.spectral import log_spectral_distance

N_FFT, HOP = 256, 64


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    reference = 0.3 * rng.standard_normal((1000, 2)).astype(np.float32)
    return reference, np.float32(0.5) * reference + np.float32(0.02) * rng.standard_normal((1000, 2), np.float32)


def expected_distance(reference, estimate, floor_db=-100.0):
    """By numpy's spectra of every frame that touches the signal."""
    around = [(N_FFT - HOP, N_FFT - HOP), (0, 0)]
    levels = []
    for audio in (reference, estimate):
        padded = np.pad(audio.astype(np.float64), around)
        frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=0)[::HOP]
        spectrum = np.fft.rfft(frames * scipy.signal.windows.hann(N_FFT, sym=False)) / (N_FFT / 4)
        levels.append(np.maximum(20 * np.log10(np.abs(spectrum) + 1e-30), floor_db))
    return np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=-1)).mean()


@pytest.mark.parametrize("dtype, atol", [("float32", 1e-3), ("float64", 1e-6)])
def test_distance_of_numpys_spectra(pair, dtype, atol):
    with precision(dtype):
        found = log_spectral_distance(*(x.astype(dtype)[:960] for x in pair), N_FFT, HOP)
    assert float(found) == pytest.approx(expected_distance(*(x[:960] for x in pair)), abs=atol)


def test_a_gain_is_a_distance_of_its_own_level(pair):
    reference, _ = pair
    batch = np.stack([reference, reference, reference])
    gains = np.array([1.0, 0.1, -2.0], np.float32)[:, None, None]
    found = log_spectral_distance(batch, gains * batch, N_FFT, HOP, -200.0)
    np.testing.assert_allclose(found, [0, 20, 20 * np.log10(2)], atol=1e-3)


def test_what_lies_below_the_floor_does_not_differ(pair):
    reference, _ = pair
    assert float(log_spectral_distance(reference, 0 * reference, N_FFT, HOP, 200.0)) != 0  # NaN: all below
    tone = np.cos(2 * np.pi * 8 / N_FFT * np.arange(960))[:, None].astype(np.float32)
    quiet, quieter = (tone + level * np.roll(tone, 3) for level in (1e-7, 1e-8))
    assert float(log_spectral_distance(quiet, quieter, N_FFT, HOP, -20.0)) < 1e-3


def test_silence_around_changes_nothing_and_alone_is_nan(pair):
    padded = [np.pad(x, [(0, 500), (0, 0)]) for x in pair]
    expected = log_spectral_distance(*pair, N_FFT, HOP)
    np.testing.assert_allclose(log_spectral_distance(*padded, N_FFT, HOP), expected, atol=1e-4)
    assert np.isnan(log_spectral_distance(*(0 * x for x in pair), N_FFT, HOP))
    assert float(log_spectral_distance(pair[0], 0 * pair[0], N_FFT, HOP)) > 40


def test_phases_do_not_matter():
    time = np.arange(2000)[:, None]
    sine, cosine = (wave(2 * np.pi * 20 / N_FFT * time).astype(np.float32) for wave in (np.sin, np.cos))
    with precision("float64"):
        whole = log_spectral_distance(sine[300:1300], cosine[300:1300], N_FFT, HOP, -40.0)
    assert float(whole) < 3  # from the edges alone
