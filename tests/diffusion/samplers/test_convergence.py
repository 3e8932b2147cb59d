"""How fast samplers near the exact solution, in float64: rounding must not hide it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from diffvs_jax.diffusion.samplers import SAMPLERS, SamplerSettings, sigma_grid
from tests.diffusion.problems import gaussian

NOISE = np.array([-2, -1.3, -0.7, -0.2, 0.1, 0.5, 1, 1.7])
VARIANCE, TOP, BOTTOM = 0.09, 5.0, 0.1
COUNTS = np.array([16, 32, 64, 128])


def two_sided(x, sigma):
    """The ideal denoiser of N(-1, VARIANCE) and N(1, VARIANCE) in equal parts."""
    square = jnp.square(sigma)[:, None]
    return (VARIANCE * x + square * jnp.tanh(x / (VARIANCE + square))) / (VARIANCE + square)


def quantile(x, sigma):
    """Share of noisy data below x."""
    spread = np.sqrt(VARIANCE + sigma**2)
    return (norm.cdf((x - 1) / spread) + norm.cdf((x + 1) / spread)) / 2


def solve(name, denoise, sigmas):
    program = jax.jit(lambda s: SAMPLERS[name](denoise, lambda _: jnp.asarray(NOISE[None]), s, SamplerSettings(False)))
    return np.asarray(program(sigmas))


@pytest.mark.parametrize(
    ("name", "order", "largest"),
    [("euler", 1, 1e-2), ("heun", 2, 1e-4), ("stochastic_heun", 2, 1e-4), ("dpmpp_2m", 2, 1e-4)],
)
def test_error_falls_with_the_samplers_order(name, order, largest):
    """In one dimension the flow keeps every point's quantile, whatever the data: the exact solution.

    It is followed to the last noise level above zero. All samplers' last step, to zero, is the
    denoiser's answer there: it takes no share in the order, and the exact solution takes it too.
    """
    with jax.enable_x64(True):
        exact = [
            brentq(lambda x, start=start: quantile(x, BOTTOM) - quantile(TOP * start, TOP), -9, 9, xtol=1e-14)
            for start in NOISE
        ]
        expected = np.asarray(two_sided(jnp.asarray([exact]), jnp.full((1,), BOTTOM)))
        assert expected.dtype == np.float64 and np.ptp(expected) > 1.9  # both sides are reached
        solved = [solve(name, two_sided, sigma_grid(count + 1, BOTTOM, TOP, 7)) for count in COUNTS]
    errors = [np.sqrt(np.mean((values - expected) ** 2)) for values in solved]
    slope = np.polyfit(np.log(COUNTS), np.log(errors), 1)[0]
    assert slope == pytest.approx(-order, abs=0.1), f"{errors}"
    assert errors[-1] < largest


@pytest.mark.parametrize(("name", "largest"), [("euler", 0.06), ("heun", 5e-3), ("dpmpp_2m", 5e-3)])
def test_a_gaussian_shrinks_to_its_own_spread(name, largest):
    sigmas = sigma_grid(40, 0.002, 4, 7)
    exact = NOISE * 4 * np.sqrt(VARIANCE / (VARIANCE + 4**2))
    with jax.enable_x64(True):
        error = np.abs(solve(name, gaussian(VARIANCE), sigmas)[0] - exact).max() / np.abs(exact).max()
    assert error < largest
