import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion.samplers import Churn, heun, sigma_grid
from diffvs_jax.errors import InputError

ODE = Churn()
CHURN = Churn(s_churn=2.0, t_min=0.2, t_max=3.0, s_noise=1.007)
NOISE = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(np.float32)


def gaussian_denoiser(variance):
    """The ideal denoiser of N(0, variance) data."""
    return lambda x, sigma: x * (variance / (variance + jnp.square(sigma))).reshape(-1, *[1] * (x.ndim - 1))


def curved_denoiser(x, sigma, np=jnp):
    """Not linear in x, mixes elements, and depends on sigma."""
    weight = (0.25 / (0.25 + sigma**2)).reshape(-1, 1, 1)
    return weight * np.tanh(x) + 0.1 * np.roll(x, 1, axis=-1) / (1 + sigma.reshape(-1, 1, 1))


@functools.partial(jax.jit, static_argnames=("unroll", "churn"))
def sample(sigmas, unroll, churn=ODE):
    return heun(curved_denoiser, jnp.asarray(NOISE), sigmas, unroll=unroll, churn=churn, key=jax.random.key(3))


def algorithm_2(denoise, noise, sigmas, churn, fresh):
    """Karras et al. 2022, Algorithm 2, one line per line of it."""
    n = len(sigmas) - 1
    x = noise * sigmas[0]
    for i in range(n):
        gamma = min(churn.s_churn / n, np.sqrt(2) - 1) if churn.t_min <= sigmas[i] <= churn.t_max else 0
        t_hat = sigmas[i] + gamma * sigmas[i]
        x_hat = x + np.sqrt(t_hat**2 - sigmas[i] ** 2) * churn.s_noise * fresh[i]
        d = (x_hat - denoise(x_hat, np.full(len(x), t_hat))) / t_hat
        x = x_hat + (sigmas[i + 1] - t_hat) * d
        if sigmas[i + 1] != 0:
            d_prime = (x - denoise(x, np.full(len(x), sigmas[i + 1]))) / sigmas[i + 1]
            x = x_hat + (sigmas[i + 1] - t_hat) * (d + d_prime) / 2
    return x


def test_grid_ends_exactly_and_falls():
    grid = sigma_grid(7, 0.002, 80, 7)
    assert grid.shape == (8,) and grid[-1] == 0
    np.testing.assert_allclose(grid[[0, 6]], [80, 0.002], rtol=1e-12)
    assert (np.diff(grid) < 0).all()


def test_grid_is_evenly_spaced_in_its_rho_th_root():
    for rho in (1, 3, 7):
        roots = sigma_grid(9, 0.01, 10, rho)[:-1] ** (1 / rho)
        np.testing.assert_allclose(np.diff(roots), np.full(8, (0.01 ** (1 / rho) - 10 ** (1 / rho)) / 8), rtol=1e-9)
    np.testing.assert_allclose(sigma_grid(3, 1, 9, 2), [9, 4, 1, 0])


def test_one_step_goes_from_sigma_max_to_the_one_step_estimate():
    np.testing.assert_allclose(sigma_grid(1, 0.002, 5, 7), [5, 0], rtol=1e-12)
    expected = curved_denoiser(5 * NOISE.astype(float), np.full(2, 5.0), np=np)
    np.testing.assert_allclose(sample(jnp.float32([5, 0]), True), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.002, 80, 7), "num_steps is 0"),
        ((7, 0, 80, 7), "sigma_min < sigma_max, got 0 and 80"),
        ((7, 5, 5, 7), "got 5 and 5"),
        ((7, 0.002, 80, 0), "rho is 0"),
    ],
)
def test_bad_grids_name_their_numbers(arguments, message):
    with pytest.raises(InputError, match=message):
        sigma_grid(*arguments)


