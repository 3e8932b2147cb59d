"""Dual-path RoFormer: attention along time, then along frequency (Lu et al. 2024; Su et al. 2021)."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from diffvs_jax.errors import InputError
from diffvs_jax.model.layers import NEAR_ZERO, xavier

ROTARY_THETA = 10_000.0


def rotary(x: jax.Array) -> jax.Array:
    """Rotary position embedding of ``[..., L, heads, dim]``, interleaved pairs, in float32 (Su et al., eq. 34)."""
    length, dim = x.shape[-3], x.shape[-1]
    frequencies = ROTARY_THETA ** (-np.arange(0, dim, 2) / dim)
    angles = np.arange(length)[:, None] * frequencies[None]  # numpy: float64, folded into constants
    shape = (1,) * (x.ndim - 3) + (length, 1, dim // 2)
    cos = jnp.asarray(np.cos(angles), jnp.float32).reshape(shape)
    sin = jnp.asarray(np.sin(angles), jnp.float32).reshape(shape)
    even, odd = x[..., 0::2].astype(jnp.float32), x[..., 1::2].astype(jnp.float32)
    rotated = jnp.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1)
    return rotated.reshape(x.shape).astype(x.dtype)


def rms_norm(dtype: jnp.dtype, name: str) -> nn.RMSNorm:
    """x / rms(x) * scale over the last axis, computed in float32; an all-zero row stays zero."""
    return nn.RMSNorm(epsilon=1e-12, dtype=dtype, force_float32_reductions=True, name=name)


class Attention(nn.Module):
    """Gated rotary self-attention over the second-to-last axis of ``[..., L, C]``, without the residual."""

    num_heads: int
    head_dim: int
    implementation: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = rms_norm(self.dtype, "norm")(x)
        inner = self.num_heads * self.head_dim
        heads = (*x.shape[:-1], self.num_heads, self.head_dim)
        qkv = nn.Dense(3 * inner, use_bias=False, dtype=self.dtype, kernel_init=xavier(), name="qkv")(h)
        q, k, v = (part.reshape(heads) for part in jnp.split(qkv, 3, axis=-1))
        gates = nn.Dense(self.num_heads, dtype=self.dtype, kernel_init=xavier(), name="gates")(h)
        out = attend(rotary(q), rotary(k), v, self.implementation)
        out = out * nn.sigmoid(gates)[..., None]
        project = nn.Dense(x.shape[-1], use_bias=False, dtype=self.dtype, kernel_init=xavier(NEAR_ZERO), name="out")
        return project(out.reshape(*x.shape[:-1], inner))


def attend(q: jax.Array, k: jax.Array, v: jax.Array, implementation: str) -> jax.Array:
    """Softmax attention of ``[..., L, heads, dim]``; softmax in float32.

    ``implementation``: "xla", "cudnn" (GPU, bf16 or fp16 only), or "auto": cudnn where it can run.
    """
    if implementation == "auto":
        half = q.dtype in (jnp.bfloat16, jnp.float16)
        implementation = "cudnn" if half and jax.default_backend() == "gpu" else "xla"
    if implementation == "cudnn" and jax.default_backend() != "gpu":
        raise InputError(f"model.attention 'cudnn' needs a GPU, this is a {jax.default_backend()}; choose 'auto'")
    q_BLHD, k_BLHD, v_BLHD = (part.reshape(-1, *part.shape[-3:]) for part in (q, k, v))
    kind: Literal["cudnn", "xla"] = "cudnn" if implementation == "cudnn" else "xla"
    return jax.nn.dot_product_attention(q_BLHD, k_BLHD, v_BLHD, implementation=kind).reshape(q.shape)


class FeedForward(nn.Module):
    """RMSNorm, C -> multiplier x C, GELU (tanh), back to C; without the residual."""

    multiplier: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = rms_norm(self.dtype, "norm")(x)
        h = nn.Dense(self.multiplier * x.shape[-1], dtype=self.dtype, kernel_init=xavier(), name="up")(h)
        return nn.Dense(x.shape[-1], dtype=self.dtype, kernel_init=xavier(), name="down")(nn.gelu(h))


class RoFormerLayer(nn.Module):
    """x + Attn(x), then x + FFN(x), over the second-to-last axis of ``[..., L, C]``."""

    num_heads: int
    head_dim: int
    ffn_multiplier: int
    implementation: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + Attention(self.num_heads, self.head_dim, self.implementation, self.dtype, name="attention")(x)
        return x + FeedForward(self.ffn_multiplier, self.dtype, name="ffn")(x)


class DualPathRoFormer(nn.Module):
    """A RoFormer layer along time (frequency in the batch), then one along frequency (time in the batch)."""

    num_heads: int
    head_dim: int
    ffn_multiplier: int
    implementation: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_BTFC: jax.Array) -> jax.Array:
        settings = (self.num_heads, self.head_dim, self.ffn_multiplier, self.implementation, self.dtype)
        x_BFTC = RoFormerLayer(*settings, name="time")(x_BTFC.swapaxes(1, 2))
        return RoFormerLayer(*settings, name="frequency")(x_BFTC.swapaxes(1, 2))
