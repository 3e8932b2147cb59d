"""Weights by the same names in JAX and PyTorch: a kernel's axes turn, a norm's "scale" is a "weight"."""

import jax
import numpy as np
import torch
from torch import nn

TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}  # height, width, in, out; in, out; one per channel
LEAF_NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias"}


def to_torch(tree) -> dict[str, torch.Tensor]:
    """A tree of JAX parameters as a PyTorch state dict."""
    state = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        *modules, leaf_name = (entry.key for entry in path)
        values = np.array(leaf).transpose(TO_TORCH[leaf.ndim])
        state[".".join([*modules, LEAF_NAMES[leaf_name]])] = torch.from_numpy(values.copy())
    return state


def load(network: nn.Module, tree) -> None:
    """Copies JAX parameters into a network; RuntimeError unless every name and shape is there on both sides."""
    network.load_state_dict(to_torch(tree), strict=True)
