import numpy as np
import pytest
import scipy.signal

from diffvs_jax.metrics.blocks import precision
from diffvs_jax.metrics.spectral import log_spectral_distance

N_FFT, HOP = 256, 64
LENGTH, SOUND = 1472, 960  # samples, of which the first hold something


def expected_distance(reference, estimate):
    """By numpy's spectra of every frame that touches the signal."""
    levels = []
    for audio in (reference, estimate):
        padded = np.pad(audio[:SOUND].astype(np.float64), [(N_FFT - HOP, N_FFT - HOP), (0, 0)])
        frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=0)[::HOP]
        spectrum = np.fft.rfft(frames * scipy.signal.windows.hann(N_FFT, sym=False)) / (N_FFT / 4)
        levels.append(np.maximum(20 * np.log10(np.abs(spectrum) + 1e-30), -100))
    return np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=-1)).mean()


@pytest.fixture(scope="module")
def pairs():
    """References and estimates, which end in silence."""
    rng = np.random.default_rng(0)
    noise, other = 0.3 * rng.standard_normal((2, LENGTH, 2))
    tone, shifted = (np.cos(2 * np.pi * 0.1 * np.arange(LENGTH) + phase)[:, None] * [1, 0.5] for phase in (0, 1.5))
    pairs = {
        "noise": (noise, 0.5 * noise + 0.1 * other),
        "exact": (noise, noise),
        "gain": (noise, -2 * noise),
        "phase": (tone, shifted),
        "inaudible": (1e-7 * noise, 1e-6 * noise),
        "silent estimate": (noise, 0 * noise),
        "silence": (0 * noise, 0 * noise),
    }
    references, estimates = (np.stack(column) for column in zip(*pairs.values(), strict=True))
    references[:, SOUND:] = estimates[:, SOUND:] = 0
    return list(pairs), references, estimates


@pytest.mark.parametrize("dtype, atol", [("float32", 1e-3), ("float64", 1e-6)])
def test_distances(pairs, dtype, atol):
    names, references, estimates = pairs
    with precision(dtype):
        batch = log_spectral_distance(references.astype(dtype), estimates.astype(dtype), N_FFT, HOP)
    found = dict(zip(names, np.asarray(batch), strict=True))
    assert batch.dtype == dtype
    for name in ("noise", "gain", "phase", "silent estimate"):
        expected = expected_distance(*(stems[names.index(name)] for stems in (references, estimates)))
        np.testing.assert_allclose(found[name], expected, atol=atol, err_msg=name)
    assert found["exact"] == 0
    assert found["gain"] == pytest.approx(20 * np.log10(2), abs=1e-2)
    assert found["phase"] < 10 < 40 < found["silent estimate"]
    assert np.isnan([found["inaudible"], found["silence"]]).all()
