import io
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

from diffvs_jax.embedding.torch_file import read_torch_file
from diffvs_jax.errors import InputError
from tests.embedding import tiny

ASSETS = Path(__file__).parent / "assets"


def test_tensors_of_every_type_and_layout():
    got = read_torch_file(ASSETS / "mixed.bin")
    expected = tiny.mixed()
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name].astype(np.float64), values, strict=False)
        assert got[name].shape == np.shape(values)
        assert got[name].dtype.name == ("bfloat16" if name == "bfloat16" else values.dtype.name)


class Storage:
    """Is pickled by an id, as PyTorch's are."""

    def __init__(self, values, count=None, kind="FloatStorage"):
        self.bytes, self.count, self.kind = np.float32(values).tobytes(), count or len(values), kind


class Tensor:
    """Is pickled as a call of PyTorch's function that rebuilds one."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, {})

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes an object as PyTorch would, by modules that only look like its."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def stand_in(module, name):
        kind = type(name, (), {"__module__": module.__name__, "__qualname__": name})
        setattr(module, name, kind)

    stand_in(torch, "FloatStorage")
    stand_in(torch, "DoubleStorage")
    stand_in(utils, "_rebuild_tensor_v2")
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def write(content, members=()):
        path = tmp_path / "weights.bin"
        pickled = io.BytesIO()
        with zipfile.ZipFile(path, "w") as archive:

            class Pickler(pickle.Pickler):
                def persistent_id(self, value):
                    if not isinstance(value, Storage):
                        return None
                    archive.writestr("weights/data/0", value.bytes)
                    return ("storage", getattr(torch, value.kind), "0", "cpu", value.count)

            Pickler(pickled, 2).dump(content)
            for name, data in {"data.pkl": pickled.getvalue(), **dict(members)}.items():
                archive.writestr(f"weights/{name}", data)
        return path

    return write


def test_the_tests_own_files_are_read(write):
    path = write({"x": Tensor(Storage([1, 2, 3, 4, 5]), 1, (2, 2), (1, 2))}, [("byteorder", "little")])
    np.testing.assert_array_equal(read_torch_file(path)["x"], np.float32([[2, 4], [3, 5]]))


class Runs:
    """Would make a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_run(write, tmp_path):
    path = write({"x": Runs(tmp_path / "made")})
    with pytest.raises(InputError, match=r"asks for \w+\.mkdir, and a dict of float32"):
        read_torch_file(path)
    assert not (tmp_path / "made").exists()
    pickle.loads(pickle.dumps(Runs(tmp_path / "made")))  # which an unpickler without limits would have done
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "dict"])
def test_not_even_builtins(write, name):
    path = write({"x": getattr(__builtins__, name, None) or __builtins__[name]})
    with pytest.raises(InputError, match=rf"asks for \w+\.{name}, "):
        read_torch_file(path)


@pytest.mark.parametrize(
    ("content", "members", "message"),
    [
        ({"x": Tensor(Storage([1], kind="DoubleStorage"), 0, (1,), (1,))}, (), r"asks for torch\.DoubleStorage"),
        ({"x": Tensor(Storage([1, 2]), 1, (2,), (1,))}, (), "leaves its 2"),
        ({"x": Tensor(Storage([1, 2]), -1, (2,), (1,))}, (), r"strides \(1,\) at -1"),
        ({"x": Tensor(Storage([1, 2]), 1, (2,), (-1,))}, (), r"strides \(-1,\) at 1"),
        ({"x": Tensor(Storage([1, 2]), 0, (10**12,), (0,))}, (), "leaves its 2"),
        ({"x": Tensor(Storage([1, 2]), 0, (2,), (1, 1))}, (), r"shape \(2,\) and strides \(1, 1\)"),
        ({"x": Tensor(Storage([1, 2], count=3), 0, (2,), (1,))}, (), "storage 0 has 2 numbers, not 3"),
        ({"x": 1}, (), "holds something else than a dict of tensors"),
        ([1, 2], (), "holds something else than a dict of tensors"),
        ({}, [("byteorder", "big")], "big-endian"),
    ],
)
def test_what_is_no_dict_of_tensors_is_told_in_one_line(write, content, members, message):
    path = write(content, members)
    with pytest.raises(InputError, match=rf"^{path}: .*{message}") as caught:
        read_torch_file(path)
    assert "\n" not in str(caught.value)


def test_what_pytorch_did_not_write_is_told_in_one_line(tmp_path):
    path = tmp_path / "weights.bin"
    whole = (ASSETS / "mixed.bin").read_bytes()
    for content in (b"\x80\x02old", whole[:-7], whole[:1000]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"^{path}: not a file that PyTorch 1.6 or newer wrote"):
            read_torch_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(InputError, match=r"holds no data\.pkl"):
        read_torch_file(path)
    damaged = whole.replace(b"float16", b"float61")
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="not a"):
        read_torch_file(path)
