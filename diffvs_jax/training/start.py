"""Where a run's state comes from: its own checkpoint, else another run's weights, else the seed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.model import weights
from diffvs_jax.training.checkpoint import RunCheckpoints, state_item, without_traces_of_abandoned_tasks
from diffvs_jax.training.state import TrainState, begin_with, init_state
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
    if checkpoints.has_any():
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

    They are the model's first average, which is what separates; with ``init_optimizer`` the parameters that
    it was an average of, and AdamW's moments. This run's averages begin with its parameters in both cases.
    """
    folder = weights.find(config.init_from).absolute()
    record = weights.load_record(folder)
    for name, before, now in weights.differences(weights.load_config(folder), config):
        log(f"note: {folder} was trained with {name} {before}, here it is {now}")
    stats = BandStats.ones(len(config.data.targets), config.audio.num_bands)
    item = weights.weights_item((abstract.params,) * record["num_ema"], stats._asdict())
    saved = _read(folder, "weights", item)
    params, stats = saved["ema"][0], jax.device_get(BandStats(**saved["stats"]))

    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    opt_state = None
    if config.init_optimizer:
        if not (folder / "state").is_dir():
            raise InputError(
                f"{folder}: holds no optimiser state, as exports do; name a training run, or set init_optimizer=False"
            )
        training = _read(folder, "state", state_item(abstract))
        params, opt_state = training["params"], training["opt_state"]
    what = "weights and optimiser state" if config.init_optimizer else "weights"
    log(f"starting from the {what} of {folder}, step {record['step']}, and its band statistics")
    state = jax.jit(lambda params: begin_with(params, config), out_shardings=shardings)(params)
    return (state if opt_state is None else state._replace(opt_state=opt_state)), stats


def _read(folder: Path, name: str, abstract: Any) -> Any:
    weights.check_shapes(folder, name, abstract)
    try:
        with without_traces_of_abandoned_tasks():
            return weights.read_item(folder, name, abstract)
    except jax.errors.JaxRuntimeError:  # out of memory
        raise
    except Exception as error:  # orbax raises all kinds
        raise InputError(f"{folder}: its {name} cannot be read, {' '.join(str(error).split())[:200]}") from error
