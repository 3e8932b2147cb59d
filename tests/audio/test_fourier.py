import jax
import numpy as np
import pytest

from diffvs_jax.audio.fourier import irfft, rfft

# Squares, powers of two, primes, odd and even factors, and both ways to place the Nyquist bin.
SIZES = pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 9, 12, 16, 18, 30, 49, 50, 882, 1024, 4096])


def random_signal(n, dtype=np.float64):
    return np.random.default_rng(n).standard_normal((2, 3, n)).astype(dtype)


def random_spectrum(n):
    rng = np.random.default_rng(n)
    return rng.standard_normal((2, 3, n // 2 + 1)) + 1j * rng.standard_normal((2, 3, n // 2 + 1))


@SIZES
def test_both_are_numpys_in_float64(n):
    signal, spectrum = random_signal(n), random_spectrum(n)
    with jax.enable_x64():
        bins, samples = rfft(jax.numpy.asarray(signal)), irfft(jax.numpy.asarray(spectrum), n)
    assert bins.dtype == np.complex128 and samples.dtype == np.float64
    np.testing.assert_allclose(bins, np.fft.rfft(signal), atol=1e-12 * n)
    np.testing.assert_allclose(samples, np.fft.irfft(spectrum, n), atol=1e-13 * n)


@pytest.mark.parametrize("n", [882, 4096])
def test_both_are_numpys_in_float32(n):
    signal, spectrum = random_signal(n, np.float32), random_spectrum(n).astype(np.complex64)
    bins, samples = jax.jit(rfft)(signal), jax.jit(irfft, static_argnums=1)(spectrum, n)
    assert bins.dtype == np.complex64 and samples.dtype == np.float32
    expected = np.fft.rfft(signal.astype(np.float64))
    np.testing.assert_allclose(bins, expected, atol=1e-6 * np.abs(expected).max())
    expected = np.fft.irfft(spectrum.astype(np.complex128), n)
    np.testing.assert_allclose(samples, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("n", [18, 30])
def test_gradients_are_those_of_jaxs_own(n):
    signal, weight = random_signal(n, np.float32), random_signal(n + n % 2, np.float32)

    def power(transform, inverse):
        def of(x):
            bins = transform(x)
            return (abs(bins) ** 2 * weight[..., : n // 2 + 1]).sum() + (inverse(bins**2, n) * weight[..., :n]).sum()

        return of

    ours = jax.grad(power(rfft, irfft))(signal)
    theirs = jax.grad(power(jax.numpy.fft.rfft, lambda bins, n: jax.numpy.fft.irfft(bins, n)))(signal)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
