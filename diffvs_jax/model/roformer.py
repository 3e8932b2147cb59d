"""Dual-path RoFormer: attention along time, then along frequency (Lu et al. 2024; Su et al. 2021)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from diffvs_jax.model.attention import attend
from diffvs_jax.model.layers import NEAR_ZERO, dense

ROTARY_THETA = 10_000.0


def rotary(x: jax.Array) -> jax.Array:
    """Rotary position embedding of ``[..., L, heads, dim]``, interleaved pairs (Su et al., eq. 34).

    In float32 at least, whatever the type of ``x``.
    """
    length, dim = x.shape[-3], x.shape[-1]
    frequencies = ROTARY_THETA ** (-np.arange(0, dim, 2) / dim)
    angles = np.arange(length)[:, None] * frequencies[None]  # numpy: float64, folded into constants
    shape = (1,) * (x.ndim - 3) + (length, 1, dim // 2)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    cos, sin = (jnp.asarray(part, wide).reshape(shape) for part in (np.cos(angles), np.sin(angles)))
    even, odd = x[..., 0::2].astype(wide), x[..., 1::2].astype(wide)
    rotated = jnp.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1)
    return rotated.reshape(x.shape).astype(x.dtype)


def rms_norm(dtype: jnp.dtype, name: str) -> nn.RMSNorm:
    """x / rms(x) * scale over the last axis, computed in float32; an all-zero row stays zero."""
    return nn.RMSNorm(epsilon=1e-24, dtype=dtype, force_float32_reductions=True, name=name)


class Attention(nn.Module):
    """Gated rotary self-attention over the second-to-last axis of ``[..., L, C]``, without the residual."""

    num_heads: int
    head_dim: int
    backend: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = rms_norm(self.dtype, "norm")(x)
        inner = self.num_heads * self.head_dim
        heads = (*x.shape[:-1], self.num_heads, self.head_dim)
        qkv = dense(3 * inner, self.dtype, use_bias=False, name="qkv")(h)
        q, k, v = (part.reshape(heads) for part in jnp.split(qkv, 3, axis=-1))
        gates = dense(self.num_heads, self.dtype, name="gates")(h)
        out = attend(rotary(q), rotary(k), v, self.backend)
        out = out * nn.sigmoid(gates)[..., None]
        project = dense(x.shape[-1], self.dtype, NEAR_ZERO, use_bias=False, name="out")
        return project(out.reshape(*x.shape[:-1], inner))


class FeedForward(nn.Module):
    """RMSNorm, C -> multiplier x C, GELU (tanh), back to C; without the residual."""

    multiplier: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = rms_norm(self.dtype, "norm")(x)
        h = dense(self.multiplier * x.shape[-1], self.dtype, name="up")(h)
        return dense(x.shape[-1], self.dtype, name="down")(nn.gelu(h))


class RoFormerLayer(nn.Module):
    """x + Attn(x), then x + FFN(x), over the second-to-last axis of ``[..., L, C]``."""

    num_heads: int
    head_dim: int
    ffn_multiplier: int
    backend: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + Attention(self.num_heads, self.head_dim, self.backend, self.dtype, name="attention")(x)
        return x + FeedForward(self.ffn_multiplier, self.dtype, name="ffn")(x)


class DualPathRoFormer(nn.Module):
    """A RoFormer layer along time (frequency in the batch), then one along frequency (time in the batch)."""

    num_heads: int
    head_dim: int
    ffn_multiplier: int
    backend: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_BTFC: jax.Array) -> jax.Array:
        settings = (self.num_heads, self.head_dim, self.ffn_multiplier, self.backend, self.dtype)
        x_BFTC = RoFormerLayer(*settings, name="time")(x_BTFC.swapaxes(1, 2))
        return RoFormerLayer(*settings, name="frequency")(x_BFTC.swapaxes(1, 2))
