"""EDM's stochastic sampler (Algorithm 2): Heun's method with fresh noise before steps."""

import jax
import jax.numpy as jnp

from diffvs_jax.diffusion.edm import Denoise
from diffvs_jax.diffusion.samplers.heun import heun
from diffvs_jax.diffusion.samplers.settings import DEFAULT, Draw, SamplerSettings


def stochastic_heun(denoise: Denoise, draw: Draw, sigmas: jax.Array, settings: SamplerSettings = DEFAULT) -> jax.Array:
    """Heun, with the noise level raised by ``s_churn / N`` of itself (at most 0.41) before each step.

    Only in steps whose sigma lies in [s_t_min, s_t_max]; ``s_churn`` 0 is Heun's method.
    """
    if settings.s_churn == 0:
        return heun(denoise, draw, sigmas, settings)
    most = min(settings.s_churn / (sigmas.shape[0] - 1), 2**0.5 - 1)

    def raise_noise(x: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
        sigma = jnp.asarray(sigmas, x.dtype)[step]
        gamma = most * ((sigma >= settings.s_t_min) & (sigma <= settings.s_t_max))
        # sqrt(sigma_hat^2 - sigma^2), but exactly zero where gamma is: a fused difference of squares is not.
        added = sigma * jnp.sqrt(gamma * (2 + gamma)) * settings.s_noise
        return x + added * draw(step + 1), sigma * (1 + gamma)

    return heun(denoise, draw, sigmas, settings, raise_noise)
