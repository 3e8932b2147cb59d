"""One mesh for one machine or many: examples are split over all devices, state over ``fsdp`` of them."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from diffvs_jax.errors import InputError

BATCH = PartitionSpec(("data", "fsdp"))


def make_mesh(fsdp: int, batch_size: int) -> Mesh:
    """Mesh with axes (data, fsdp) over all devices.

    Raises:
      InputError: ``fsdp`` does not divide the devices, or the devices do not divide the batch.
    """
    count = jax.device_count()
    if fsdp < 1 or count % fsdp:
        raise InputError(f"train.fsdp {fsdp} does not divide {count} devices")
    if batch_size % count:
        raise InputError(f"train.batch_size {batch_size} does not divide over {count} devices")
    return jax.make_mesh((count // fsdp, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)


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


def put_batch(batch: np.ndarray, mesh: Mesh) -> jax.Array:
    """This process's examples as its part of the global batch, split over the devices."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, BATCH), batch)
