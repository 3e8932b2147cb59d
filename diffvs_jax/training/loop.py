"""The training loop: restore or start, step, log, save."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.compilation import compile_program
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.training.batches import process_batches
from diffvs_jax.training.checkpoint import RunCheckpoints
from diffvs_jax.training.metrics_writer import MetricsWriter
from diffvs_jax.training.sharding import BATCH, make_mesh, put_batch, state_sharding
from diffvs_jax.training.state import TrainState, init_state
from diffvs_jax.training.statistics import find_band_stats
from diffvs_jax.training.step import make_train_step

Log = Callable[[str], None]


def train(config: ConfigDict, workdir: Path, tracks: Sequence[Track], log: Log = print) -> tuple[TrainState, BandStats]:
    """Trains to ``train.num_steps`` or for ``train.max_minutes``, going on from the newest checkpoint in ``workdir``.

    Writes ``checkpoints/`` and ``metrics.jsonl`` there, and a last checkpoint at the end. Band statistics
    are the checkpoint's; without one they are measured, or read from beside the data.

    Raises:
      InputError: a config that cannot be built, or a checkpoint that does not fit it.
      FloatingPointError: the loss is no longer finite.
    """
    mesh = make_mesh(config.train.fsdp, config.train.batch_size)
    abstract = jax.eval_shape(lambda: init_state(config))
    shardings = state_sharding(abstract, mesh)
    batches = process_batches(config, tracks)
    log(f"parameters: {sum(leaf.size for leaf in jax.tree.leaves(abstract.params)) / 1e6:.2f} M")

    with (
        contextlib.closing(batches),
        RunCheckpoints(workdir, config) as checkpoints,
        MetricsWriter(workdir) as writer,
    ):
        if checkpoints.latest_step() is None:
            stats = find_band_stats(config, workdir, tracks, log)
            state = jax.jit(lambda: init_state(config), out_shardings=shardings)()
        else:
            laid_out = jax.tree.map(_with_sharding, abstract, shardings)
            state, stats = checkpoints.restore(laid_out, batches)
            log(f"continuing from step {int(state.step)}")
        numbers = range(int(state.step) + 1, config.train.num_steps + 1)
        step = make_train_step(config, mesh, shardings)
        if numbers:
            step = _compile(step, config, mesh, abstract, shardings, stats, log)
        progress = _Progress(config, writer, log)
        deadline = _deadline(config.train.max_minutes)
        for number in numbers:
            state, metrics = step(state, put_batch(next(batches), mesh), stats)
            progress.add(number, metrics)
            late = time.monotonic() > deadline
            if late or number % config.train.checkpoint_every_steps == 0 or number == config.train.num_steps:
                progress.flush()  # a checkpoint is never made of a state that is not finite
                checkpoints.save(state, stats, batches)
            if late and number < config.train.num_steps:
                log(f"stopped at step {number} after train.max_minutes {config.train.max_minutes}; run again to go on")
                break
    return state, stats


def _deadline(max_minutes: float) -> float:
    """When to stop, on ``time.monotonic``'s clock; never for 0 minutes."""
    if max_minutes > 0 and jax.process_count() > 1:
        raise InputError("train.max_minutes stops processes at different steps; set it to 0 with more than one")
    return time.monotonic() + 60 * max_minutes if max_minutes > 0 else float("inf")


def _compile(step, config: ConfigDict, mesh, abstract: TrainState, shardings: TrainState, stats: BandStats, log: Log):
    """The training step compiled ahead, so that the first one is not the slow one."""
    path = SignalPath.from_config(config)
    rows = len(config.data.targets) + 1
    shape = (config.train.batch_size, rows, path.chunk_samples, path.num_channels)
    batch = jax.ShapeDtypeStruct(shape, np.float32, sharding=NamedSharding(mesh, BATCH))
    compiled = compile_program(step, jax.tree.map(_with_sharding, abstract, shardings), batch, stats)
    log(f"training step compiled in {compiled}")
    return compiled.program


def _with_sharding(leaf, sharding):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


class _Progress:
    """Reads metrics one step late, so that the device never waits for the host, and prints means."""

    def __init__(self, config: ConfigDict, writer: MetricsWriter, log: Log):
        self._config, self._writer, self._log = config, writer, log
        self._pending: tuple[int, dict] | None = None
        self._window: list[dict] = []
        self._since = time.perf_counter()

    def add(self, step: int, metrics: dict) -> None:
        """Takes a dispatched step's metrics; reads and reports the previous one's."""
        self.flush()
        self._pending = (step, metrics)

    def flush(self) -> None:
        """Reads what is pending.

        Raises:
          FloatingPointError: the loss or its gradient is NaN or infinite.
        """
        if self._pending is None:
            return
        step, metrics = self._pending[0], jax.device_get(self._pending[1])
        self._pending = None
        for name in ("loss", "gradient_norm"):  # a gradient spoils the state one step before the loss shows it
            if not np.isfinite(metrics[name]):
                raise FloatingPointError(f"{name} is {metrics[name]} at step {step}; lower train.learning_rate")
        self._window.append(metrics)
        if step % self._config.train.log_every_steps == 0 or step == self._config.train.num_steps:
            self._report(step)

    def _report(self, step: int) -> None:
        now = time.perf_counter()
        means = {name: np.mean([entry[name] for entry in self._window]) for name in self._window[0]}
        seconds = (now - self._since) / len(self._window)
        means["seconds_per_step"] = seconds
        self._writer.write(step, means)
        total = self._config.train.num_steps
        left = time.strftime("%H:%M:%S", time.gmtime((total - step) * seconds))
        self._log(
            f"step {step}/{total}  loss {means['loss']:.4f}  gradient {means['gradient_norm']:.2f}  "
            f"{seconds:.3f} s/step  left {left}"
        )
        self._since, self._window = now, []
