"""What a sampler makes of the program around it: evaluations, types, gradients and compilations."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion.samplers import SAMPLERS, SamplerSettings, num_evaluations, sigma_grid
from tests.diffusion.problems import TABLE, curved, draw

every_sampler = pytest.mark.parametrize("name", SAMPLERS)
both_loops = pytest.mark.parametrize("unroll", [True, False], ids=["unrolled", "scanned"])


def settings(name, unroll):
    return SamplerSettings(unroll=unroll, s_churn=2.0 if name == "stochastic_heun" else 0.0)


@both_loops
@every_sampler
@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_evaluations_are_counted_right_and_a_scan_holds_one_copy(name, num_steps, unroll):
    levels = []

    def counting(x, sigma):
        levels.append(sigma)
        return curved(x, sigma)

    sigmas = jnp.asarray(sigma_grid(num_steps, 0.1, 5, 3), jnp.float32)
    jax.eval_shape(lambda s: SAMPLERS[name](counting, draw, s, settings(name, unroll)), sigmas)
    assert len(levels) == (num_evaluations(name, num_steps) if unroll else 1)
    assert all(sigma.shape == (2,) and sigma.dtype == jnp.float32 for sigma in levels)


def test_second_order_costs_twice_as_much_with_heun_alone():
    assert {name: num_evaluations(name, 7) for name in SAMPLERS} == {
        "heun": 13,
        "stochastic_heun": 13,
        "euler": 7,
        "dpmpp_2m": 7,
    }


@both_loops
@every_sampler
@pytest.mark.parametrize(("dtype", "wide"), [("float32", False), ("float32", True), ("float64", True)])
def test_the_state_never_leaves_the_type_of_the_noise(name, unroll, dtype, wide):
    seen = []

    def denoise(x, sigma):
        seen.extend([x.dtype, sigma.dtype])
        return curved(x, sigma)

    def solve(sigmas):
        return SAMPLERS[name](denoise, lambda index: draw(index).astype(dtype), sigmas, settings(name, unroll))

    with jax.enable_x64(True) if wide else contextlib.nullcontext():
        # The grid is wider than a float32 state where it can be.
        out = jax.eval_shape(solve, jnp.asarray(sigma_grid(3, 0.1, 5, 3)))
    assert {out.dtype, *seen} == {jnp.dtype(dtype)}


@both_loops
@every_sampler
@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_gradients_through_the_last_step_are_finite(name, num_steps, unroll):
    def denoise(x, sigma):  # as a network's denoiser: infinite at sigma 0
        return curved(x, sigma) + 0.01 * jnp.log(sigma)[:, None, None]

    @jax.jit
    @jax.value_and_grad
    def total(noise):
        sigmas = jnp.asarray(sigma_grid(num_steps, 0.5, 3, 3), jnp.float32)
        return SAMPLERS[name](denoise, lambda index: noise[index], sigmas, settings(name, unroll)).sum()

    value, gradient = total(jnp.asarray(TABLE))
    assert np.isfinite(value) and np.isfinite(gradient).all()
    read = num_steps + 1 if name == "stochastic_heun" else 1
    assert (np.abs(gradient).max(axis=(1, 2, 3)) > 0).sum() == read


@every_sampler
def test_a_sweep_over_grids_compiles_once(name):
    traces = 0

    @jax.jit
    def solve(sigmas):
        nonlocal traces
        traces += 1
        return SAMPLERS[name](curved, draw, sigmas, settings(name, unroll=False))

    results = [solve(jnp.asarray(sigma_grid(4, 0.01, top, rho), jnp.float32)) for top, rho in ((10, 5), (80, 7))]
    assert traces == 1
    assert np.abs(results[0] - results[1]).max() > 1e-3
