import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion import edm

SIGMAS = np.float32([0.002, 0.1, 0.5, 1.0, 7.0, 80.0])
SIGMA_DATA = 0.5


@pytest.fixture(scope="module")
def coefficients():
    return jax.jit(edm.preconditioning, static_argnums=1)(SIGMAS, SIGMA_DATA)


@pytest.fixture(scope="module")
def gaussian():
    """Clean and noise ``[6, 40_000]``, both standard normal."""
    return np.random.default_rng(0).standard_normal((2, SIGMAS.size, 40_000)).astype(np.float32)


def test_coefficients_at_sigma_one_by_hand(coefficients):
    at_one = [float(value[3]) for value in coefficients]
    np.testing.assert_allclose(at_one, [0.2, 0.5 / np.sqrt(1.25), 1 / np.sqrt(1.25), 0], rtol=1e-6)


def test_network_sees_unit_variance(coefficients):
    np.testing.assert_allclose(coefficients.c_in**2 * (SIGMA_DATA**2 + SIGMAS**2), np.ones(6), rtol=1e-5)


def test_network_learns_a_unit_variance_target(coefficients):
    c_skip, c_out = np.float64(coefficients.c_skip), np.float64(coefficients.c_out)
    # The target of F is (y - c_skip (y + n)) / c_out with independent y and n.
    variance = ((1 - c_skip) ** 2 * SIGMA_DATA**2 + c_skip**2 * np.float64(SIGMAS) ** 2) / c_out**2
    np.testing.assert_allclose(variance, np.ones(6), rtol=1e-4)


def test_skip_keeps_the_networks_errors_smallest(coefficients):
    skips = np.linspace(0, 1, 100_001)[:, None]
    c_out = np.sqrt((1 - skips) ** 2 * SIGMA_DATA**2 + skips**2 * np.float64(SIGMAS) ** 2)
    np.testing.assert_allclose(coefficients.c_skip, skips[c_out.argmin(axis=0), 0], atol=1e-5)
    np.testing.assert_allclose(coefficients.c_out, c_out.min(axis=0), rtol=1e-4)


def test_noise_level_is_told_as_a_quarter_of_its_logarithm(coefficients):
    np.testing.assert_allclose(np.exp(4 * coefficients.c_noise), SIGMAS, rtol=1e-5)


def test_loss_weight_cancels_the_output_scale(coefficients):
    weight = edm.loss_weight(jnp.asarray(SIGMAS), SIGMA_DATA)
    np.testing.assert_allclose(weight * coefficients.c_out**2, np.ones(6), rtol=1e-5)


def test_denoiser_wraps_the_network_example_by_example():
    def network(scaled, c_noise):
        return scaled**2 + c_noise[:, None, None]

    x = np.random.default_rng(0).standard_normal((6, 3, 2)).astype(np.float32)
    got = edm.precondition(network, SIGMA_DATA)(x, jnp.asarray(SIGMAS))
    for row, s, value in zip(x.astype(float), SIGMAS.astype(float), got, strict=True):
        total = s**2 + 0.25
        expected = row * 0.25 / total + 0.5 * s / np.sqrt(total) * ((row / np.sqrt(total)) ** 2 + np.log(s) / 4)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_without_noise_the_denoiser_returns_its_input():
    denoise = edm.precondition(lambda scaled, c_noise: 100 * jnp.ones_like(scaled), SIGMA_DATA)
    x = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)
    np.testing.assert_allclose(denoise(x, jnp.full((2,), 1e-9)), x, atol=1e-6)
    assert np.abs(denoise(x, jnp.full((2,), 1.0)) - x).min() > 1


def test_an_untrained_network_starts_at_loss_one_for_every_sigma(gaussian):
    clean, noise = gaussian
    denoise = edm.precondition(lambda scaled, c_noise: jnp.zeros_like(scaled), SIGMA_DATA)
    losses = edm.loss(denoise, SIGMA_DATA * clean, noise, jnp.asarray(SIGMAS), SIGMA_DATA)
    assert losses.shape == (6,)
    np.testing.assert_allclose(losses, np.ones(6), rtol=0.03)


def test_loss_of_the_ideal_gaussian_denoiser_is_its_posterior_variance(gaussian):
    clean, noise = gaussian
    v = 0.09  # data quieter than sigma_data says

    def ideal(x, sigma):
        return x * (v / (v + jnp.square(sigma)))[:, None]

    losses = edm.loss(ideal, np.float32(v**0.5) * clean, noise, jnp.asarray(SIGMAS), SIGMA_DATA)
    square = np.float64(SIGMAS) ** 2
    expected = v * square / (v + square) * (square + 0.25) / (square * 0.25)
    np.testing.assert_allclose(losses, expected, rtol=0.03)


def test_log_sigma_is_normal_with_the_given_moments():
    log_sigma = np.log(edm.draw_sigma(jax.random.key(0), 20_000, -1.2, 0.7))
    assert log_sigma.shape == (20_000,)
    np.testing.assert_allclose([log_sigma.mean(), log_sigma.std()], [-1.2, 0.7], atol=0.02)
    np.testing.assert_allclose(np.mean(np.abs(log_sigma + 1.2) < 0.7), 0.683, atol=0.015)
