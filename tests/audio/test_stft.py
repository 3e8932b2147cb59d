import jax
import librosa
import numpy as np
import pytest

from diffvs_jax.audio import stft as module

SIZES = pytest.mark.parametrize(("n_fft", "hop"), [(4096, 1024), (512, 256)])
stft = jax.jit(module.stft, static_argnums=(1, 2))
istft = jax.jit(module.istft, static_argnums=(1, 2))


def librosa_stft(audio, n_fft, hop):
    spectrum = librosa.stft(audio, n_fft=n_fft, hop_length=hop, window="hann", center=True, pad_mode="reflect")
    return spectrum.swapaxes(-1, -2)


def librosa_istft(spectrum, n_fft, hop):
    return librosa.istft(spectrum.swapaxes(-1, -2), n_fft=n_fft, hop_length=hop, window="hann", center=True)


def random_spectrum(n_fft, frames):
    """No signal has it: neighbouring frames contradict each other."""
    rng = np.random.default_rng(1)
    shape = (2, frames, n_fft // 2 + 1)
    spectrum = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    spectrum[..., [0, -1]] = spectrum[..., [0, -1]].real
    return spectrum


@SIZES
@pytest.mark.parametrize("extra", [0, 100])
def test_stft_is_librosas(n_fft, hop, extra):
    audio = np.random.default_rng(0).standard_normal((2, 9 * hop + extra)).astype(np.float32)
    expected = librosa_stft(audio, n_fft, hop)
    got = stft(audio, n_fft, hop)
    assert got.shape == (2, 10, n_fft // 2 + 1) and got.dtype == np.complex64
    np.testing.assert_allclose(got, expected, atol=1e-6 * np.abs(expected).max())


@SIZES
def test_istft_undoes_stft(n_fft, hop):
    audio = np.random.default_rng(0).uniform(-1, 1, (2, 9 * hop)).astype(np.float32)
    np.testing.assert_allclose(istft(stft(audio, n_fft, hop), n_fft, hop), audio, atol=1e-5)


@SIZES
def test_istft_of_an_inconsistent_spectrum_is_librosas(n_fft, hop):
    spectrum = random_spectrum(n_fft, 10)
    expected = librosa_istft(spectrum, n_fft, hop)
    np.testing.assert_allclose(istft(spectrum, n_fft, hop), expected, atol=1e-5 * np.abs(expected).max())


def test_imaginary_parts_at_dc_and_nyquist_are_ignored():
    spectrum = random_spectrum(512, 6)
    disturbed = spectrum.copy()
    disturbed[..., [0, -1]] += 5j
    np.testing.assert_allclose(istft(disturbed, 512, 256), istft(spectrum, 512, 256), atol=1e-6)
    disturbed[..., 1] += 5j
    assert np.abs(istft(disturbed, 512, 256) - istft(spectrum, 512, 256)).max() > 1e-3


def test_leading_axes_are_batch_axes():
    audio = np.random.default_rng(0).standard_normal((2, 3, 1024)).astype(np.float32)
    spectrum = stft(audio, 512, 256)
    assert spectrum.shape == (2, 3, 5, 257)
    np.testing.assert_allclose(spectrum[1, 2], stft(audio[1:2, 2], 512, 256)[0], atol=1e-4)
    np.testing.assert_allclose(istft(spectrum, 512, 256), audio, atol=1e-5)
