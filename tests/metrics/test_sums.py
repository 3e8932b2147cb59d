import jax
import numpy as np
import pytest

from diffvs_jax.metrics import sdr
from diffvs_jax.metrics.blocks import precision
from diffvs_jax.metrics.sums import frame_sums


@pytest.fixture(scope="module")
def pair():
    """Ten seconds at a high level, with an offset that makes sums grow."""
    rng = np.random.default_rng(0)
    reference = (0.4 * rng.standard_normal((80_000, 2)) + 0.2).astype(np.float32)
    error = rng.standard_normal(reference.shape).astype(np.float32)
    return reference, error


def test_sums_are_those_of_numpy(pair):
    s, noise = pair
    e = np.float32(0.5) * s + np.float32(0.1) * noise
    sums = jax.jit(frame_sums, static_argnums=2)(s[:70_001], e[:70_001], 8000)
    s, e = (np.pad(x[:70_001].astype(np.float64), [(0, 1999), (0, 0)]).reshape(9, -1) for x in (s, e))
    gain = (e * s).sum(axis=1) / (s * s).sum(axis=1)
    np.testing.assert_allclose(sums.signal, (s**2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(sums.estimate, (e**2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(sums.error, ((e - s) ** 2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(sums.gain, gain, rtol=1e-6)
    np.testing.assert_allclose(sums.residual, ((e - gain[:, None] * s) ** 2).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(sums.silent, [False] * 9)
    assert np.abs(sums.cross / sums.signal).max() < 1e-6


@pytest.mark.parametrize("gain", [0.5, -1.0, 1.0])
@pytest.mark.parametrize("level", [-20.0, -40.0, -80.0])
def test_float32_is_right_however_small_the_error_and_whatever_the_gain(pair, gain, level):
    """The gain drifts a little, too, as those of seconds do."""
    reference, noise = pair
    drift = np.linspace(0.999, 1.001, len(reference))[:, None]
    estimate = (gain * drift * reference + 10 ** (level / 20) * noise).astype(np.float32)
    s, e = (x.astype(np.float64).ravel() for x in (reference, estimate))
    projection = s * (np.dot(e, s) / np.dot(s, s))
    expected = 10 * np.log10(np.sum(projection**2) / np.sum((projection - e) ** 2))
    np.testing.assert_allclose(sdr.si_sdr(reference, estimate), expected, rtol=0, atol=1e-4)
    with precision("float64"):
        np.testing.assert_allclose(sdr.si_sdr(s.reshape(-1, 2), e.reshape(-1, 2)), expected, rtol=0, atol=1e-9)
    error = 10 * np.log10((np.sum(s**2) + 1e-7) / (np.sum((s - e) ** 2) + 1e-7))
    np.testing.assert_allclose(sdr.usdr(reference, estimate), error, rtol=0, atol=1e-4)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(100, 2\), \(99, 2\)"):
        frame_sums(np.ones((100, 2)), np.ones((99, 2)), 10)
