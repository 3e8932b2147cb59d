"""Sigma grid and Heun's method for the probability-flow ODE (EDM, Algorithms 1 and 2).

The grid is an argument of the compiled program, so a sweep over sigma_max or rho never
recompiles; only its length shapes the program.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.diffusion.edm import Denoise
from diffvs_jax.errors import InputError


def sigma_grid(num_steps: int, sigma_min: float, sigma_max: float, rho: float) -> np.ndarray:
    """Noise levels of ``num_steps`` steps and a final zero, float64 ``[num_steps + 1]`` (EDM eq. 5).

    One step is legal: it goes from ``sigma_max`` to zero and returns D(sigma_max).
    """
    if num_steps < 1:
        raise InputError(f"sampler.num_steps is {num_steps}; at least 1 is needed")
    if not 0 < sigma_min < sigma_max:
        raise InputError(f"sampler needs 0 < sigma_min < sigma_max, got {sigma_min} and {sigma_max}")
    if rho <= 0:
        raise InputError(f"sampler.rho is {rho}; it must be positive")
    ramp = np.arange(num_steps) / max(num_steps - 1, 1)
    start, end = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return np.append((start + ramp * (end - start)) ** rho, 0.0)


@dataclasses.dataclass(frozen=True)
class Churn:
    """EDM's stochastic sampler (Algorithm 2): noise added before steps with sigma in [t_min, t_max]."""

    s_churn: float = 0.0
    t_min: float = 0.0
    t_max: float = float("inf")
    s_noise: float = 1.0


def heun(
    denoise: Denoise,
    noise: jax.Array,
    sigmas: jax.Array,
    *,
    unroll: bool = True,
    churn: Churn = Churn(),
    key: jax.Array | None = None,
) -> jax.Array:
    """Solves from ``sigmas[0]`` to zero: 2 N - 1 evaluations, no corrector on the last step.

    Args:
      denoise: ``D(x [B, ...], sigma [B])``.
      noise: standard normal ``[B, ...]``, float32 or better; the state never leaves its type.
      sigmas: ``[N + 1]`` falling noise levels, the last of them zero.
      unroll: copy the network into the program 2 N - 1 times (the compiler may fuse across
        evaluations), or scan over one copy (compiles several times faster, same result).
      churn: noise to add on the way; needs ``key`` when ``s_churn`` is positive.
      key: randomness for ``churn``.

    Returns:
      The sample ``[B, ...]``.
    """
    sigmas = jnp.asarray(sigmas, noise.dtype)
    num_steps = sigmas.shape[0] - 1
    # Evaluation 2 i predicts step i and evaluation 2 i + 1 corrects it; the last step has no corrector.
    state = (noise * sigmas[0], noise * sigmas[0], jnp.zeros_like(noise))
    if unroll:
        for evaluation in range(2 * num_steps - 1):
            step = _correct if evaluation % 2 else _predict
            state = step(denoise, state, sigmas, evaluation // 2, churn, key)
        return state[0]

    def either(state, evaluation):
        return _either(denoise, state, sigmas, evaluation, churn, key), None

    return jax.lax.scan(either, state, jnp.arange(2 * num_steps - 1))[0][0]


# The state is (x to evaluate at, x the step started from, slope there).


def _predict(denoise, state, sigmas, step, churn, key):
    """Euler step from sigmas[step] to sigmas[step + 1]."""
    x, sigma = _add_churn(state[0], sigmas, step, churn, key)
    slope = (x - denoise(x, _per_example(sigma, x))) / sigma
    return x + (sigmas[step + 1] - sigma) * slope, x, slope


def _correct(denoise, state, sigmas, step, churn, key):
    """Replaces the Euler step by the trapezoid rule."""
    predicted, start, slope = state
    sigma = _churned_sigma(sigmas, step, churn)
    sigma_next = sigmas[step + 1]
    slope_next = (predicted - denoise(predicted, _per_example(sigma_next, predicted))) / sigma_next
    x = start + (sigma_next - sigma) * 0.5 * (slope + slope_next)
    return x, start, slope


def _either(denoise, state, sigmas, evaluation, churn, key):
    """Predictor or corrector by the evaluation's parity, with a single call of the network."""
    step, correcting = evaluation // 2, evaluation % 2 == 1
    x, start, slope = state
    churned, sigma = _add_churn(x, sigmas, step, churn, key)
    sigma_next = sigmas[step + 1]
    x = jnp.where(correcting, x, churned)
    at = jnp.where(correcting, sigma_next, sigma)
    slope_here = (x - denoise(x, _per_example(at, x))) / at
    start = jnp.where(correcting, start, x)
    slope_used = jnp.where(correcting, 0.5 * (slope + slope_here), slope_here)
    return start + (sigma_next - sigma) * slope_used, start, jnp.where(correcting, slope, slope_here)


def _churned_sigma(sigmas, step, churn):
    return sigmas[step] * (1 + _gamma(sigmas, step, churn))


def _gamma(sigmas, step, churn):
    """EDM's gamma_i: the share by which churn raises the noise level before a step."""
    gamma = min(churn.s_churn / (sigmas.shape[0] - 1), 2**0.5 - 1)
    return gamma * ((sigmas[step] >= churn.t_min) & (sigmas[step] <= churn.t_max))


def _add_churn(x, sigmas, step, churn, key):
    """Raises the noise level of x before a step (EDM Algorithm 2, lines 4-6)."""
    if churn.s_churn == 0:
        return x, sigmas[step]
    if key is None:
        raise ValueError("churn needs a random key")
    fresh = jax.random.normal(jax.random.fold_in(key, step), x.shape, x.dtype) * churn.s_noise
    gamma = _gamma(sigmas, step, churn)
    # sqrt(sigma_hat^2 - sigma^2), but exactly zero where gamma is: a fused difference of squares is not.
    added = sigmas[step] * jnp.sqrt(gamma * (2 + gamma))
    return x + added * fresh, _churned_sigma(sigmas, step, churn)


def _per_example(sigma, x):
    return jnp.full((x.shape[0],), sigma, x.dtype)
