"""Softmax attention on whichever kernel the machine has, and DDPM++'s attention over pixels."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from diffvs_jax.errors import InputError
from diffvs_jax.model.layers import NEAR_ZERO, SKIP_SCALE, dense, group_norm
from diffvs_jax.model.product import product

BACKENDS = ("auto", "xla", "cudnn")


@jax.named_scope("attend")  # by which profiles tell its products from those of dense layers
def attend(q: jax.Array, k: jax.Array, v: jax.Array, backend: str) -> jax.Array:
    """Softmax attention of ``[..., L, heads, dim]``, scaled by 1 / sqrt(dim); softmax in float32.

    ``backend``: "xla", "cudnn" (flash attention on a GPU, bf16 or fp16 only), or "auto": cudnn
    where it can run.
    """
    half, dim = q.dtype in (jnp.bfloat16, jnp.float16), q.shape[-1]
    fits = half and dim % 8 == 0 and dim <= 128  # what cuDNN's kernels take on every generation
    if backend == "auto":
        backend = "cudnn" if fits and jax.default_backend() == "gpu" else "xla"
    if backend == "cudnn" and jax.default_backend() != "gpu":
        raise InputError(f"model.attention_backend 'cudnn' needs a GPU, this is a {jax.default_backend()}; take 'auto'")
    if backend == "cudnn" and not fits:
        raise InputError(
            f"model.attention_backend 'cudnn' takes bfloat16 and head dimensions up to 128 that 8 divides, "
            f"not {q.dtype} and {dim}; take 'auto'"
        )
    q_BLHD, k_BLHD, v_BLHD = (part.reshape(-1, *part.shape[-3:]) for part in (q, k, v))
    if backend == "cudnn":
        out = jax.nn.dot_product_attention(q_BLHD, k_BLHD, v_BLHD, implementation="cudnn")
    else:
        out = _attend_xla(q_BLHD, k_BLHD, v_BLHD)
    return out.reshape(q.shape)


def _attend_xla(q_BLHD: jax.Array, k_BLHD: jax.Array, v_BLHD: jax.Array) -> jax.Array:
    """Divides by the softmax's sum after the second product, where rows are short.

    With the heads moved out of the way of the products, that is two and a half times as fast on a
    CPU as ``jax.nn.dot_product_attention``.
    """
    q, k, v = (part.swapaxes(1, 2) for part in (q_BLHD, k_BLHD, v_BLHD))  # [B, H, L, D]
    wide = jnp.promote_types(q.dtype, jnp.float32)
    logits = product(q, k.swapaxes(-1, -2), wide) / math.sqrt(q.shape[-1])
    weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True)))
    out = product(weights.astype(v.dtype), v, wide)
    return (out / weights.sum(axis=-1, keepdims=True)).astype(v.dtype).swapaxes(1, 2)


class PixelAttention(nn.Module):
    """DDPM++'s self-attention over all T x F pixels of ``[B, T, F, C]``, with its residual (Ho et al. 2020).

    What Diff-VS replaces: its cost grows with the square of frames times bins.
    """

    num_heads: int
    backend: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_BTFC: jax.Array) -> jax.Array:
        b, t, f, c = x_BTFC.shape
        if c % self.num_heads:
            raise InputError(f"model.num_heads {self.num_heads} does not divide {c} channels under pixel attention")
        h = group_norm(c, self.dtype, "norm")(x_BTFC)
        qkv = dense(3 * c, self.dtype, math.sqrt(0.2), name="qkv")(h)  # EDM's 0.2
        q, k, v = (p.reshape(b, t * f, self.num_heads, c // self.num_heads) for p in jnp.split(qkv, 3, axis=-1))
        out = attend(q, k, v, self.backend).reshape(b, t, f, c)
        out = dense(c, self.dtype, NEAR_ZERO, name="out")(out)
        return (x_BTFC + out) * SKIP_SCALE
