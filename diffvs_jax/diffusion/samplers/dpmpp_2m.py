"""DPM-Solver++(2M) in EDM's parametrisation: second order, N evaluations (Lu et al. 2022, arXiv 2211.01095)."""

import jax
import jax.numpy as jnp

from diffvs_jax.diffusion.edm import Denoise
from diffvs_jax.diffusion.samplers.settings import DEFAULT, Draw, SamplerSettings, per_example, repeat


def dpmpp_2m(denoise: Denoise, draw: Draw, sigmas: jax.Array, settings: SamplerSettings = DEFAULT) -> jax.Array:
    """Exponential integrator in lambda = -ln sigma, extrapolating from the previous step's denoised estimate.

    The first step has no previous one, and the last, to sigma 0, is infinitely long in lambda:
    both are of first order, x = ratio x + (1 - ratio) D.
    """
    noise = draw(0)
    sigmas = jnp.asarray(sigmas, noise.dtype)
    num_steps = sigmas.shape[0] - 1
    ratios = sigmas[1:] / sigmas[:-1]  # exp(-h) of every step, h its length in lambda
    lengths = -jnp.log(ratios[:-1])
    inner = lengths[1:] / (2 * lengths[:-1])  # h / (2 h_previous), of steps 1 ... N - 2
    weights = jnp.zeros_like(ratios).at[1 : num_steps - 1].set(inner)

    def step(state, i):
        x, previous = state
        denoised = denoise(x, per_example(sigmas[i], x))
        extrapolated = denoised + weights[i] * (denoised - previous)
        return ratios[i] * x + (1 - ratios[i]) * extrapolated, denoised

    return repeat(step, (noise * sigmas[0], jnp.zeros_like(noise)), num_steps, settings.unroll)[0]
