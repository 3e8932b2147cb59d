"""The Diff-VS U-Net: DDPM++ with resampling in frequency only and dual-path RoFormers (paper, "architecture").

Its settings lead all the way back to DDPM++ (Song et al. 2021) as EDM has it, which is the paper's baseline.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from diffvs_jax.errors import InputError
from diffvs_jax.model.attention import BACKENDS, PixelAttention
from diffvs_jax.model.layers import NEAR_ZERO, RESAMPLED_AXES, NoiseEmbedding, ResBlock, conv, group_norm
from diffvs_jax.model.roformer import DualPathRoFormer


@dataclasses.dataclass(frozen=True)
class UNetSettings:
    """Every setting of the network, checked once at the start."""

    channels: int  # width of level 0
    channel_mult: tuple[int, ...]  # width of each level, in multiples of channels
    num_blocks: int  # residual blocks per encoder level; the decoder has one more
    attention_levels: tuple[int, ...]  # levels with attention; the first bottleneck block always has it
    attention: str  # one of _CHOICES, like all that are strings
    attention_backend: str
    num_heads: int
    head_dim: int  # of dual-path RoFormers; pixel attention splits its channels over the heads
    ffn_multiplier: int
    resampling: str  # which axes a level halves
    embedding: str  # of the noise level
    fourier_scale: float  # standard deviation of the frequencies of a "fourier" embedding
    stem_size: int  # kernel of the first and last convolution
    dropout: float
    dtype: str  # of activations; parameters are float32; "auto" is bfloat16, on a CPU float32
    remat: str  # what the backward pass computes anew

    def __post_init__(self):
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"model.{name} {getattr(self, name)!r} is none of {choices}")
        if self.channels % 4 or self.channels < 4:
            raise InputError(f"model.channels is {self.channels}; GroupNorm needs a multiple of 4")
        if self.head_dim % 2 or self.head_dim < 2:
            raise InputError(f"model.head_dim is {self.head_dim}; rotary pairs need an even number")
        if self.stem_size % 2 == 0 or self.stem_size < 1:
            raise InputError(f"model.stem_size is {self.stem_size}; it must be odd, 1 or more")
        if not self.channel_mult or min(self.channel_mult) < 1:
            raise InputError(f"model.channel_mult is {self.channel_mult}; give one factor per level, each 1 or more")
        if self.num_blocks < 0 or self.num_heads < 1 or self.ffn_multiplier < 1:
            raise InputError(
                f"model.num_blocks {self.num_blocks} must be 0 or more, model.num_heads {self.num_heads} and "
                f"model.ffn_multiplier {self.ffn_multiplier} 1 or more"
            )
        levels = range(len(self.channel_mult))
        if not set(self.attention_levels) <= set(levels):
            raise InputError(f"model.attention_levels {self.attention_levels} must lie in 0..{len(levels) - 1}")

    @property
    def activation_dtype(self) -> jnp.dtype:
        """``dtype`` as this machine takes it."""
        if self.dtype == "auto":
            return jnp.dtype("float32" if jax.default_backend() == "cpu" else "bfloat16")
        return jnp.dtype(self.dtype)

    def check_sizes(self, frames: int, bins: int, num_bands: int) -> None:
        """Raises ``InputError`` unless what is resampled halves at every level: ``bins`` of one band, ``frames``."""
        factor = 2 ** (len(self.channel_mult) - 1)
        if self.resampling == "both" and frames % factor:
            raise InputError(
                f"audio.num_frames {frames} must divide by 2^(levels - 1) = {factor} under resampling 'both'; "
                "change it or model.channel_mult"
            )
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
        dtype = s.activation_dtype
        widths = [s.channels * mult for mult in s.channel_mult]
        last = len(widths) - 1
        embedding = NoiseEmbedding(s.channels, dtype, s.embedding, s.fourier_scale, name="noise")(c_noise)
        block_class = REMAT[s.remat]

        def block(x, width, name, resample=None, attention=False):
            return block_class(s, width, resample, attention, name=name)(x, embedding, train)

        x = conv(s.channels, s.stem_size, dtype, name="stem")(x.astype(dtype))
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
        return conv(self.out_channels, s.stem_size, dtype, NEAR_ZERO, name="head")(x).astype(jnp.float32)


class _Block(nn.Module):
    """A residual block and, where asked, the attention after it."""

    settings: UNetSettings
    channels: int
    resample: str | None
    attention: bool

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array, train: bool) -> jax.Array:
        s = self.settings
        dtype = s.activation_dtype
        res = ResBlock(self.channels, dtype, s.dropout, self.resample, s.resampling, name="res")
        x = res(x, embedding, train)
        if self.attention and s.attention == "dual_path":
            roformer = DualPathRoFormer(
                s.num_heads, s.head_dim, s.ffn_multiplier, s.attention_backend, dtype, name="roformer"
            )
            x = roformer(x)
        elif self.attention:
            x = PixelAttention(s.num_heads, s.attention_backend, dtype, name="pixels")(x)
        return x


def _saves_products(primitive, *arguments, **parameters) -> bool:
    """Keeps what convolutions and dense layers computed; norms, activations and attention are cheap to repeat."""
    if primitive is jax.lax.conv_general_dilated_p:
        return True
    return jax.checkpoint_policies.dots_with_no_batch_dims_saveable(primitive, *arguments, **parameters)


REMAT = {  # what a block keeps for the backward pass
    "none": _Block,
    "selective": nn.remat(_Block, static_argnums=(3,), policy=_saves_products),
    "block": nn.remat(_Block, static_argnums=(3,)),
}
_CHOICES = {
    "attention": ("dual_path", "pixel"),
    "attention_backend": BACKENDS,
    "resampling": tuple(RESAMPLED_AXES),
    "embedding": ("positional", "fourier"),
    "dtype": ("auto", "float32", "bfloat16"),
    "remat": tuple(REMAT),
}
