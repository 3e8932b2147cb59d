import functools
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.errors import InputError
from diffvs_jax.training.gradient import encode_stems
from diffvs_jax.training.sharding import BATCH, make_mesh, state_sharding
from tests.commands.processes import environment
from tests.nano import get_config

# Data x fsdp of eight simulated devices; after a slash the parts of a batch.
MESHES = ("1x1", "1x2", "2x2/2", "8x1")

# The CPU always has two (conftest.py): only an accelerator with one device may skip.
needs_two = pytest.mark.skipif(
    jax.default_backend() != "cpu" and jax.device_count() < 2, reason="needs 2 devices of the accelerator"
)


def spec_of(shape, mesh):
    return state_sharding(jax.ShapeDtypeStruct(shape, jnp.float32), mesh).spec


@needs_two
@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((3, 3, 64, 128), (None, None, None, "fsdp")),  # the largest axis
        ((3, 3, 128, 64), (None, None, "fsdp", None)),
        ((101, 64), (None, "fsdp")),  # the largest that divides
        ((8192,), ("fsdp",)),
        ((101, 101), (None, None)),  # none divides
        ((32, 32), (None, None)),  # too small to be worth it
        ((), ()),
    ],
)
def test_state_is_split_along_its_largest_axis_that_divides(trainer, shape, spec):
    assert spec_of(shape, trainer(1, 2).mesh) == PartitionSpec(*spec)


@needs_two
def test_one_copy_per_device_without_fsdp(trainer):
    assert spec_of((128, 128), trainer(2, 1).mesh) == PartitionSpec(None, None)


@pytest.fixture(scope="module")
def on_meshes():
    """What ``meshes.py`` prints of every mesh."""
    script = Path(__file__).with_name("meshes.py")
    done = subprocess.run([sys.executable, str(script), *MESHES], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("mesh", MESHES[1:])
def test_any_mesh_has_the_loss_curve_of_one_device(on_meshes, mesh):
    one = on_meshes["1x1"]["losses"]
    assert len(set(one)) == len(one) == 20
    losses = on_meshes[mesh]["losses"]
    assert len(losses) == (8 if "/" in mesh else 20)
    np.testing.assert_allclose(losses, one[: len(losses)], rtol=1e-5)


def test_data_parallel_training_moves_sums_alone(on_meshes):
    assert list(on_meshes["8x1"]["moved"]) == ["all-reduce"]


@pytest.mark.parametrize("mesh", ["1x2", "2x2/2"])
def test_fsdp_gathers_split_parameters_and_moves_no_activations(on_meshes, mesh):
    moved, split = on_meshes[mesh]["moved"], on_meshes[mesh]["split"]
    assert moved.keys() <= {"all-gather", "all-reduce", "reduce-scatter"}
    assert split and sorted(moved["all-gather"]) == split
    sums = [shape for kind in moved.keys() - {"all-gather"} for shape in moved[kind]]
    assert max(np.prod(shape, dtype=int) for shape in sums) <= max(map(np.prod, split))


def test_fsdp_keeps_its_part_of_large_leaves_on_each_device(on_meshes):
    assert on_meshes["8x1"]["share"] == 1.0
    assert on_meshes["1x2"]["share"] == on_meshes["2x2/2"]["share"] < 0.9  # half of the leaves above 4096 numbers


@needs_two
def test_encoding_a_split_batch_moves_nothing_between_devices(trainer, nano_config, batch):
    mesh, path, stats = trainer(2, 1).mesh, SignalPath.from_config(nano_config), BandStats.ones(1, 2)
    split, whole = NamedSharding(mesh, BATCH), NamedSharding(mesh, PartitionSpec())
    encode = functools.partial(encode_stems, path=path)
    program = jax.jit(encode, in_shardings=(split, whole), out_shardings=split).lower(batch, stats).compile()
    text = program.as_text()
    assert "dot" in text
    for moves in ("all-gather", "all-to-all", "all-reduce", "collective-permute"):
        assert moves not in text
    # XLA gathers what an FFT of its own transforms; several at a time can block a CPU for good.
    assert " fft(" not in text
    for tensor, expected in zip(program(jax.device_put(batch, split), stats), encode(batch, stats), strict=True):
        np.testing.assert_allclose(tensor, expected, atol=1e-5)


def train_settings(**changes):
    settings = get_config().train
    settings.update(changes)
    return settings


def test_mesh_spans_all_devices():
    count = jax.device_count()
    settings = {"batch_size": 2 * count}
    assert dict(make_mesh(train_settings(**settings)).shape) == {"data": count, "fsdp": 1}
    assert dict(make_mesh(train_settings(mesh=(1, -1), **settings)).shape) == {"data": 1, "fsdp": count}
    assert dict(make_mesh(train_settings(mesh=(1, count), **settings)).shape) == {"data": 1, "fsdp": count}


def test_one_process_may_leave_devices_out():
    assert make_mesh(train_settings(mesh=(1, 1), batch_size=3)).devices.tolist() == [[jax.devices()[0]]]


@needs_two
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh": (-1, 3)}, r"train\.mesh \(-1, 3\): 3 does not divide 2 devices"),
        ({"mesh": (2, 2)}, r"train\.mesh \(2, 2\) is of 4 devices; there are 2"),
        ({"mesh": (0, 1)}, r"train\.mesh is \(0, 1\); give devices"),
        ({"mesh": (2,)}, r"train\.mesh is \(2,\); give devices"),
        ({"mesh": (-1, -1)}, r"only one of \(data, fsdp\)"),
        ({"batch_size": 3}, r"train\.batch_size 3 does not divide over 2 devices$"),
        ({"batch_size": 6, "accumulate_steps": 2}, r"6 does not divide over 2 devices in 2 parts"),
    ],
)
def test_what_does_not_divide_is_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        make_mesh(train_settings(**changes))
