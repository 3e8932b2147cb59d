"""The Diff-VS U-Net: DDPM++ with resampling in frequency only and dual-path RoFormers (paper, "architecture")."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from diffvs_jax.errors import InputError
from diffvs_jax.model.layers import NEAR_ZERO, NoiseEmbedding, ResBlock, conv, group_norm
from diffvs_jax.model.roformer import DualPathRoFormer


@dataclasses.dataclass(frozen=True)
class UNetSettings:
    """Every setting of the network, checked once at the start."""

    channels: int  # width of level 0
    channel_mult: tuple[int, ...]  # width of each level, in multiples of channels
    num_blocks: int  # residual blocks per encoder level; the decoder has one more
    attention_levels: tuple[int, ...]  # levels with dual-path RoFormers; the bottleneck always has one
    num_heads: int
    head_dim: int
    ffn_multiplier: int
    dropout: float
    attention: str  # implementation: "auto", "xla" or "cudnn"
    dtype: str  # of activations; parameters are float32
    remat: str  # "none", or "block": recompute each block in the backward pass

    def __post_init__(self):
        if self.channels % 4 or self.channels < 4:
            raise InputError(f"model.channels is {self.channels}; GroupNorm needs a multiple of 4")
        if self.head_dim % 2:
            raise InputError(f"model.head_dim is {self.head_dim}; rotary pairs need an even number")
        levels = range(len(self.channel_mult))
        if not set(self.attention_levels) <= set(levels):
            raise InputError(f"model.attention_levels {self.attention_levels} must lie in 0..{len(levels) - 1}")
        if self.attention not in ("auto", "xla", "cudnn"):
            raise InputError(f"model.attention {self.attention!r} is none of ('auto', 'xla', 'cudnn')")
        if self.remat not in ("none", "block"):
            raise InputError(f"model.remat {self.remat!r} is none of ('none', 'block')")
        if self.dtype not in ("float32", "bfloat16"):
            raise InputError(f"model.dtype {self.dtype!r} is none of ('float32', 'bfloat16')")

    def check_bins(self, bins: int, num_bands: int) -> None:
        """Raises ``InputError`` unless ``bins`` of one band halve at every level."""
        factor = 2 ** (len(self.channel_mult) - 1)
        if bins % factor:
            raise InputError(
                f"{bins * num_bands} frequency bins must divide by num_bands x 2^(levels - 1) = "
                f"{num_bands} x {factor}; change audio.n_fft, audio.num_bands or model.channel_mult"
            )


class UNet(nn.Module):
    """Raw network F: ``x [B, T, F, C_in]`` and c_noise ``[B]`` to ``[B, T, F, out_channels]`` in float32."""

    settings: UNetSettings
    out_channels: int

    @nn.compact
    def __call__(self, x: jax.Array, c_noise: jax.Array, train: bool = False) -> jax.Array:
        s = self.settings
        dtype = jnp.dtype(s.dtype)
        widths = [s.channels * mult for mult in s.channel_mult]
        last = len(widths) - 1
        embedding = NoiseEmbedding(s.channels, dtype, name="noise")(c_noise)

        def block(x, width, name, resample=None, attention=False):
            module = _RematBlock if s.remat == "block" else _Block
            return module(s, width, resample, attention, name=name)(x, embedding, train)

        x = conv(s.channels, 3, dtype, name="stem")(x.astype(dtype))
        skips = [x]
        for level, width in enumerate(widths):
            if level > 0:
                x = block(x, x.shape[-1], f"encoder{level}_down", "down")
                skips.append(x)
            for index in range(s.num_blocks):
                x = block(x, width, f"encoder{level}_{index}", attention=level in s.attention_levels)
                skips.append(x)

        x = block(x, widths[last], "middle_0", attention=True)
        x = block(x, widths[last], "middle_1")
        for level, width in reversed(list(enumerate(widths))):
            if level < last:
                x = block(x, x.shape[-1], f"decoder{level}_up", "up")
            for index in range(s.num_blocks + 1):
                attention = level in s.attention_levels and index == s.num_blocks
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                x = block(x, width, f"decoder{level}_{index}", attention=attention)

        x = nn.silu(group_norm(x.shape[-1], dtype, "head_norm")(x))
        return conv(self.out_channels, 3, dtype, NEAR_ZERO, name="head")(x).astype(jnp.float32)


class _Block(nn.Module):
    """A residual block and, where asked, the dual-path RoFormer after it."""

    settings: UNetSettings
    channels: int
    resample: str | None
    attention: bool

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array, train: bool) -> jax.Array:
        s = self.settings
        dtype = jnp.dtype(s.dtype)
        x = ResBlock(self.channels, dtype, s.dropout, self.resample, name="res")(x, embedding, train)
        if self.attention:
            x = DualPathRoFormer(s.num_heads, s.head_dim, s.ffn_multiplier, s.attention, dtype, name="roformer")(x)
        return x


_RematBlock = nn.remat(_Block, static_argnums=(3,))
