"""The references' layers as ours: which is which, and how their weights lie.

A reference's parameter is called ``layer.weight`` (or ``gamma``) or ``layer.bias``, as in a PyTorch
state dict; ours lies at ``path/kernel`` (or ``scale``) or ``path/bias``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

Layout = Callable[[np.ndarray], np.ndarray]


class Kind(NamedTuple):
    """How one kind of layer keeps its parameters."""

    weight: str  # what we call its weight
    weights: Layout
    biases: Layout = np.asarray


def qkv_last(heads: int) -> Kind:
    """1x1 convolution to channels [heads, dim, 3], where we have a linear layer to [3, heads, dim]."""

    def reorder(values: np.ndarray) -> np.ndarray:
        return (
            values.reshape(heads, -1, 3, *values.shape[1:])
            .transpose(2, 0, 1, *range(3, values.ndim + 2))
            .reshape(values.shape)
        )

    return Kind("kernel", lambda weight: POINTWISE.weights(reorder(weight)), reorder)


NORM = Kind("scale", np.asarray)
LINEAR = Kind("kernel", np.transpose)  # [out, in]
CONV = Kind("kernel", lambda weight_OIHW: weight_OIHW.transpose(2, 3, 1, 0))
POINTWISE = Kind("kernel", lambda weight_OI11: weight_OI11.squeeze((2, 3)).T)  # 1x1 convolution, linear in ours

Layers = dict[str, tuple[str, Kind]]


def block_layers(heads: int) -> Layers:
    """Of EDM's UNetBlock."""
    return {
        "norm0": ("res/norm0", NORM),
        "conv0": ("res/conv0", CONV),
        "affine": ("res/shift", LINEAR),
        "norm1": ("res/norm1", NORM),
        "conv1": ("res/conv1", CONV),
        "skip": ("res/skip", CONV),
        "norm2": ("pixels/norm", NORM),
        "qkv": ("pixels/qkv", qkv_last(heads)),
        "proj": ("pixels/out", POINTWISE),
    }


def unet_layers(img_resolution: int, num_levels: int, num_blocks: int) -> Layers:
    """Of EDM's SongUNet, which calls its levels by their resolution; its attention has one head."""
    sizes = [f"{img_resolution >> level}x{img_resolution >> level}" for level in range(num_levels)]
    blocks = {f"dec.{sizes[-1]}_in{i}": f"middle_{i}" for i in range(2)}
    for level, size in enumerate(sizes):
        blocks |= {f"enc.{size}_down": f"encoder{level}_down", f"dec.{size}_up": f"decoder{level}_up"}
        blocks |= {f"enc.{size}_block{i}": f"encoder{level}_{i}" for i in range(num_blocks)}
        blocks |= {f"dec.{size}_block{i}": f"decoder{level}_{i}" for i in range(num_blocks + 1)}
    return {
        "map_layer0": ("noise/linear0", LINEAR),
        "map_layer1": ("noise/linear1", LINEAR),
        f"enc.{sizes[0]}_conv": ("stem", CONV),
        f"dec.{sizes[0]}_aux_norm": ("head_norm", NORM),
        f"dec.{sizes[0]}_aux_conv": ("head", CONV),
    } | {
        f"{theirs}.{layer}": (f"{ours}/{path}", kind)
        for theirs, ours in blocks.items()
        for layer, (path, kind) in block_layers(heads=1).items()
    }


ATTENTION: Layers = {  # of BS-RoFormer's Attention; its channels [3, heads, dim] are ours
    "norm": ("norm", NORM),
    "to_qkv": ("qkv", LINEAR),
    "to_gates": ("gates", LINEAR),
    "to_out.0": ("out", LINEAR),
}
FEED_FORWARD: Layers = {
    "net.0": ("norm", NORM),
    "net.1": ("up", LINEAR),
    "net.4": ("down", LINEAR),
}
LAYER: Layers = {  # of BS-RoFormer's Transformer: a pair of the two
    **{f"0.branch.{theirs}": (f"attention/{path}", kind) for theirs, (path, kind) in ATTENTION.items()},
    **{f"1.branch.{theirs}": (f"ffn/{path}", kind) for theirs, (path, kind) in FEED_FORWARD.items()},
}


def ours(parameters: dict[str, np.ndarray], layers: Layers, shapes: Any) -> Any:
    """Our tree of parameters, made of all of the reference's: none is left over, none is missing.

    Args:
      parameters: of the reference, by name.
      layers: which of its layers is which of ours.
      shapes: our tree.
    """
    flat = {}
    for name, values in parameters.items():
        layer, _, leaf = name.rpartition(".")
        path, kind = layers[layer]
        key, layout = {"bias": ("bias", kind.biases)}.get(leaf, (kind.weight, kind.weights))
        key = f"{path}/{key}".lstrip("/")
        assert leaf in ("weight", "gamma", "bias") and key not in flat, name
        flat[key] = layout(values)
    expected = {key: leaf.shape for key, leaf in traverse_util.flatten_dict(shapes, sep="/").items()}
    assert {key: values.shape for key, values in flat.items()} == expected
    return traverse_util.unflatten_dict(flat, sep="/")
