"""Heun's method, what the paper samples with (EDM, Algorithm 1): second order, 2 N - 1 evaluations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffvs_jax.diffusion.edm import Denoise
from diffvs_jax.diffusion.samplers.settings import DEFAULT, Draw, SamplerSettings, per_example, repeat

# Before a step: (x, its number) to a noisier x and its noise level.
RaiseNoise = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def heun(
    denoise: Denoise,
    draw: Draw,
    sigmas: jax.Array,
    settings: SamplerSettings = DEFAULT,
    raise_noise: RaiseNoise | None = None,
) -> jax.Array:
    """Euler predictor, trapezoid corrector, no corrector on the last step.

    See the package for the first four arguments; ``raise_noise`` makes it stochastic.
    """
    noise = draw(0)
    sigmas = jnp.asarray(sigmas, noise.dtype)
    num_steps = sigmas.shape[0] - 1
    raised = raise_noise or (lambda x, step: (x, sigmas[step]))

    def evaluate(state, evaluation):
        """Evaluation 2 i predicts step i, evaluation 2 i + 1 corrects it: one call of the network for both."""
        x, start, slope = state  # where to evaluate, where the step began, and the slope there
        step, correcting = evaluation // 2, evaluation % 2 == 1
        noisier, sigma = raised(x, step)
        sigma_next = sigmas[step + 1]
        at = jnp.where(correcting, sigma_next, sigma)
        x = jnp.where(correcting, x, noisier)
        slope_here = (x - denoise(x, per_example(at, x))) / at
        start = jnp.where(correcting, start, x)
        slope_used = jnp.where(correcting, 0.5 * (slope + slope_here), slope_here)
        return start + (sigma_next - sigma) * slope_used, start, slope_here

    x = noise * sigmas[0]
    return repeat(evaluate, (x, x, jnp.zeros_like(x)), 2 * num_steps - 1, settings.unroll)[0]
