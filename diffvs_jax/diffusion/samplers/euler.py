"""Euler's method: first order, N evaluations. The same as DDIM in EDM's parametrisation."""

import jax
import jax.numpy as jnp

from diffvs_jax.diffusion.edm import Denoise
from diffvs_jax.diffusion.samplers.settings import DEFAULT, Draw, SamplerSettings, per_example, repeat


def euler(denoise: Denoise, draw: Draw, sigmas: jax.Array, settings: SamplerSettings = DEFAULT) -> jax.Array:
    """One evaluation per step, along the slope at its start."""
    noise = draw(0)
    sigmas = jnp.asarray(sigmas, noise.dtype)

    def step(x, i):
        slope = (x - denoise(x, per_example(sigmas[i], x))) / sigmas[i]
        return x + (sigmas[i + 1] - sigmas[i]) * slope

    return repeat(step, noise * sigmas[0], sigmas.shape[0] - 1, settings.unroll)
