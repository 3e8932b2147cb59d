"""Compiled train steps of the nano model, one per mesh, and a batch for them."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.training.band_stats import measure_band_stats
from diffvs_jax.training.sharding import put_batch, state_sharding
from diffvs_jax.training.state import init_state
from diffvs_jax.training.step import make_train_step
from tests.nano import get_config

NUM_STEPS = 30


def small_config():
    """The nano model of one level, which compiles in half the time."""
    config = get_config()
    config.model.channel_mult = (1,)
    return config


def make_mesh(data, fsdp):
    devices = jax.devices()[: data * fsdp]
    return jax.make_mesh((data, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2, devices=devices)


class Trainer:
    """The nano model on one mesh: a fresh state, and its step on a batch of stems."""

    def __init__(self, data, fsdp, **changes):
        self.config = small_config()
        self.config.train.update(changes)
        self.mesh = make_mesh(data, fsdp)
        self.shardings = state_sharding(jax.eval_shape(lambda: init_state(self.config)), self.mesh)
        self._step = make_train_step(self.config, self.mesh, self.shardings)
        self._stats = measure_band_stats(iter([fixed_batch(self.config)]), 1, SignalPath.from_config(self.config)).stats

    def fresh(self):
        return jax.device_put(initial_state(), self.shardings)

    def step(self, state, stems, wish=0):
        wishes = np.full(self.mesh.size, wish, np.int32)
        return self._step(state, put_batch(stems, self.mesh), self._stats, put_batch(wishes, self.mesh))

    @functools.cached_property
    def run(self):
        """Final state and all losses of training on one batch."""
        state, losses = self.fresh(), []
        for _ in range(NUM_STEPS):
            state, metrics = self.step(state, fixed_batch(self.config))
            losses.append(float(metrics["loss"]))
        return jax.device_get(state), losses


@functools.cache
def initial_state():
    shardings = state_sharding(jax.eval_shape(lambda: init_state(small_config())), make_mesh(1, 1))
    return jax.device_get(jax.jit(lambda: init_state(small_config()), out_shardings=shardings)())


@functools.cache
def _trainer(data, fsdp, **changes):
    return Trainer(data, fsdp, **changes)


def fixed_batch(config):
    """Seeded stems ``[B, 2, samples, channels]``: tones over noise."""
    rng = np.random.default_rng(0)
    samples = SignalPath.from_config(config).chunk_samples
    shape = (config.train.batch_size, 2, samples, config.audio.num_channels)
    tones = np.sin(np.arange(samples)[None, None, :, None] * rng.uniform(0.1, 2.0, (shape[0], 2, 1, 1)))
    return (0.3 * tones + 0.05 * rng.standard_normal(shape)).astype(np.float32)


@pytest.fixture(scope="session")
def trainer():
    """``trainer(data, fsdp)`` is the ``Trainer`` of a mesh; skips where devices are missing."""

    def of_mesh(data, fsdp, **changes):
        if jax.device_count() < data * fsdp:
            pytest.skip(f"needs {data * fsdp} devices")
        return _trainer(data, fsdp, **changes)

    return of_mesh


@pytest.fixture
def batch(nano_config):
    return fixed_batch(nano_config)
