"""Trains the nano model on meshes of eight simulated devices, in a process of its own that prints JSON.

``python meshes.py "8x1" "2x4" "2x2/2"``: data x fsdp devices, and the parts of a batch after a slash.
Of each mesh it prints the losses, and what moves between devices in the compiled step.
"""

import functools
import itertools
import json
import re
import sys

import jax
import numpy as np

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.training.sharding import make_mesh, put_batch, sharded_shapes, state_sharding
from diffvs_jax.training.state import init_state
from diffvs_jax.training.step import make_train_step
from tests.nano import get_config

NUM_STEPS = 20
NUM_STEPS_IN_PARTS = 8  # beyond the warm-up; a loop over parts, hardly optimised, takes 20 times as long
BATCH_SIZE = 16


def batches(config):
    """Seeded stems: tones over noise, another batch every step."""
    rng = np.random.default_rng(0)
    samples = SignalPath.from_config(config).chunk_samples
    for _ in range(NUM_STEPS):
        shape = (BATCH_SIZE, 2, samples, config.audio.num_channels)
        tones = np.sin(np.arange(samples)[None, None, :, None] * rng.uniform(0.1, 2.0, (BATCH_SIZE, 2, 1, 1)))
        yield (0.3 * tones + 0.05 * rng.standard_normal(shape)).astype(np.float32)


def moved(text):
    """Shapes of what each kind of collective moves, in a compiled program's text."""
    found = {}
    for line in text.splitlines():
        call = re.search(r" (all-gather|all-reduce|all-to-all|reduce-scatter|collective-permute)(?:-start)?\(", line)
        if call:
            result = line[: call.start()].partition(" = ")[2]
            shapes = [list(map(int, filter(None, shape.split(",")))) for shape in re.findall(r"\[([\d,]*)\]", result)]
            found.setdefault(call[1], []).extend(shapes)
    return found


def small_config():
    config = get_config()
    config.model.channel_mult = (1,)  # compiles in half the time
    return config


@functools.cache
def initial_state():
    return jax.device_get(jax.jit(lambda: init_state(small_config()))())


def train(name):
    mesh_name, _, parts = name.partition("/")
    config = small_config()
    config.train.mesh = tuple(map(int, mesh_name.split("x")))
    config.train.batch_size, config.train.accumulate_steps = BATCH_SIZE, int(parts or 1)
    config.train.learning_rate = 1e-3
    mesh = make_mesh(config.train)
    shapes = jax.eval_shape(lambda: init_state(config))
    shardings = state_sharding(shapes, mesh)
    state = jax.device_put(initial_state(), shardings)
    stats = BandStats.ones(1, config.audio.num_bands)
    wishes = put_batch(np.zeros(mesh.size, np.int32), mesh)
    losses, step = [], None
    for stems in itertools.islice(batches(config), NUM_STEPS_IN_PARTS if parts else NUM_STEPS):
        arguments = (put_batch(stems, mesh), stats, wishes)
        step = (
            step
            or make_train_step(config, mesh, shardings).lower(sharded_shapes(shapes, shardings), *arguments).compile()
        )
        state, metrics = step(state, *arguments)
        losses.append(float(metrics["loss"]))
    leaves = zip(jax.tree.leaves(shapes), jax.tree.leaves(shardings), strict=True)
    split = {leaf.shape for leaf, sharding in leaves if any(sharding.spec)}
    share = sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(state))
    return {
        "losses": losses,
        "moved": moved(step.as_text()),
        "split": sorted(split),
        "share": share / sum(leaf.size for leaf in jax.tree.leaves(state)),
    }


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 8)
    print(json.dumps({name: train(name) for name in sys.argv[1:]}))
