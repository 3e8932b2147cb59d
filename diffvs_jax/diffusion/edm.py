"""EDM: preconditioning, noise draw and loss (Karras et al. 2022, arXiv 2206.00364, Table 1).

Functions take a raw network ``network(scaled_x, c_noise)`` or a ``denoise(x, sigma)`` and know
nothing else about it. Sigma is ``[B]``; tensors are ``[B, ...]``.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Denoise = Callable[[jax.Array, jax.Array], jax.Array]


class Preconditioning(NamedTuple):
    """The four coefficients of ``D = c_skip x + c_out F(c_in x, c_noise)``, each like sigma."""

    c_skip: jax.Array
    c_out: jax.Array
    c_in: jax.Array
    c_noise: jax.Array


def preconditioning(sigma: jax.Array, sigma_data: float) -> Preconditioning:
    """Coefficients at noise level ``sigma`` (EDM Table 1, column "Ours"), in float32 or better."""
    variance = jnp.square(sigma) + sigma_data**2
    return Preconditioning(
        c_skip=sigma_data**2 / variance,
        c_out=sigma * sigma_data / jnp.sqrt(variance),
        c_in=1 / jnp.sqrt(variance),
        c_noise=jnp.log(sigma) / 4,
    )


def precondition(network: Denoise, sigma_data: float) -> Denoise:
    """Denoiser ``D(x, sigma)`` around a raw ``network(c_in x, c_noise)`` (EDM eq. 7)."""

    def denoise(x: jax.Array, sigma: jax.Array) -> jax.Array:
        c = preconditioning(sigma, sigma_data)
        raw = network(_like(c.c_in, x) * x, c.c_noise)
        return _like(c.c_skip, x) * x + _like(c.c_out, x) * raw.astype(x.dtype)

    return denoise


def draw_sigma(key: jax.Array, batch_size: int, p_mean: float, p_std: float) -> jax.Array:
    """Training noise levels ``[B]``: ln sigma ~ N(p_mean, p_std^2)."""
    return jnp.exp(p_mean + p_std * jax.random.normal(key, (batch_size,)))


def loss_weight(sigma: jax.Array, sigma_data: float) -> jax.Array:
    """Lambda(sigma), which makes every noise level's loss 1 at the start (EDM Table 1)."""
    return (jnp.square(sigma) + sigma_data**2) / jnp.square(sigma * sigma_data)


def squared_error(
    denoise: Denoise, clean: jax.Array, noise: jax.Array, sigma: jax.Array, sigma_data: float
) -> jax.Array:
    """Weighted squared denoising error ``[B, ...]``, whose mean over elements is EDM's loss (EDM eq. 8).

    Args:
      denoise: ``D(x, sigma)``.
      clean: ``[B, ...]`` targets y.
      noise: standard normal, like ``clean``.
      sigma: ``[B]`` noise levels.
      sigma_data: standard deviation of ``clean``.
    """
    error = denoise(clean + _like(sigma, clean) * noise, sigma) - clean
    return _like(loss_weight(sigma, sigma_data), clean) * jnp.square(error)


def loss(denoise: Denoise, clean: jax.Array, noise: jax.Array, sigma: jax.Array, sigma_data: float) -> jax.Array:
    """EDM's loss of every example ``[B]``: the mean of ``squared_error``, which says what the arguments are."""
    return jnp.mean(squared_error(denoise, clean, noise, sigma, sigma_data), axis=tuple(range(1, clean.ndim)))


def _like(sigma: jax.Array, x: jax.Array) -> jax.Array:
    return sigma.reshape(sigma.shape + (1,) * (x.ndim - sigma.ndim))
