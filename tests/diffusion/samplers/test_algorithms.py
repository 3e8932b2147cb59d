"""Every sampler against its published algorithm, written out in numpy in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion.samplers import SAMPLERS, SamplerSettings, sigma_grid
from tests.diffusion.problems import TABLE, curved, draw

CHURN = SamplerSettings(s_churn=2.0, s_t_min=0.05, s_t_max=3.0, s_noise=1.007)


def at(x, sigma):
    return curved(x, np.full(len(x), sigma), np=np)


def algorithm_1(sigmas):
    """Karras et al. 2022, deterministic sampling with Heun's method."""
    x = TABLE[0] * sigmas[0]
    for t, t_next in itertools.pairwise(sigmas):
        d = (x - at(x, t)) / t
        x_next = x + (t_next - t) * d
        if t_next != 0:
            d_prime = (x_next - at(x_next, t_next)) / t_next
            x_next = x + (t_next - t) * (d / 2 + d_prime / 2)
        x = x_next
    return x


def algorithm_2(sigmas):
    """Karras et al. 2022, stochastic sampling, one line per line of it."""
    n = len(sigmas) - 1
    x = TABLE[0] * sigmas[0]
    for i in range(n):
        gamma = min(CHURN.s_churn / n, np.sqrt(2) - 1) if CHURN.s_t_min <= sigmas[i] <= CHURN.s_t_max else 0
        t_hat = sigmas[i] + gamma * sigmas[i]
        x_hat = x + np.sqrt(t_hat**2 - sigmas[i] ** 2) * CHURN.s_noise * TABLE[i + 1]
        d = (x_hat - at(x_hat, t_hat)) / t_hat
        x = x_hat + (sigmas[i + 1] - t_hat) * d
        if sigmas[i + 1] != 0:
            d_prime = (x - at(x, sigmas[i + 1])) / sigmas[i + 1]
            x = x_hat + (sigmas[i + 1] - t_hat) * (d + d_prime) / 2
    return x


def euler(sigmas):
    """dx/dsigma = (x - D) / sigma, along the tangent."""
    x = TABLE[0] * sigmas[0]
    for t, t_next in itertools.pairwise(sigmas):
        x = x + (t_next - t) * (x - at(x, t)) / t
    return x


def multistep(sigmas):
    """Lu et al. 2022, DPM-Solver++(2M), with alpha = 1 and lambda = -ln sigma; first and last step of first order."""
    x = TABLE[0] * sigmas[0]
    lambdas = -np.log(np.where(sigmas > 0, sigmas, np.nan))
    previous = None
    for i in range(len(sigmas) - 1):
        data = at(x, sigmas[i])
        h = np.inf if sigmas[i + 1] == 0 else lambdas[i + 1] - lambdas[i]
        combined = data
        if i > 0 and sigmas[i + 1] > 0:
            r = (lambdas[i] - lambdas[i - 1]) / h
            combined = (1 + 1 / (2 * r)) * data - 1 / (2 * r) * previous
        x = sigmas[i + 1] / sigmas[i] * x - np.expm1(-h) * combined
        previous = data
    return x


CASES = [
    pytest.param("heun", 0.0, algorithm_1, id="heun"),
    pytest.param("stochastic_heun", 0.0, algorithm_1, id="no_churn"),
    pytest.param("stochastic_heun", CHURN.s_churn, algorithm_2, id="churn"),
    pytest.param("euler", 0.0, euler, id="euler"),
    pytest.param("dpmpp_2m", 0.0, multistep, id="dpmpp_2m"),
]


@functools.partial(jax.jit, static_argnames=("name", "unroll", "churn"))
def sample(sigmas, name, unroll, churn=0.0):
    settings = SamplerSettings(unroll, churn, CHURN.s_t_min, CHURN.s_t_max, CHURN.s_noise)
    return SAMPLERS[name](curved, draw, sigmas, settings)


@pytest.mark.parametrize("num_steps", [1, 2, 7])
@pytest.mark.parametrize(("name", "churn", "published"), CASES)
def test_a_sampler_is_its_published_algorithm_unrolled_and_scanned(name, churn, published, num_steps):
    sigmas = sigma_grid(num_steps, 0.1, 5, 3)
    expected = published(sigmas)
    unrolled, scanned = (sample(jnp.asarray(sigmas, jnp.float32), name, unroll, churn) for unroll in (True, False))
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(unrolled, expected, atol=1e-5)
    np.testing.assert_allclose(scanned, unrolled, atol=1e-5)


def test_every_sampler_has_its_case():
    assert {case.values[0] for case in CASES} == SAMPLERS.keys()


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_step_is_the_one_step_estimate(name):
    got = sample(jnp.float32([5, 0]), name, True)
    np.testing.assert_allclose(got, at(5 * TABLE[0].astype(float), 5.0), atol=1e-5)


@pytest.mark.parametrize(("churn", "factor"), [(1.0, 1.25), (40.0, np.sqrt(2))], ids=["some", "most"])
def test_churn_acts_from_its_lowest_to_its_highest_sigma_both_included(churn, factor):
    settings = SamplerSettings(s_churn=churn, s_t_min=1.0, s_t_max=2.0)

    @jax.jit
    def visited(sigmas):
        levels = []

        def denoise(x, sigma):
            levels.append(sigma[0])
            return x

        SAMPLERS["stochastic_heun"](denoise, draw, sigmas, settings)
        return levels

    levels = visited(jnp.float32([4, 2, 1, 0.5, 0]))  # exact in binary: both bounds are met exactly
    np.testing.assert_allclose(levels, [4, 2, 2 * factor, 1, factor, 0.5, 0.5], rtol=1e-6)


def test_churn_keeps_the_spread_of_the_data():
    sigmas = jnp.asarray(sigma_grid(40, 0.002, 20, 5), jnp.float32)

    def solve(s_churn):
        def denoise(x, sigma):
            return x * (0.25 / (0.25 + jnp.square(sigma)))[:, None]

        def draw(index):
            return jax.random.normal(jax.random.fold_in(jax.random.key(0), index), (1, 20_000))

        settings = SamplerSettings(unroll=False, s_churn=s_churn)
        return np.asarray(jax.jit(lambda s: SAMPLERS["stochastic_heun"](denoise, draw, s, settings))(sigmas))

    calm, churned = solve(0.0), solve(10.0)
    np.testing.assert_allclose([calm.std(), churned.std()], [0.5, 0.5], rtol=0.02)
    assert np.corrcoef(calm[0], churned[0])[0, 1] < 0.9  # new noise did come in
