"""PyTorch's ``pytorch_model.bin``, read without PyTorch and without running anything that is in it.

Such a file is a zip archive of ``data.pkl``, a pickled dict of tensors, and ``data/KEY``, the bytes
that they lie in. A pickle may name any function to be called: here it may name those that a dict of
tensors consists of, which are replaced by ours, and nothing else.
"""

import functools
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from diffvs_jax.errors import InputError


class _StorageType(NamedTuple):
    """A type of numbers, by the name that numpy knows; a pickle can neither call nor change it."""

    dtype: str


class _StateDict(dict):
    """Stands for an OrderedDict; what else is known of it, such as the versions of modules, is dropped."""

    def __setstate__(self, state: Any) -> None:
        """Drops it."""


_STORAGES = {
    "FloatStorage": _StorageType("float32"),
    "HalfStorage": _StorageType("float16"),
    "BFloat16Storage": _StorageType("bfloat16"),
    "LongStorage": _StorageType("int64"),
}


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a saved state dict by name; read-only, float32, float16, bfloat16 or int64 as stored.

    Raises:
      InputError: not a zip archive of PyTorch's, another content than a dict of such tensors, or
        anything in it that would have to be run.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            state = _Reader(path, archive).load()
    except zipfile.BadZipFile:
        raise InputError(
            f"{path}: not a file that PyTorch 1.6 or newer wrote; convert it to model.safetensors"
        ) from None
    except InputError:
        raise
    except Exception as error:  # a pickle that is no state dict can fail in any way
        raise InputError(f"{path}: not a dict of tensors that can be read ({error})") from None
    if not isinstance(state, dict) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise InputError(f"{path}: holds something else than a dict of tensors; save the model's state_dict()")
    return dict(state)


class _Reader(pickle.Unpickler):
    """Unpickles ``data.pkl`` of an open archive."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InputError(f"{path}: holds no data.pkl; give a file that torch.save wrote")
        self._path, self._archive = path, archive
        self._folder = pickles[0].removesuffix("data.pkl")
        self._storages: dict[str, bytes] = {}
        if f"{self._folder}byteorder" in archive.namelist() and self._bytes("byteorder") != b"little":
            raise InputError(f"{path}: was written by a big-endian machine; convert it to model.safetensors")
        super().__init__(io.BytesIO(archive.read(pickles[0])))

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global that the pickle names."""
        if (module, name) == ("collections", "OrderedDict"):
            return _StateDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return functools.partial(_tensor)  # a new one each time, which a pickle may spoil for itself alone
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise InputError(
            f"{self._path}: asks for {module}.{name}, and a dict of float32, float16, bfloat16 or int64 tensors needs "
            "no such thing; do not trust the file, or convert it to model.safetensors"
        )

    def persistent_load(self, pid: Any) -> np.ndarray:
        """The numbers ``[count]`` of a storage."""
        kind, storage_type, key, _, count = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise ValueError(f"no storage of a known type: {kind!r}, {storage_type!r}")
        if key not in self._storages:  # tensors may share one
            self._storages[key] = self._bytes(f"data/{key}")
        numbers = np.frombuffer(self._storages[key], jnp.dtype(storage_type.dtype))
        if len(numbers) != count:
            raise ValueError(f"storage {key} has {len(numbers)} numbers, not {count}")
        return numbers

    def _bytes(self, name: str) -> bytes:
        return self._archive.read(f"{self._folder}{name}")


def _tensor(storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> np.ndarray:
    """A tensor that lies in a storage, ``strides`` numbers apart; each number belongs to one place of it at most."""
    if min((offset, *shape, *strides)) < 0 or len(shape) != len(strides):
        raise ValueError(f"a tensor of shape {shape} and strides {strides} at {offset}")
    size = int(np.prod(shape, dtype=object))
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if size > len(storage) or (size and last >= len(storage)):
        raise ValueError(f"a tensor of shape {shape} and strides {strides} at {offset} leaves its {len(storage)}")
    steps = tuple(stride * storage.itemsize for stride in strides)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
