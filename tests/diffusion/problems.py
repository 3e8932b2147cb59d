"""Denoisers to sample with, and noise that a test can look up."""

import jax.numpy as jnp
import numpy as np

TABLE = np.random.default_rng(0).standard_normal((9, 2, 3, 5)).astype(np.float32)


def draw(index):
    """The noise of a sampler's ``draw``, for up to eight steps."""
    return jnp.asarray(TABLE)[index]


def curved(x, sigma, np=jnp):
    """A denoiser that is not linear in x, mixes elements, and depends on sigma."""
    weight = (0.25 / (0.25 + sigma**2)).reshape(-1, 1, 1)
    return weight * np.tanh(x) + 0.1 * np.roll(x, 1, axis=-1) / (1 + sigma.reshape(-1, 1, 1))


def gaussian(variance, mean=0.0):
    """The ideal denoiser of N(mean, variance) data."""

    def denoise(x, sigma):
        square = jnp.square(sigma).reshape(-1, *[1] * (x.ndim - 1))
        return (variance * x + square * mean) / (variance + square)

    return denoise
