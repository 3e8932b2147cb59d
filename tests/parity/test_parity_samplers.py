"""Heun's method and its stochastic form against EDM's edm_sampler, on a denoiser in closed form."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion.samplers import SAMPLERS, SamplerSettings, num_evaluations, sigma_grid
from tests.parity.golden import assert_near, each
from tests.parity.recording import record

FLOAT64 = pytest.mark.parametrize("wide", [True, False], ids=["float64", "float32"])


@pytest.fixture
def dtype(wide):
    with jax.enable_x64(wide):
        yield jnp.float64 if wide else jnp.float32


@functools.cache
def gmm_denoiser(golden):
    """The ideal denoiser of a mixture of Gaussians N(mu_k, s_k^2 I) of weights w_k, in the type of x."""
    w, mu, s = (golden[f"gmm/{name}"] for name in ("w", "mu", "s"))

    @jax.jit
    def denoise(x, sigma):
        weights, means, spread = (jnp.asarray(values, x.dtype)[None] for values in (w, mu, s**2))
        variance = spread + jnp.square(sigma)[:, None]  # [B, K]
        offsets = x[:, None] - means  # [B, K, d]
        squares = jnp.square(offsets).sum(axis=-1)
        logits = jnp.log(weights) - squares / (2 * variance) - x.shape[-1] / 2 * jnp.log(variance)
        shrunk = means + (spread / variance)[..., None] * offsets
        return (jax.nn.softmax(logits)[..., None] * shrunk).sum(axis=1)

    return denoise


def case_grid(golden, case):
    """A case's noise levels, by our own grid: N and the ends as its levels have them, rho as its name has it."""
    t, rho = golden[f"{case}/t"], re.search(r"rho([\d.]+)", case)
    assert rho, f"{golden}: case {case!r} does not name its rho"
    return sigma_grid(len(t) - 1, golden.facts["config"]["sigma_min"], t[0], float(rho[1]))


def state_tolerance(golden, wide):
    """Of a state: the tolerance, and the least size that it is relative to."""
    if wide:
        return golden.tolerance(r"float64: rtol NUMBER of max\|traj"), 0.0
    return golden.tolerance(r"traj NUMBER\*max\(1,max\|traj"), 1.0


def list_cases(golden):
    return [(case,) for case in golden.facts["cases"]]


@FLOAT64
@each("golden", "edm_sampler*")
def test_the_denoiser_in_closed_form(golden, wide, dtype):
    x, sigma = (jnp.asarray(golden[f"denoiser_check/{name}"], dtype) for name in ("x", "sigma"))
    assert_near(gmm_denoiser(golden)(x, sigma), golden["denoiser_check/D"], *state_tolerance(golden, wide))


@each("golden case", "edm_sampler*", list_cases)
def test_noise_levels(golden, case):
    np.testing.assert_allclose(case_grid(golden, case), golden[f"{case}/t"], rtol=golden.tolerance("rtol NUMBER"))


@FLOAT64
@each("golden case", "edm_sampler*", list_cases)
def test_heun_step_by_step(golden, case, wide, dtype):
    sigmas, latents = case_grid(golden, case), jnp.asarray(golden["latents"], dtype)
    course = record(
        lambda denoise: SAMPLERS["heun"](denoise, lambda step: latents, sigmas, SamplerSettings(unroll=True)),
        gmm_denoiser(golden),
    )
    assert len(course.call_sigmas) == golden[f"{case}/n_calls"] == num_evaluations("heun", len(sigmas) - 1)
    for got, expected in zip(course.states, golden[f"{case}/traj"], strict=True):
        assert got.dtype == dtype
        assert_near(got, expected, *state_tolerance(golden, wide))


@functools.partial(jax.jit, static_argnums=(0, 1))
def heun_scanned(golden, settings, latents, sigmas):
    return SAMPLERS["heun"](gmm_denoiser(golden), lambda step: latents, sigmas, settings)


@FLOAT64
@each("golden case", "edm_sampler*", list_cases)
def test_heun_scanned_ends_where_it_should(golden, case, wide, dtype):
    latents, sigmas = (jnp.asarray(values, dtype) for values in (golden["latents"], case_grid(golden, case)))
    got = heun_scanned(golden, SamplerSettings(unroll=False), latents, sigmas)
    assert_near(got, golden[f"{case}/traj"][-1], *state_tolerance(golden, wide))


def churned_grid(golden):
    """Noise levels of the run with churn: those of the case that it has in common, or else as the prose has them."""
    corrected = golden["churn/call_sigmas"][1::2]  # every second call, at the next level, which no noise raised
    for case in golden.facts["cases"]:
        inner = golden[f"{case}/t"][1:-1]
        if inner.shape == corrected.shape and np.allclose(inner, corrected, rtol=1e-12):
            return case_grid(golden, case)
    num_steps, rho, sigma_max = golden.numbers("what", r"churn.*\(N=NUMBER, rho NUMBER, smax NUMBER\)")
    return sigma_grid(int(num_steps), golden.facts["config"]["sigma_min"], sigma_max, rho)


def churned(golden, dtype, unroll):
    """The run with churn, as a function of the denoiser, and its number of steps."""
    config = golden.facts["config"]["churn"]
    settings = SamplerSettings(
        unroll=unroll,
        s_churn=config["S_churn"],
        s_t_min=config["S_min"],
        s_t_max=config["S_max"],
        s_noise=config["S_noise"],
    )
    noise = jnp.asarray(np.concatenate([golden["latents"][None], golden["churn/eps"]]), dtype)  # in order of draws
    sigmas = churned_grid(golden)
    sampler = SAMPLERS["stochastic_heun"]
    return lambda denoise: sampler(denoise, lambda step: noise[step], sigmas, settings), len(sigmas) - 1


def where(key):
    """One case in a file that has the array."""
    return lambda golden: [()] * (key in golden.arrays)


@FLOAT64
@each("golden", "edm_sampler*", where("churn/final"))
def test_churn_with_given_noise(golden, wide, dtype):
    solve, num_steps = churned(golden, dtype, unroll=True)
    course = record(solve, gmm_denoiser(golden))
    assert_near(course.states[-1], golden["churn/final"], *state_tolerance(golden, wide))
    assert len(course.call_sigmas) == num_evaluations("stochastic_heun", num_steps)
    rtol = golden.tolerance("float64: rtol NUMBER" if wide else "t rtol NUMBER")
    np.testing.assert_allclose(course.call_sigmas, golden["churn/call_sigmas"], rtol=rtol)


@FLOAT64
@each("golden", "edm_sampler*", where("churn/final"))
def test_churn_scanned_ends_where_it_should(golden, wide, dtype):
    solve, _ = churned(golden, dtype, unroll=False)
    got = jax.jit(lambda: solve(gmm_denoiser(golden)))()
    assert_near(got, golden["churn/final"], *state_tolerance(golden, wide))


@FLOAT64
@each("golden", "edm_sampler*", where("N1/one_step_D"))
def test_one_step_is_the_denoisers_estimate(golden, wide, dtype):
    """By convention: the reference has no grid of one step."""
    (sigma_max,) = golden.numbers("what", r"x = D\(NUMBER\*latents")
    sigmas = sigma_grid(1, golden.facts["config"]["sigma_min"], sigma_max, 1.0)  # any rho
    latents = jnp.asarray(golden["latents"], dtype)
    got = heun_scanned(golden, SamplerSettings(), latents, jnp.asarray(sigmas, dtype))
    assert_near(got, golden["N1/one_step_D"], *state_tolerance(golden, wide))
