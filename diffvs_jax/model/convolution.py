"""Convolutions of ``[B, T, F, C]``, each in the form that costs least."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from diffvs_jax.model.product import product


class Conv(nn.Module):
    """Convolution with an odd square kernel that keeps height and width; parameters are those of ``nn.Conv``.

    ``doubled`` names axes whose every element is repeated first, as nearest-neighbour upsampling
    does, for kernels of one or three taps. A third of a convolution's products falls away with every
    such axis: see ``_convolve_doubled``.

    A kernel of one tap is a matrix product, which on a CPU is several times as fast written as one.
    """

    features: int
    size: int
    dtype: jnp.dtype
    kernel_init: nn.initializers.Initializer
    doubled: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, bias = x.astype(self.dtype), bias.astype(self.dtype)[None, None, None]
        if self.size == 1:
            return upsample(product(x, kernel[0, 0].astype(self.dtype)) + bias, self.doubled)
        margin = self.size // 2
        return _convolve_doubled(x, kernel, self.doubled, {1: (margin, margin), 2: (margin, margin)}) + bias


def upsample(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Doubles ``axes`` of ``[B, T, F, C]`` by repeating every element."""
    for axis in axes:
        x = jnp.repeat(x, 2, axis=axis)
    return x


def _convolve_doubled(
    x: jax.Array, kernel: jax.Array, axes: tuple[int, ...], padding: dict[int, tuple[int, int]]
) -> jax.Array:
    """``kernel [H, W, C, O]`` over ``x`` with ``axes`` doubled, without doubling them.

    Where u[2 f] = u[2 f + 1] = x[f] and taps are a, b, c, output 2 f is a x[f - 1] + (b + c) x[f]
    and output 2 f + 1 is (a + b) x[f] + c x[f + 1]: two kernels of two taps, each over half the places.
    """
    if not axes:
        return jax.lax.conv_general_dilated(
            x, kernel.astype(x.dtype), (1, 1), (padding[1], padding[2]), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    axis, *others = axes
    a, b, c = jnp.split(kernel, 3, axis=axis - 1)
    taps = [(a, b + c), (a + b, c)]
    pads = [(1, 0), (0, 1)]
    even, odd = (
        _convolve_doubled(x, jnp.concatenate(pair, axis=axis - 1), tuple(others), padding | {axis: pad})
        for pair, pad in zip(taps, pads, strict=True)
    )
    return jnp.stack([even, odd], axis=axis + 1).reshape(*even.shape[:axis], -1, *even.shape[axis + 1 :])
