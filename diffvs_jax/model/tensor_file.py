"""A model in one safetensors file: arrays by name, all else as JSON in the header's metadata."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from diffvs_jax.errors import InputError

SUFFIX = ".safetensors"
NAME = f"model{SUFFIX}"  # in an export's folder
DTYPES = ("float32", "bfloat16")  # to store parameters in


def write(path: Path, params: Any, stats: Any, record: dict[str, Any], dtype: str = "float32") -> None:
    """Writes parameters as ``params/LAYER/...`` and band statistics as ``stats/...``.

    Args:
      path: the file.
      params: nested dict of float32 arrays.
      stats: dict of float32 arrays, which stay float32.
      record: values by name that JSON knows; each is an entry of the metadata.
      dtype: what parameters are rounded to, one of ``DTYPES``.
    """
    stored = {f"params/{name}": np.asarray(leaf, jnp.dtype(dtype)) for name, leaf in _flat(params).items()}
    stored |= {f"stats/{name}": np.asarray(leaf, np.float32) for name, leaf in _flat(stats).items()}
    whole = {name: np.ascontiguousarray(leaf).reshape(leaf.shape) for name, leaf in stored.items()}  # else misread
    # As bytes: safetensors' own writing makes files that nobody else may read.
    path.write_bytes(save(whole, {name: json.dumps(value) for name, value in record.items()}))


def read(path: Path) -> tuple[Any, Any]:
    """Parameters and band statistics, all float32.

    Raises:
      InputError: no such file, or not one that ``write`` wrote.
    """
    with _open(path) as file:
        arrays = {name: np.asarray(file.get_tensor(name), np.float32) for name in file.keys()}  # noqa: SIM118
    tree = unflatten_dict(arrays, sep="/")
    return tree.get("params", {}), tree.get("stats", {})


def read_record(path: Path) -> dict[str, Any]:
    """What ``write`` was given as ``record``.

    Raises:
      InputError: no such file, or not one that ``write`` wrote.
    """
    with _open(path) as file:
        metadata = file.metadata() or {}
    try:
        record = {name: json.loads(value) for name, value in metadata.items()}
    except ValueError:
        record = {}
    if not {"config", "step", "num_ema"} <= record.keys():
        raise InputError(f"{path}: its metadata holds no config; give a file that diffvs_jax.export wrote")
    return record


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file that can be read ({error})") from None


def _flat(tree: Any) -> dict[str, Any]:
    return flatten_dict(tree, sep="/")
