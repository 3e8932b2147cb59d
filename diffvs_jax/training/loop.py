"""The training loop: restore or start, step, report, validate, save."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.compilation import compile_program
from diffvs_jax.data.beside import write_json
from diffvs_jax.data.tracks import Track
from diffvs_jax.model.denoiser import Params
from diffvs_jax.model.weights import CHECKPOINTS
from diffvs_jax.training.batches import describe_global_batch, process_batches
from diffvs_jax.training.checkpoint import RunCheckpoints
from diffvs_jax.training.interruption import GO_ON, INTERRUPT, TIME_UP, Clock, StopSignals
from diffvs_jax.training.lock import only_run
from diffvs_jax.training.metrics_writer import MetricsWriter
from diffvs_jax.training.report import Halted, Report
from diffvs_jax.training.sharding import BATCH, make_mesh, put_batch, sharded_shapes, state_sharding
from diffvs_jax.training.start import find_start
from diffvs_jax.training.state import TrainState, init_state
from diffvs_jax.training.step import make_train_step
from diffvs_jax.training.summaries import Speed

Log = Callable[[str], None]


class Scores(Protocol):
    """What validation finds: the score that "best" means, and things to write down, to see and to hear, by name."""

    @property
    def csdr(self) -> float: ...  # noqa: D102
    @property
    def scalars(self) -> dict[str, float]: ...  # noqa: D102
    @property
    def images(self) -> dict[str, np.ndarray]: ...  # noqa: D102
    @property
    def audio(self) -> dict[str, tuple[np.ndarray, int]]: ...  # noqa: D102


Validate = Callable[[Params, BandStats], Scores]


class Result(NamedTuple):
    """Where a run stands, and whether somebody wanted it to end before ``train.num_steps`` and ``max_minutes``."""

    state: TrainState
    stats: BandStats
    interrupted: bool


def train(
    config: ConfigDict,
    workdir: Path,
    tracks: Sequence[Track],
    log: Log = print,
    make_validate: Callable[[Mesh], Validate] | None = None,
) -> Result:
    """Trains to ``train.num_steps``, going on from the newest checkpoint in ``workdir``.

    Writes ``checkpoints/``, ``best/``, ``metrics.jsonl`` and, where tensorboardX is installed,
    ``tensorboard/`` there. It ends early, with a checkpoint, after ``train.max_minutes`` and, in the
    main thread, at SIGTERM or SIGINT. All processes of a run must call it alike.

    Args:
      config: a whole config.
      workdir: the run's folder.
      tracks: to train on.
      log: told of what happens, line by line.
      make_validate: given the mesh, makes what scores the averaged parameters every
        ``train.validate_every_steps`` and at the end; None: nothing does.

    Raises:
      InputError: a config that cannot be built, or a checkpoint that does not fit it.
      FloatingPointError: the loss is no longer finite; ``nonfinite_STEP.json`` names the batch's tracks, and
        ``nonfinite/STEP`` is a checkpoint of the state before.
      OSError: a checkpoint could not be written.
    """
    mesh = make_mesh(config.train)
    shapes = jax.eval_shape(lambda: init_state(config))
    abstract = sharded_shapes(shapes, state_sharding(shapes, mesh))
    log(f"parameters: {sum(leaf.size for leaf in jax.tree.leaves(shapes.params)) / 1e6:.2f} M")
    with only_run(workdir), RunCheckpoints(workdir, config, log) as checkpoints:
        state, stats = find_start(config, workdir, tracks, checkpoints, abstract, log)
        first_step = int(state.step)
        if first_step >= config.train.num_steps:
            log(f"nothing left to do: train.num_steps is {config.train.num_steps}")
            return Result(state, stats, interrupted=False)
        step = _compile(config, mesh, abstract, stats, log)
        validate = make_validate(mesh) if make_validate and config.train.validate_every_steps else None
        is_first = jax.process_index() == 0
        with (
            contextlib.closing(process_batches(config, tracks, int(state.examples))) as batches,
            MetricsWriter(workdir, last_step=first_step, enabled=is_first, log=log) as writer,
            Report(config, state, Speed(config, mesh.size), writer, log) as report,
            StopSignals() as signals,
        ):
            run = _Run(state, stats, config, mesh, checkpoints, writer, report, signals, log)
            try:
                interrupted = run.go(step, batches, validate)
            except Halted as halted:
                raise FloatingPointError(run.keep_evidence(halted, workdir, tracks)) from None
    return Result(run.state, stats, interrupted)


def _compile(config: ConfigDict, mesh: Mesh, abstract: TrainState, stats: BandStats, log: Log) -> Callable:
    """The training step compiled ahead, so that the first one is not the slow one."""
    path = SignalPath.from_config(config)
    split = NamedSharding(mesh, BATCH)
    shape = (config.train.batch_size, len(config.data.targets) + 1, path.chunk_samples, path.num_channels)
    stems = jax.ShapeDtypeStruct(shape, np.float32, sharding=split)
    wishes = jax.ShapeDtypeStruct((mesh.size,), np.int32, sharding=split)
    step = make_train_step(config, mesh, jax.tree.map(lambda leaf: leaf.sharding, abstract))
    compiled = compile_program(step, abstract, stems, stats, wishes)
    log(f"training step compiled in {compiled}")
    return compiled.program


class _Run:
    """The loop, and all that it reaches for."""

    def __init__(
        self,
        state: TrainState,
        stats: BandStats,
        config: ConfigDict,
        mesh: Mesh,
        checkpoints: RunCheckpoints,
        writer: MetricsWriter,
        report: Report,
        signals: StopSignals,
        log: Log,
    ):
        self.state = state  # after the newest step
        self._stats, self._config, self._mesh = stats, config, mesh
        self._checkpoints, self._writer, self._report = checkpoints, writer, report
        self._signals, self._clock, self._log = signals, Clock(config.train), log
        self._saved_at = int(state.step)

    def go(self, step: Callable, batches: Iterator[np.ndarray], validate: Validate | None) -> bool:
        """All steps to the end or to a stop; returns whether that was an interruption."""
        wish, train = GO_ON, self._config.train
        for number in range(self._saved_at + 1, train.num_steps + 1):
            began = time.perf_counter()
            stems = put_batch(next(batches), self._mesh)
            waited = time.perf_counter() - began
            wishes = put_batch(np.full(len(self._mesh.local_devices), wish, np.int32), self._mesh)
            self.state, metrics = step(self.state, stems, self._stats, wishes)
            self._report.add(number, metrics, waited)
            wish = INTERRUPT if self._signals.received else self._clock.wish()
            agreed = self._agreed(wish)
            last = number == train.num_steps
            if agreed != GO_ON or number % train.checkpoint_every_steps == 0 or last:
                self._save(number)
            if agreed >= TIME_UP and not last:
                asked = self._signals.received or "a signal to another process"
                reason = asked if agreed == INTERRUPT else f"train.max_minutes {train.max_minutes:g}"
                self._checkpoints.wait()
                self._log(f"stopped by {reason} at step {number}; run again to go on")
                return agreed == INTERRUPT
            if validate and (number % train.validate_every_steps == 0 or last):
                self._validate(validate, number)
        self._checkpoints.wait()
        return agreed == INTERRUPT or (jax.process_count() == 1 and bool(self._signals.received))

    def _agreed(self, wish: int) -> int:
        """What to do now: one process does what it wishes, several what any of them wished a step ago.

        They all read that wish among the metrics of the same step, so none goes on without the others.
        """
        if jax.process_count() == 1:
            return wish
        return self._report.wish if self._report.wish_step > self._saved_at else GO_ON

    def _validate(self, validate: Validate, number: int) -> None:
        self._report.flush()
        began = time.perf_counter()
        scores = validate(self.state.ema[0], self._stats)
        self._writer.scalars(number, scores.scalars)
        for name, image in scores.images.items():
            self._writer.image(number, name, image)
        for name, (audio, sample_rate) in scores.audio.items():
            self._writer.audio(number, name, audio, sample_rate)
        best = self._checkpoints.save_if_best(self.state, self._stats, scores.csdr)
        self._log(f"step={number} validation_csdr={scores.csdr:.3f} best={str(best).lower()}")
        self._report.exclude(time.perf_counter() - began)

    def _save(self, number: int) -> None:
        self._report.flush()  # what is written about a step comes before its checkpoint
        self._checkpoints.save(self.state, self._stats)
        self._clock.saved()
        self._saved_at = number

    def keep_evidence(self, halted: Halted, workdir: Path, tracks: Sequence[Track]) -> str:
        """Saves the state before the step that halted, and what its batch was; returns what to tell."""
        self.state = self.state._replace(skipped=self.state.skipped - 1)
        folder = self._checkpoints.save_halted(self.state, self._stats)
        file = workdir / f"nonfinite_{halted.step}.json"
        if jax.process_index() == 0:
            examples = describe_global_batch(self._config, tracks, int(self.state.examples))
            write_json(file, {"step": halted.step, "reason": halted.reason, "examples": examples})
        return (
            f"{halted.reason}; {file} names the batch's tracks, and {folder} is the state before it: moved to "
            f"{workdir / CHECKPOINTS}, it meets the same step first. Run again with train.max_skipped_steps above "
            f"{int(self.state.skipped)} to pass over such steps, or with a train.learning_rate below "
            f"{self._config.train.learning_rate:g}"
        )
