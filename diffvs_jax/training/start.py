"""Where a run's state comes from: its own checkpoint, else another run's weights, else the seed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.model import weights
from diffvs_jax.training.checkpoint import RunCheckpoints, state_item
from diffvs_jax.training.state import TrainState, init_state
from diffvs_jax.training.statistics import find_band_stats

Log = Callable[[str], None]


def find_start(
    config: ConfigDict,
    workdir: Path,
    tracks: Sequence[Track],
    checkpoints: RunCheckpoints,
    abstract: TrainState,
    log: Log,
) -> tuple[TrainState, BandStats]:
    """The state to train from and its band statistics, laid out as ``abstract`` is sharded.

    A checkpoint in the workdir goes first: a run that is started again goes on. Without one, the model that
    ``init_from`` names; without that, parameters drawn from the seed and statistics of the training set.

    Raises:
      InputError: a checkpoint or a model that does not fit the config.
    """
    if checkpoints.latest_step() is not None:
        state, stats = checkpoints.restore(abstract)
        log(f"continuing from step {int(state.step)}")
        return state, stats
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    if not config.init_from:
        stats = find_band_stats(config, workdir, tracks, log)
        return jax.jit(lambda: init_state(config), out_shardings=shardings)(), stats
    return _from_model(config, abstract, log)


def _from_model(config: ConfigDict, abstract: TrainState, log: Log) -> tuple[TrainState, BandStats]:
    """Step 0 of a run that begins with the parameters, and statistics, of ``config.init_from``.

    With ``init_optimizer`` parameters, averages and AdamW's moments go on as they were; without, all
    begin as the model's first average, which is what separates.
    """
    folder = weights.find(config.init_from).absolute()
    record = weights.load_record(folder)
    for name, before, now in weights.differences(weights.load_config(folder), config):
        log(f"note: {folder} was trained with {name} {before}, here it is {now}")
    stats = BandStats.ones(len(config.data.targets), config.audio.num_bands)
    averages = [abstract.ema[0]] * record["num_ema"]
    item = weights.weights_item(tuple(averages), stats._asdict())
    saved = _read(folder, "weights", item)
    stats = jax.device_get(BandStats(**saved["stats"]))
    sources = saved["ema"]

    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    fresh = jax.jit(lambda: init_state(config), out_shardings=shardings)()
    ema = tuple(_copy(sources[min(place, len(sources) - 1)]) for place in range(len(fresh.ema)))
    if not config.init_optimizer:
        state = fresh._replace(params=_copy(sources[0]), ema=tuple(_copy(sources[0]) for _ in ema))
        log(f"starting from the weights of {folder}, step {record['step']}, and its band statistics")
        return state, stats
    if not (folder / "state").is_dir():
        raise InputError(
            f"{folder}: holds no optimiser state, as exports do; name a training run, or set init_optimizer=False"
        )
    training = _read(folder, "state", state_item(abstract))
    log(f"starting from the weights and optimiser state of {folder}, step {record['step']}, and its band statistics")
    return fresh._replace(params=training["params"], opt_state=training["opt_state"], ema=ema), stats


def _read(folder: Path, name: str, abstract: Any) -> Any:
    weights.check_shapes(folder / name, abstract)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        args = ocp.args.Composite(**{name: ocp.args.StandardRestore(abstract)})
        return checkpointer.restore(folder, args=args)[name]


def _copy(tree: Any) -> Any:
    """Arrays of their own: a donated state may hold none twice."""
    return jax.tree.map(jax.numpy.copy, tree)