@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.parametrize("churn", [ODE, CHURN], ids=["ode", "churn"])
@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_sampler_is_the_papers_algorithm_2(num_steps, churn, unroll):
    sigmas = sigma_grid(num_steps, 0.1, 5, 3)
    keys = [jax.random.fold_in(jax.random.key(3), step) for step in range(num_steps)]
    fresh = [np.asarray(jax.random.normal(key, NOISE.shape), float) for key in keys]
    expected = algorithm_2(functools.partial(curved_denoiser, np=np), NOISE.astype(float), sigmas, churn, fresh)
    got = sample(jnp.asarray(sigmas, jnp.float32), unroll, churn)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("churn", [ODE, CHURN], ids=["ode", "churn"])
@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_scan_and_unrolled_steps_agree(num_steps, churn):
    sigmas = jnp.asarray(sigma_grid(num_steps, 0.1, 5, 3), jnp.float32)
    np.testing.assert_allclose(sample(sigmas, False, churn), sample(sigmas, True, churn), atol=1e-5)


def test_error_falls_with_the_square_of_the_step_on_a_gaussian():
    variance, top = 0.25, 4.0
    exact = top * NOISE * np.sqrt(variance / (variance + top**2))
    errors = []
    for num_steps in (10, 20, 40):
        sigmas = jnp.asarray(sigma_grid(num_steps, 0.002, top, 3), jnp.float32)
        solved = jax.jit(lambda s: heun(gaussian_denoiser(variance), jnp.asarray(NOISE), s, unroll=False))(sigmas)
        errors.append(np.abs(solved - exact).max() / np.abs(exact).max())
    assert errors[2] < 5e-3
    np.testing.assert_allclose(np.log2([errors[0] / errors[1], errors[1] / errors[2]]), [2, 2], atol=0.4)


@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_unrolled_solver_evaluates_the_network_2n_minus_1_times_and_scan_holds_one_copy(num_steps):
    sigmas = jnp.asarray(sigma_grid(num_steps, 0.1, 5, 3), jnp.float32)
    for unroll, copies in ((True, 2 * num_steps - 1), (False, 1)):
        levels = []

        def counting(x, sigma, levels=levels):
            levels.append(sigma)
            return curved_denoiser(x, sigma)

        jax.eval_shape(lambda s, unroll=unroll, d=counting: heun(d, jnp.asarray(NOISE), s, unroll=unroll), sigmas)
        assert len(levels) == copies
        assert all(sigma.shape == (2,) and sigma.dtype == jnp.float32 for sigma in levels)


def test_a_sweep_over_grids_compiles_once():
    traces = 0

    @jax.jit
    def solve(sigmas):
        nonlocal traces
        traces += 1
        return heun(curved_denoiser, jnp.asarray(NOISE), sigmas, unroll=False)

    results = [solve(jnp.asarray(sigma_grid(4, 0.01, top, rho), jnp.float32)) for top, rho in ((10, 5), (80, 7))]
    assert traces == 1
    assert np.abs(results[0] - results[1]).max() > 1e-3


def test_churn_keeps_the_spread_of_the_data():
    variance, steps = 0.25, 40
    sigmas = jnp.asarray(sigma_grid(steps, 0.002, 20, 5), jnp.float32)
    noise = jax.random.normal(jax.random.key(0), (1, 20_000))

    @functools.partial(jax.jit, static_argnums=0)
    def solve(s_churn):
        churn = Churn(s_churn=s_churn)
        return heun(gaussian_denoiser(variance), noise, sigmas, unroll=False, churn=churn, key=jax.random.key(1))

    calm, churned = np.asarray(solve(0.0)), np.asarray(solve(10.0))
    np.testing.assert_allclose([calm.std(), churned.std()], [0.5, 0.5], rtol=0.02)
    assert np.corrcoef(calm[0], churned[0])[0, 1] < 0.9  # new noise did come in


def test_churn_needs_a_key():
    with pytest.raises(ValueError, match="key"):
        heun(curved_denoiser, jnp.asarray(NOISE), jnp.float32([1, 0]), churn=CHURN)


def test_gradients_through_the_last_step_are_finite():
    def total(noise, unroll):
        return heun(curved_denoiser, noise, jnp.float32([3, 1, 0]), unroll=unroll).sum()

    for unroll in (True, False):
        gradient = jax.jit(jax.grad(total), static_argnums=1)(jnp.asarray(NOISE), unroll)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
