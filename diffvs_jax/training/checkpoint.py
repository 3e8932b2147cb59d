"""A training run on disk: the whole state, to go on exactly where it stopped.

``checkpoints/STEP`` are the newest, ``best/STEP`` is the one that scored best in validation, and
``nonfinite/STEP`` what a run stood at when it halted. Items of a step: ``weights`` and ``config`` (all that
separation reads, see ``model.weights``) and ``state`` (counts, parameters, optimiser). Orbax writes them
beside and renames, so an interrupted save leaves the previous checkpoint as the newest.
"""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.errors import InputError
from diffvs_jax.model import weights
from diffvs_jax.training.state import TrainState

BEST, NONFINITE = "best", "nonfinite"  # in the workdir, beside ``weights.CHECKPOINTS``


class RunCheckpoints:
    """The checkpoints of one workdir, saved in the background. Close it, or use it with ``with``."""

    def __init__(self, workdir: Path, config: ConfigDict, log: Callable[[str], None]):
        self._workdir, self._config, self._log = workdir.absolute(), config, log
        self._folder = self._workdir / weights.CHECKPOINTS
        self._newest = _manager(self._folder, config.train.keep_checkpoints)

    def __enter__(self) -> "RunCheckpoints":
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(without_traces_of_abandoned_tasks())
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        with self._told_plainly():
            self._newest.close()
        if kind is None:
            self._quiet.close()

    def latest_step(self) -> int | None:
        """The newest finished checkpoint's step, or None."""
        return self._newest.latest_step()

    def has_any(self) -> bool:
        """Whether a run was here before, its checkpoints damaged or not."""
        return any(self._candidates()) or any(self._folder.glob("damaged-*"))

    def save(self, state: TrainState, stats: BandStats) -> None:
        """Saves the state at its step; returns once the arrays are copied, writing goes on.

        Raises:
          OSError: this checkpoint or the one before could not be written.
        """
        step = int(state.step)
        with self._told_plainly():
            if step != self.latest_step():
                self._newest.save(step, args=self._items(state, stats))

    def wait(self) -> None:
        """Returns when all that was saved is on disk."""
        with self._told_plainly():
            self._newest.wait_until_finished()

    def save_if_best(self, state: TrainState, stats: BandStats, csdr: float) -> bool:
        """Saves a state whose validation score is above all before, and returns whether it is."""
        if not csdr > self._best_csdr():
            return False
        self._save_alone(BEST, state, stats, csdr)
        return True

    def save_halted(self, state: TrainState, stats: BandStats) -> Path:
        """Saves the state before a step that halted the run where no restart goes on from it; returns the folder."""
        return self._save_alone(NONFINITE, state, stats)

    def restore(self, abstract_state: TrainState) -> tuple[TrainState, BandStats]:
        """The newest state that can be read, else the best one, laid out as ``abstract_state`` is sharded.

        What is damaged is renamed to ``damaged-STEP``, with a line that says so.

        Raises:
          InputError: the checkpoint's arrays do not fit the config (another model or optimiser), or
            none can be read.
        """
        for folder in self._candidates():
            try:
                return self._restore(folder, abstract_state)
            except (InputError, jax.errors.JaxRuntimeError):  # the second: out of memory
                raise
            except Exception as error:  # orbax raises all kinds
                self._set_aside(folder, error)
        raise InputError(f"{self._workdir}: none of its checkpoints can be read; choose a new workdir")

    def _candidates(self) -> list[Path]:
        """All that may be checkpoints, in the order in which they are tried."""
        newest, best = (
            sorted(
                (step for step in (self._workdir / name).glob("*") if step.name.isdigit()), key=lambda p: int(p.name)
            )
            for name in (weights.CHECKPOINTS, BEST)
        )
        return [*reversed(newest), *reversed(best)]

    def _restore(self, folder: Path, abstract_state: TrainState) -> tuple[TrainState, BandStats]:
        stats = BandStats.ones(len(self._config.data.targets), self._config.audio.num_bands)
        items = {
            "weights": weights.weights_item(abstract_state.ema, stats._asdict()),
            "state": state_item(abstract_state),
        }
        saved_config = weights.load_config(folder)
        for name, abstract in items.items():
            weights.check_shapes(folder, name, abstract)
        _check_same_run(saved_config, self._config, folder)
        saved = {name: weights.read_item(folder, name, abstract) for name, abstract in items.items()}
        ema, stats = tuple(saved["weights"]["ema"]), BandStats(**saved["weights"]["stats"])
        return TrainState(**saved["state"], ema=ema), jax.device_get(stats)

    def _set_aside(self, folder: Path, error: Exception) -> None:
        names = (f"damaged-{folder.name}{suffix}" for suffix in ("", *(f"-{number}" for number in range(2, 1000))))
        damaged = next(folder.with_name(name) for name in names if not folder.with_name(name).exists())
        multihost_utils.sync_global_devices(f"found damaged {folder}")
        if jax.process_index() == 0:
            folder.rename(damaged)
        multihost_utils.sync_global_devices(f"set aside {folder}")
        self._newest.reload()
        self._log(f"warning: checkpoint {folder.name} is damaged and now {damaged} ({_in_short(error)})")

    def _best_csdr(self) -> float:
        """The score of the best checkpoint so far."""
        for folder in reversed(weights.steps(self._workdir / BEST)):
            try:
                return float(weights.load_record(folder)["csdr"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._set_aside(folder, error)
        return -math.inf

    def _save_alone(self, name: str, state: TrainState, stats: BandStats, csdr: float | None = None) -> Path:
        """The one checkpoint in a folder, on disk when this returns."""
        step = int(state.step)
        with self._told_plainly(), contextlib.closing(_manager(self._workdir / name, 1)) as manager:
            for later in [saved for saved in manager.all_steps() if saved >= step]:
                manager.delete(later)  # from before a restart that trained otherwise; orbax saves no earlier step
            manager.save(step, args=self._items(state, stats, csdr))
        return self._workdir / name / str(step)

    def _items(self, state: TrainState, stats: BandStats, csdr: float | None = None) -> ocp.args.Composite:
        record = weights.config_item(self._config, int(state.step), len(state.ema))
        return ocp.args.Composite(
            weights=ocp.args.StandardSave(weights.weights_item(state.ema, stats._asdict())),
            config=ocp.args.JsonSave(record | ({} if csdr is None else {"csdr": csdr})),
            state=ocp.args.StandardSave(state_item(state)),
        )

    @contextlib.contextmanager
    def _told_plainly(self) -> Iterator[None]:
        """Turns whatever goes wrong while orbax writes, as on a full disk, into one line."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit, InputError):
            raise
        except Exception as error:
            whole = weights.steps(self._folder)
            left = f"run again, training goes on from step {whole[-1].name}" if whole else "there is none before it"
            raise OSError(f"{self._workdir}: a checkpoint could not be written; {left} ({_in_short(error)})") from error


def state_item(state: TrainState) -> dict[str, Any]:
    """The tree stored under ``state``: all but the averages."""
    return {name: value for name, value in state._asdict().items() if name != "ema"}


def _manager(folder: Path, keep: int) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
    return ocp.CheckpointManager(folder, options=options)


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@contextlib.contextmanager
def without_traces_of_abandoned_tasks() -> Iterator[None]:
    """When one array cannot be read or written, orbax leaves the others; each then finds itself without an event loop.

    Python would print a traceback for every one of them, sooner or later; the exception itself is raised.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        text = f"{unraisable.exc_value} {unraisable.object}"
        if not any(words in text for words in ("Event loop is closed", "coroutine", "sys.meta_path is None")):
            before(unraisable)

    sys.unraisablehook = hook
    yield
    sys.unraisablehook = before  # not after an error, whose leftovers are still to come


def _check_same_run(saved: ConfigDict, config: ConfigDict, folder: Path) -> None:
    """Raises ``InputError`` when arrays would fit and yet mean something else."""
    for name, before, now in weights.differences(saved, config):
        raise InputError(
            f"{folder}: was trained with {name} {before}, the config has {now}; "
            "restore the value or choose a new workdir"
        )
