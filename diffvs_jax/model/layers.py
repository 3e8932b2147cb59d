"""Blocks of the DDPM++ U-Net, layout ``[B, T, F, C]`` (Song et al. 2021; Karras et al. 2022, appendix F)."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from diffvs_jax.errors import InputError

SKIP_SCALE = math.sqrt(0.5)  # keeps the variance of a sum of two branches
NEAR_ZERO = 1e-5  # initial scale of layers that end a residual branch


def xavier(scale: float = 1.0) -> nn.initializers.Initializer:
    """Xavier uniform whose weights are then multiplied by ``scale``."""
    return nn.initializers.variance_scaling(scale**2, "fan_avg", "uniform")


def conv(features: int, size: int, dtype: jnp.dtype, scale: float = 1.0, name: str | None = None) -> nn.Conv:
    """Square convolution that keeps height and width."""
    return nn.Conv(features, (size, size), padding="SAME", dtype=dtype, kernel_init=xavier(scale), name=name)


def group_norm(channels: int, dtype: jnp.dtype, name: str | None = None) -> nn.GroupNorm:
    """GroupNorm with DDPM++'s min(32, C / 4) groups; statistics in float32.

    Raises:
      InputError: the groups do not divide ``channels`` (a decoder's are those of its input and skip).
    """
    groups = max(min(32, channels // 4), 1)
    if channels % groups:
        raise InputError(
            f"GroupNorm's {groups} groups do not divide a layer of {channels} channels; "
            "choose model.channels and model.channel_mult so that every width is a multiple of 32"
        )
    return nn.GroupNorm(num_groups=groups, epsilon=1e-6, dtype=dtype, force_float32_reductions=True, name=name)


def downsample(x: jax.Array) -> jax.Array:
    """Halves frequency by a two-tap mean; time keeps its frames."""
    b, t, f, c = x.shape
    return x.reshape(b, t, f // 2, 2, c).mean(axis=3)


def upsample(x: jax.Array) -> jax.Array:
    """Doubles frequency by repeating every bin."""
    return jnp.repeat(x, 2, axis=2)


class NoiseEmbedding(nn.Module):
    """c_noise ``[B]`` to an embedding ``[B, 4 * channels]``: sinusoids and two SiLU layers."""

    channels: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, c_noise: jax.Array) -> jax.Array:
        half = self.channels // 2
        frequencies = 10_000.0 ** (-jnp.arange(half, dtype=jnp.float32) / (half - 1))
        angles = c_noise.astype(jnp.float32)[:, None] * frequencies[None]
        embedding = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
        for index in range(2):
            layer = nn.Dense(4 * self.channels, dtype=self.dtype, kernel_init=xavier(), name=f"linear{index}")
            embedding = nn.silu(layer(embedding))
        return embedding


class ResBlock(nn.Module):
    """DDPM++ residual block; ``resample`` is None, "down" or "up" and acts before the first convolution.

    ``x [B, T, F, C]`` and ``embedding [B, E]`` to ``[B, T, F', channels]``. The embedding shifts,
    it does not scale. The skip is a 1x1 convolution when channels or resolution change.
    """

    channels: int
    dtype: jnp.dtype
    dropout: float = 0.0
    resample: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array, train: bool) -> jax.Array:
        resample = {None: lambda h: h, "down": downsample, "up": upsample}[self.resample]
        h = resample(nn.silu(group_norm(x.shape[-1], self.dtype, "norm0")(x)))
        h = conv(self.channels, 3, self.dtype, name="conv0")(h)
        shift = nn.Dense(self.channels, dtype=self.dtype, kernel_init=xavier(), name="shift")(embedding)
        h = nn.silu(group_norm(self.channels, self.dtype, "norm1")(h + shift[:, None, None, :]))
        h = nn.Dropout(self.dropout, deterministic=not train)(h)
        h = conv(self.channels, 3, self.dtype, NEAR_ZERO, name="conv1")(h)
        skip = resample(x)
        if self.resample or x.shape[-1] != self.channels:
            skip = conv(self.channels, 1, self.dtype, name="skip")(skip)
        return (h + skip) * SKIP_SCALE
