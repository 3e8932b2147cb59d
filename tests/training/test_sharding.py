import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.errors import InputError
from diffvs_jax.training.sharding import BATCH, make_mesh, state_sharding
from diffvs_jax.training.step import encode_stems

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


@pytest.mark.parametrize(("data", "fsdp"), [(2, 1), (1, 2)], ids=["data parallel", "fsdp"])
def test_two_devices_train_like_one(trainer, data, fsdp):
    one, two = trainer(1, 1), trainer(data, fsdp)
    np.testing.assert_allclose(two.run[1][:5], one.run[1][:5], rtol=1e-5)


def test_fsdp_keeps_half_of_a_large_leaf_on_each_device(trainer):
    two = trainer(1, 2)
    split = [leaf for leaf in jax.tree.leaves(two.fresh()) if leaf.size >= 2**12]
    assert split
    assert all(leaf.addressable_shards[0].data.size == leaf.size // 2 for leaf in split)


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


def test_mesh_spans_all_devices():
    count = jax.device_count()
    assert dict(make_mesh(1, count).shape) == {"data": count, "fsdp": 1}
    assert dict(make_mesh(count, count).shape) == {"data": 1, "fsdp": count}


@needs_two
@pytest.mark.parametrize(
    ("fsdp", "batch_size", "message"), [(3, 4, r"train\.fsdp 3"), (0, 4, r"train\.fsdp 0"), (1, 3, "batch_size 3")]
)
def test_what_does_not_divide_is_bad_input(fsdp, batch_size, message):
    with pytest.raises(InputError, match=message):
        make_mesh(fsdp, batch_size)
