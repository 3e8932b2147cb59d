"""A training run on disk: the whole state, to go on exactly where it stopped.

Items of a step: ``weights`` and ``config`` (all that separation reads, see ``model.weights``),
``state`` (step, parameters, optimiser) and ``data`` (the iterator's position). Orbax writes them
beside and renames, so an interrupted save leaves the previous checkpoint as the newest.
"""

import operator
from pathlib import Path
from typing import Any

import grain
import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.errors import InputError
from diffvs_jax.model import weights
from diffvs_jax.training.state import TrainState


class RunCheckpoints:
    """The checkpoints of one workdir, saved in the background. Close it, or use it with ``with``."""

    def __init__(self, workdir: Path, config: ConfigDict):
        options = ocp.CheckpointManagerOptions(max_to_keep=config.train.keep_checkpoints)
        self._folder = (workdir / weights.CHECKPOINTS).absolute()
        self._manager = ocp.CheckpointManager(self._folder, options=options)
        self._config = config

    def __enter__(self) -> "RunCheckpoints":
        return self

    def __exit__(self, *_: Any) -> None:
        self._manager.close()

    def latest_step(self) -> int | None:
        """The newest finished checkpoint's step, or None."""
        return self._manager.latest_step()

    def save(self, state: TrainState, stats: BandStats, batches: grain.DatasetIterator) -> None:
        """Saves the state at its step; returns once the arrays are copied, writing goes on."""
        step = int(state.step)
        if step == self.latest_step():
            return
        items = ocp.args.Composite(
            weights=ocp.args.StandardSave(weights.weights_item(state.ema, stats._asdict())),
            config=ocp.args.JsonSave(weights.config_item(self._config, step, len(state.ema))),
            state=ocp.args.StandardSave(_state_item(state)),
            data=grain.checkpoint.CheckpointSave(batches),
        )
        self._manager.save(step, args=items)

    def restore(self, abstract_state: TrainState, batches: grain.DatasetIterator) -> tuple[TrainState, BandStats]:
        """The newest state, laid out as ``abstract_state`` is sharded; sets ``batches`` to its position.

        Raises:
          InputError: the checkpoint's arrays do not fit the config (another model or optimiser).
        """
        step = self.latest_step()
        assert step is not None, "nothing to restore; ask latest_step first"
        folder = self._folder / str(step)
        audio, targets = self._config.audio, len(self._config.data.targets)
        stats = BandStats.ones(targets, audio.num_bands)
        items = {
            "weights": weights.weights_item(abstract_state.ema, stats._asdict()),
            "state": _state_item(abstract_state),
        }
        for name, abstract in items.items():
            weights.check_shapes(folder / name, abstract)
        _check_same_run(weights.load_config(folder), self._config, folder)
        args = {name: ocp.args.StandardRestore(abstract) for name, abstract in items.items()}
        saved = self._manager.restore(
            step, args=ocp.args.Composite(**args, data=grain.checkpoint.CheckpointRestore(batches))
        )
        ema, stats = tuple(saved.weights["ema"]), BandStats(**saved.weights["stats"])
        return TrainState(**saved.state, ema=ema), jax.device_get(stats)


def _check_same_run(saved: ConfigDict, config: ConfigDict, folder: Path) -> None:
    """Raises ``InputError`` when arrays would fit and yet mean something else."""
    model = ("num_heads", "head_dim", "attention", "resampling", "embedding", "fourier_scale")
    # The position in the data is counted in batches, by worker.
    names = ("edm.sigma_data", "data.targets", "data.num_workers", "train.batch_size")
    for name in (*(f"audio.{key}" for key in config.audio), *(f"model.{key}" for key in model), *names):
        try:
            before = operator.attrgetter(name)(saved)
        except AttributeError:
            before = "unknown"  # saved by a version without that key
        now = operator.attrgetter(name)(config)
        if before != now:
            raise InputError(
                f"{folder}: was trained with {name} {before}, the config has {now}; "
                "restore the value or choose a new workdir"
            )


def _state_item(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "params": state.params, "opt_state": state.opt_state}
