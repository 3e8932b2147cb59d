"""A training run on disk: the whole state, to go on exactly where it stopped.

``checkpoints/STEP`` are the newest, ``best/STEP`` is the one that scored best in validation. Items of a
step: ``weights`` and ``config`` (all that separation reads, see ``model.weights``) and ``state`` (counts,
parameters, optimiser). Orbax writes them beside and renames, so an interrupted save leaves the previous
checkpoint as the newest.
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

BEST = "best"  # in the workdir, beside ``weights.CHECKPOINTS``


class RunCheckpoints:
    """The checkpoints of one workdir, saved in the background. Close it, or use it with ``with``."""

    def __init__(self, workdir: Path, config: ConfigDict, log: Callable[[str], None]):
        self._folder = (workdir / weights.CHECKPOINTS).absolute()
        self._best_folder = (workdir / BEST).absolute()
        self._config, self._log = config, log
        self._newest = _manager(self._folder, config.train.keep_checkpoints)
        self._best: ocp.CheckpointManager | None = None  # its folder appears with the first validation

    def __enter__(self) -> "RunCheckpoints":
        return self

    def __exit__(self, *_: Any) -> None:
        with _told_plainly(self._folder):
            self._newest.close()
        if self._best is not None:
            self._best.close()

    def latest_step(self) -> int | None:
        """The newest finished checkpoint's step, or None."""
        return self._newest.latest_step()

    def save(self, state: TrainState, stats: BandStats) -> None:
        """Saves the state at its step; returns once the arrays are copied, writing goes on.

        Raises:
          OSError: this checkpoint or the one before could not be written.
        """
        step = int(state.step)
        with _told_plainly(self._folder):
            if step != self.latest_step():
                self._newest.save(step, args=self._items(state, stats))

    def wait(self) -> None:
        """Returns when all that was saved is on disk."""
        with _told_plainly(self._folder):
            self._newest.wait_until_finished()

    def save_if_best(self, state: TrainState, stats: BandStats, csdr: float) -> bool:
        """Saves a state whose validation score is above all before, and returns whether it is.

        It is on disk when this returns: whoever finds a later checkpoint can trust that this one is there.
        """
        if not csdr > self._best_csdr():
            return False
        with _told_plainly(self._best_folder):
            if self._best is None:
                self._best = _manager(self._best_folder, 1)
            step = int(state.step)
            for later in [saved for saved in self._best.all_steps() if saved >= step]:
                self._best.delete(later)  # from before a restart that trained otherwise; orbax saves no earlier step
            self._best.save(step, args=self._items(state, stats, csdr))
            self._best.wait_until_finished()
        return True

    def restore(self, abstract_state: TrainState) -> tuple[TrainState, BandStats]:
        """The newest state that can be read, laid out as ``abstract_state`` is sharded.

        What lies behind it and is damaged is renamed to ``damaged-STEP``, with a line that says so.

        Raises:
          InputError: the checkpoint's arrays do not fit the config (another model or optimiser), or
            none can be read.
        """
        while (step := self.latest_step()) is not None:
            try:
                with _without_traces_of_abandoned_reads():
                    return self._restore(step, abstract_state)
            except InputError:
                raise
            except (OSError, ValueError, KeyError) as error:
                self._set_aside(step, error)
        raise InputError(f"{self._folder}: none of its checkpoints can be read; choose a new workdir")

    def _restore(self, step: int, abstract_state: TrainState) -> tuple[TrainState, BandStats]:
        folder = self._folder / str(step)
        stats = BandStats.ones(len(self._config.data.targets), self._config.audio.num_bands)
        items = {
            "weights": weights.weights_item(abstract_state.ema, stats._asdict()),
            "state": state_item(abstract_state),
        }
        saved_config = weights.load_config(folder)
        for name, abstract in items.items():
            weights.check_shapes(folder / name, abstract)
        _check_same_run(saved_config, self._config, folder)
        args = {name: ocp.args.StandardRestore(abstract) for name, abstract in items.items()}
        saved = self._newest.restore(step, args=ocp.args.Composite(**args))
        ema, stats = tuple(saved.weights["ema"]), BandStats(**saved.weights["stats"])
        return TrainState(**saved.state, ema=ema), jax.device_get(stats)

    def _set_aside(self, step: int, error: Exception) -> None:
        damaged = self._folder / f"damaged-{step}"
        if jax.process_index() == 0:
            (self._folder / str(step)).rename(damaged)
        multihost_utils.sync_global_devices(f"set aside {step}")
        self._newest.reload()
        reason = " ".join(str(error).split())[:200]
        self._log(f"warning: checkpoint {step} is damaged and now {damaged} ({type(error).__name__}: {reason})")

    def _best_csdr(self) -> float:
        """The score of the best checkpoint so far."""
        steps = weights.steps(self._best_folder)
        return weights.load_record(steps[-1])["csdr"] if steps else -math.inf

    def _items(self, state: TrainState, stats: BandStats, csdr: float | None = None) -> ocp.args.Composite:
        record = weights.config_item(self._config, int(state.step), len(state.ema))
        return ocp.args.Composite(
            weights=ocp.args.StandardSave(weights.weights_item(state.ema, stats._asdict())),
            config=ocp.args.JsonSave(record | ({} if csdr is None else {"csdr": csdr})),
            state=ocp.args.StandardSave(state_item(state)),
        )


def state_item(state: TrainState) -> dict[str, Any]:
    """The tree stored under ``state``: all but the averages."""
    return {name: value for name, value in state._asdict().items() if name != "ema"}


def _manager(folder: Path, keep: int) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
    return ocp.CheckpointManager(folder, options=options)


@contextlib.contextmanager
def _told_plainly(folder: Path) -> Iterator[None]:
    """Turns whatever goes wrong while orbax writes, as on a full disk, into one line."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, InputError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise OSError(
            f"{folder}: a checkpoint could not be written; those before are whole, and training goes on from them "
            f"when run again ({type(error).__name__}: {reason})"
        ) from error


@contextlib.contextmanager
def _without_traces_of_abandoned_reads() -> Iterator[None]:
    """When one array cannot be read, orbax leaves the others; each of those then finds its event loop closed.

    Python would print a traceback for every one of them, sooner or later, so the silence outlasts an error.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if "Event loop is closed" not in str(unraisable.exc_value):
            before(unraisable)

    sys.unraisablehook = hook
    yield
    sys.unraisablehook = before


def _check_same_run(saved: ConfigDict, config: ConfigDict, folder: Path) -> None:
    """Raises ``InputError`` when arrays would fit and yet mean something else."""
    for name, before, now in weights.differences(saved, config):
        raise InputError(
            f"{folder}: was trained with {name} {before}, the config has {now}; "
            "restore the value or choose a new workdir"
        )
