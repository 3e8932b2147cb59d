"""What a published HuBERT consists of, as its ``config.json`` tells."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from diffvs_jax.errors import InputError

_Count = TypeVar("_Count")
_KINDS = ("hubert", "mert_model")
# What another value of these would need is not built; absent keys mean these.
_REQUIRED = {
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "feature_extractor_cqt": False,
    "deepnorm": False,
    "conv_pos_batch_norm": False,
}


@dataclasses.dataclass(frozen=True)
class HubertSettings:
    """Sizes and variants under the names of HuggingFace's config; defaults are HuBERT-base's and MERT-v1-95M's.

    Attributes:
      hidden_size: features of the hidden states.
      num_hidden_layers: transformer layers.
      num_attention_heads: of each.
      intermediate_size: width of each layer's feed-forward part.
      conv_dim: channels of the convolutions that take the waveform to frames.
      conv_kernel: their sizes in samples of their input.
      conv_stride: their steps.
      conv_bias: whether they have biases.
      feat_extract_norm: "group": the first one's channels are each normalised over time; "layer": every
        one's frames are each normalised over channels.
      feat_proj_layer_norm: whether frames are normalised before their projection to ``hidden_size``.
      do_stable_layer_norm: normalises before attention and feed-forward, not after the sums.
      num_conv_pos_embeddings: size of the convolution that tells frames where they are.
      num_conv_pos_embedding_groups: its groups.
      layer_norm_eps: epsilon of the transformer's layer norms.
    """

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    feat_extract_norm: str = "group"
    feat_proj_layer_norm: bool = True
    do_stable_layer_norm: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    layer_norm_eps: float = 1e-5

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "HubertSettings":
        """Reads a ``config.json``'s dict. What does not change hidden states, such as dropout, is not looked at.

        Raises:
          InputError: a variant that is not built, a value of another type, or sizes that do not fit together.
        """
        _require_what_is_built(config)
        values = {}
        for field in dataclasses.fields(cls):
            if field.name in config:
                values[field.name] = _typed(field.name, config[field.name], field.default)
        settings = cls(**values)
        settings._check_sizes()
        return settings

    def _check_sizes(self) -> None:
        counts = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        if len(counts) > 1 or not self.conv_dim:
            raise InputError(
                f"conv_dim, conv_kernel and conv_stride need one number per convolution, got {len(self.conv_dim)}, "
                f"{len(self.conv_kernel)} and {len(self.conv_stride)}"
            )
        for divisor in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if self.hidden_size % getattr(self, divisor):
                raise InputError(f"{divisor} {getattr(self, divisor)} does not divide hidden_size {self.hidden_size}")
        if self.feat_extract_norm not in ("group", "layer"):
            raise InputError(f"feat_extract_norm '{self.feat_extract_norm}' is not built: 'group' and 'layer' are")

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(self.conv_stride)

    @property
    def field(self) -> int:
        """Samples that one frame is made of."""
        samples = 1
        for kernel, stride in zip(reversed(self.conv_kernel), reversed(self.conv_stride), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    def frames_by_layer(self, num_samples: _Count) -> list[_Count]:
        """Frames that each convolution makes of a waveform; none or less than none where it is too short.

        Args:
          num_samples: an integer, or an array of them.
        """
        counts = []
        count: Any = num_samples
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            count = (count - kernel) // stride + 1
            counts.append(count)
        return counts

    def num_frames(self, num_samples: int) -> int:
        """Frames of a waveform."""
        return max(0, self.frames_by_layer(num_samples)[-1])


def _require_what_is_built(config: Mapping[str, Any]) -> None:
    kind = config.get("model_type", _KINDS[0])
    if kind not in _KINDS:
        raise InputError(f"model_type '{kind}' is not built; give weights of type {' or '.join(_KINDS)}")
    for key, built in _REQUIRED.items():
        if config.get(key, built) != built:
            raise InputError(f"{key} {config[key]!r} is not built; {built!r} is")
    relax = config.get("attention_relax", -1)
    if not isinstance(relax, int | float) or relax > 0:
        raise InputError(f"attention_relax {relax} is not built; give weights that have it off (0 or less)")


def _typed(key: str, value: Any, default: Any) -> Any:
    """A value of the type that its default has; lists become tuples."""
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and all(_is_count(item) for item in value):
            return tuple(value)
        raise InputError(f"{key} {value!r}: a list of whole numbers above zero is wanted")
    if isinstance(default, bool | str):
        fits, wanted = isinstance(value, type(default)), type(default).__name__
    elif isinstance(default, int):
        fits, wanted = _is_count(value), "a whole number above zero"
    else:
        fits, wanted = isinstance(value, int | float) and value > 0, "a number above zero"
    if not fits:
        raise InputError(f"{key} {value!r}: {wanted} is wanted")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
