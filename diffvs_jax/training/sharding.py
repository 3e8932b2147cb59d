"""One mesh for one machine or many: examples are split over all devices, state over ``fsdp`` of them."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from diffvs_jax.errors import InputError

AXES = ("data", "fsdp")
BATCH = PartitionSpec(AXES)


def make_mesh(train: Any) -> Mesh:
    """The mesh of ``train.mesh``, devices along (data, fsdp); an axis of -1 takes all that are left.

    Raises:
      InputError: devices that are too few, left over, or do not divide the batch.
    """
    count = jax.device_count()
    shape = _shape(train.mesh, count)
    size = shape[0] * shape[1]
    parts = size * train.accumulate_steps
    if train.accumulate_steps < 1 or train.batch_size % parts:
        parted = f" in {train.accumulate_steps} parts (train.accumulate_steps)" if train.accumulate_steps != 1 else ""
        raise InputError(f"train.batch_size {train.batch_size} does not divide over {size} devices{parted}")
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:size])


def _shape(mesh: Any, count: int) -> tuple[int, int]:
    sizes = list(mesh) if isinstance(mesh, tuple | list) else []
    if len(sizes) != 2 or not all(isinstance(size, int) and (size > 0 or size == -1) for size in sizes):
        raise InputError(f"train.mesh is {mesh!r}; give devices along (data, fsdp), such as (-1, 1); -1: all others")
    if sizes == [-1, -1]:
        raise InputError("train.mesh is (-1, -1); only one of (data, fsdp) can take all that are left")
    if -1 in sizes:
        known = max(sizes)
        if count % known:
            raise InputError(f"train.mesh {tuple(mesh)}: {known} does not divide {count} devices")
        sizes[sizes.index(-1)] = count // known
    size = sizes[0] * sizes[1]
    if size > count or (size < count and jax.process_count() > 1):
        raise InputError(f"train.mesh {tuple(mesh)} is of {size} devices; there are {count}")
    return sizes[0], sizes[1]


def state_sharding(abstract_state: Any, mesh: Mesh) -> Any:
    """Shardings for every leaf: its largest axis that ``fsdp`` divides, else replicated."""
    size = mesh.shape["fsdp"]

    def rule(leaf) -> NamedSharding:
        spec: list[str | None] = [None] * len(leaf.shape)
        for axis in sorted(range(len(spec)), key=lambda a: -leaf.shape[a]):
            if size > 1 and leaf.shape[axis] % size == 0 and leaf.size >= 2**12:
                spec[axis] = "fsdp"
                break
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(rule, abstract_state)


def sharded_shapes(abstract: Any, shardings: Any) -> Any:
    """Shapes and types of ``abstract`` together with where each leaf lies."""
    return jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), abstract, shardings)


def gathered(tree: Any, mesh: Mesh) -> Any:
    """``tree`` whole on every device, and sums over examples in its gradient too.

    Not told so, XLA may take the split of a parameter for that of the activations it meets, and move those.
    """
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))


def put_batch(batch: np.ndarray, mesh: Mesh) -> jax.Array:
    """This process's part of a global array, split along its first axis over all devices."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, BATCH), batch)
