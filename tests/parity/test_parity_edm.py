"""Preconditioning, denoiser and loss, around our U-Net, against EDM's own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.diffusion import edm
from diffvs_jax.diffusion.samplers import SAMPLERS, SamplerSettings, sigma_grid
from tests.parity.golden import assert_near, each
from tests.parity.networks import channels_last, unet
from tests.parity.recording import record


@functools.cache
def network(golden):
    """F(scaled x, c_noise); only it is compiled, once for every shape, and all around it runs as written."""
    module, params = unet(golden, golden.facts["config"]["unet"])
    return functools.partial(jax.jit(module.apply), {"params": params})


def denoiser(golden):
    return edm.precondition(network(golden), golden.facts["config"]["sigma_data"])


@each("golden coefficient", "edm_precond*", lambda golden: [(name,) for name in edm.Preconditioning._fields])
def test_preconditioning(golden, coefficient):
    got = edm.preconditioning(jnp.asarray(golden["grid/sigma"]), golden.facts["config"]["sigma_data"])
    rtol = golden.tolerance("grid: rtol NUMBER")
    # The logarithm crosses zero at sigma 1, where there is nothing to be relative to.
    np.testing.assert_allclose(getattr(got, coefficient), golden[f"grid/{coefficient}"], rtol=rtol, atol=1e-7)


@each("golden", "edm_precond*")
def test_denoiser_and_the_network_in_it(golden):
    raw = []

    def recording(x, c_noise):
        raw.append(network(golden)(x, c_noise))
        return raw[-1]

    x, sigma = channels_last(golden["D/x"]), jnp.asarray(golden["D/sigma"])
    got = edm.precondition(recording, golden.facts["config"]["sigma_data"])(x, sigma)
    tolerance = golden.tolerance(r"D: NUMBER\*max\(1,max\|D\|\)")
    assert_near(got, channels_last(golden["D/D"]), tolerance)
    assert_near(raw[0], channels_last(golden["D/F"]), tolerance)


@each("golden", "edm_precond*")
def test_noise_levels_of_given_draws(golden, monkeypatch):
    config, draws = golden.facts["config"], golden["loss/rnd_normal"].ravel()
    monkeypatch.setattr(jax.random, "normal", lambda key, shape: jnp.asarray(draws).reshape(shape))
    got = edm.draw_sigma(jax.random.key(0), draws.size, config["P_mean"], config["P_std"])
    np.testing.assert_allclose(got, golden["loss/sigma"].ravel(), rtol=golden.tolerance("grid: rtol NUMBER"))


@each("golden", "edm_precond*")
def test_loss_of_given_draws(golden):
    clean, noise = channels_last(golden["loss/y"]), channels_last(golden["loss/noise_unit"])
    sigma, sigma_data = jnp.asarray(golden["loss/sigma"].ravel()), golden.facts["config"]["sigma_data"]
    rtol = golden.tolerance("loss: rtol NUMBER")

    weight = edm.loss_weight(sigma, sigma_data)
    np.testing.assert_allclose(weight, golden["loss/weight"].ravel(), rtol=rtol)

    denoised = []

    def recording(x, sigma):
        denoised.append(denoiser(golden)(x, sigma))
        return denoised[-1]

    got = edm.loss(recording, clean, noise, sigma, sigma_data)
    assert_near(got, golden["loss/per_example_mean"], rtol, least=0)
    assert_near(got.mean(), golden["loss/mean"], rtol, least=0)  # all examples are of one size
    elements = weight[:, None, None, None] * jnp.square(denoised[0] - clean)
    assert_near(elements, channels_last(golden["loss/loss"]), rtol, least=0)


@each("golden", "edm_precond*")
def test_heun_through_the_network(golden):
    config = golden.facts["config"]
    sigmas = sigma_grid(config["num_steps"], config["sigma_min"], config["sigma_max"], config["rho"])
    latents = jnp.asarray(channels_last(golden["sampler/latents"]))
    course = record(
        lambda denoise: SAMPLERS["heun"](denoise, lambda step: latents, jnp.asarray(sigmas), SamplerSettings()),
        denoiser(golden),
    )
    np.testing.assert_allclose(
        course.call_sigmas, golden["sampler/call_sigmas"], rtol=golden.tolerance("grid: rtol NUMBER")
    )
    tolerance = golden.tolerance(r"traj: NUMBER \* max\|traj")
    for got, expected in zip(course.states, golden["sampler/traj"], strict=True):
        assert_near(got, channels_last(expected), tolerance, least=0)
