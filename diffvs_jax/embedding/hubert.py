"""HuBERT (Hsu et al. 2021), which MERT (Li et al. 2023) is, too: waveform to hidden states.

Layout ``[B, T, C]``. Waveforms of a batch may be padded with zeros at their ends: frames beyond
them are kept out of every mean, convolution and softmax, so each waveform's own frames are what
they would be without.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from diffvs_jax.embedding.settings import HubertSettings

_CONVOLUTION_EPS = 1e-5  # of norms between convolutions, whatever layer_norm_eps


class States(NamedTuple):
    """What the encoder makes of waveforms ``[B, samples]``; T frames, of which each waveform has its own first ones.

    Attributes:
      features: ``[B, T, conv_dim[-1]]`` of the convolutions.
      projected: ``[B, T, hidden_size]``.
      hidden: what enters the first layer, then what leaves each, ``[B, T, hidden_size]`` each.
      last: the last of those, normalised once more where ``do_stable_layer_norm`` says so.
    """

    features: jax.Array
    projected: jax.Array
    hidden: tuple[jax.Array, ...]
    last: jax.Array


def layer_norm(epsilon: float, name: str) -> nn.LayerNorm:
    """Over channels, by the mean of squared deviations: a difference of means loses digits."""
    return nn.LayerNorm(epsilon, use_fast_variance=False, name=name)


def gelu(x: jax.Array) -> jax.Array:
    """x times the normal distribution's cumulative function, exactly."""
    return nn.gelu(x, approximate=False)


class TimeNorm(nn.Module):
    """Normalises every channel of ``[B, T, C]`` over the frames that ``valid [B, T]`` marks."""

    @nn.compact
    def __call__(self, x: jax.Array, valid: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        where, count = valid[..., None], jnp.maximum(valid.sum(axis=1), 1)[:, None, None]
        centred = x - jnp.sum(x, axis=1, keepdims=True, where=where) / count
        variance = jnp.sum(jnp.square(centred), axis=1, keepdims=True, where=where) / count
        return centred * jax.lax.rsqrt(variance + _CONVOLUTION_EPS) * scale[None, None] + bias[None, None]


class Convolutions(nn.Module):
    """Waveforms ``[B, samples]`` to features ``[B, T, conv_dim[-1]]``; ``num_samples [B]`` are theirs."""

    settings: HubertSettings

    @nn.compact
    def __call__(self, waveforms: jax.Array, num_samples: jax.Array) -> jax.Array:
        s, x = self.settings, waveforms[..., None]
        sizes = zip(s.conv_dim, s.conv_kernel, s.conv_stride, s.frames_by_layer(num_samples), strict=True)
        for index, (features, kernel, stride, frames) in enumerate(sizes):
            name = f"conv{index}"
            x = nn.Conv(features, (kernel,), stride, padding="VALID", use_bias=s.conv_bias, name=name)(x)
            if s.feat_extract_norm == "layer":
                x = layer_norm(_CONVOLUTION_EPS, f"{name}_norm")(x)
            elif index == 0:
                x = TimeNorm(name=f"{name}_norm")(x, _first(frames, x.shape[1]))
            x = gelu(x)
        return x


class Positions(nn.Module):
    """A grouped convolution over time: frame t of ``[B, T, C]`` sees T from t - size // 2 on."""

    settings: HubertSettings

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size, groups = self.settings.num_conv_pos_embeddings, self.settings.num_conv_pos_embedding_groups
        padding = [(size // 2, (size - 1) // 2)]
        return gelu(nn.Conv(x.shape[-1], (size,), padding=padding, feature_group_count=groups, name="conv")(x))


class Attention(nn.Module):
    """Self-attention over the first ``frames [B]`` of ``[B, T, C]``, with biases."""

    num_heads: int

    @nn.compact
    def __call__(self, x: jax.Array, frames: jax.Array) -> jax.Array:
        heads = (*x.shape[:2], self.num_heads, x.shape[-1] // self.num_heads)
        q, k, v = (nn.Dense(x.shape[-1], name=name)(x).reshape(heads) for name in ("q", "k", "v"))
        out = jax.nn.dot_product_attention(q, k, v, key_value_seq_lengths=frames, implementation="xla")
        return nn.Dense(x.shape[-1], name="out")(out.reshape(x.shape))


class Layer(nn.Module):
    """A transformer's layer over ``[B, T, C]``: norms behind the sums, or before the branches where stable."""

    settings: HubertSettings

    @nn.compact
    def __call__(self, x: jax.Array, frames: jax.Array) -> jax.Array:
        s = self.settings
        attend = Attention(s.num_attention_heads, name="attention")
        up, down = nn.Dense(s.intermediate_size, name="up"), nn.Dense(s.hidden_size, name="down")
        norm0, norm1 = layer_norm(s.layer_norm_eps, "norm0"), layer_norm(s.layer_norm_eps, "norm1")
        if s.do_stable_layer_norm:
            x = x + attend(norm0(x), frames)
            return x + down(gelu(up(norm1(x))))
        x = norm0(x + attend(x, frames))
        return norm1(x + down(gelu(up(x))))


class Hubert(nn.Module):
    """The encoder at rest: no dropout, no masked spans.

    ``waveforms [B, samples]``, each of zero mean and unit variance over its first ``num_samples [B]``
    (integers), and zero behind them, to ``States``.
    """

    settings: HubertSettings

    @nn.compact
    def __call__(self, waveforms: jax.Array, num_samples: jax.Array) -> States:
        s = self.settings
        features = Convolutions(s, name="features")(waveforms, num_samples)
        frames = jnp.maximum(s.frames_by_layer(num_samples)[-1], 0)
        x = layer_norm(s.layer_norm_eps, "projection_norm")(features) if s.feat_proj_layer_norm else features
        projected = nn.Dense(s.hidden_size, name="projection")(x)
        x = jnp.where(_first(frames, projected.shape[1])[..., None], projected, 0)  # as beyond a waveform's ends
        x = x + Positions(s, name="positions")(x)
        norm = layer_norm(s.layer_norm_eps, "norm")
        hidden = [x if s.do_stable_layer_norm else norm(x)]
        for index in range(s.num_hidden_layers):
            hidden.append(Layer(s, name=f"layer{index}")(hidden[-1], frames))
        last = norm(hidden[-1]) if s.do_stable_layer_norm else hidden[-1]
        return States(features, projected, tuple(hidden), last)


def _first(counts: jax.Array, length: int) -> jax.Array:
    """``[B, length]``: True for the first ``counts [B]``."""
    return jnp.arange(length)[None] < counts[:, None]
