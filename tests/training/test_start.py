import os
import shutil

import jax
import numpy as np
import pytest

from diffvs_jax.data.source import open_tracks
from diffvs_jax.errors import InputError
from diffvs_jax.model import weights
from diffvs_jax.training.checkpoint import RunCheckpoints
from diffvs_jax.training.sharding import sharded_shapes, state_sharding
from diffvs_jax.training.start import find_start
from diffvs_jax.training.state import init_state
from tests.training.conftest import make_mesh


@pytest.fixture
def config(trained):
    config = trained.config.copy_and_resolve_references()
    config.init_from = str(trained.workdir)
    return config


def start(config, workdir, mesh=(1, 1)):
    shapes = jax.eval_shape(lambda: init_state(config))
    abstract = sharded_shapes(shapes, state_sharding(shapes, make_mesh(*mesh)))
    log = []
    with RunCheckpoints(workdir, config, log.append) as checkpoints:
        state, stats = find_start(
            config, workdir, open_tracks(config, "train", workdir), checkpoints, abstract, log.append
        )
    return state, stats, log


def same(first, second):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(first), jax.device_get(second))


def test_another_runs_averages_are_the_weights_to_begin_with(trained, config, tmp_path):
    state, stats, log = start(config, tmp_path)
    same(state.params, trained.state.ema[0])
    same(state.ema, (trained.state.ema[0],) * 2)
    same(stats, trained.stats)
    assert (int(state.step), int(state.examples), int(state.skipped)) == (0, 0, 0)
    same(state.opt_state, jax.jit(lambda: init_state(config).opt_state)())
    assert log == [f"starting from the weights of {trained.workdir}/checkpoints/6, step 6, and its band statistics"]
    donated = {id(leaf) for leaf in jax.tree.leaves(state)}
    assert len(donated) == len(jax.tree.leaves(state))


def test_with_its_optimiser_the_whole_training_goes_on(trained, config, tmp_path):
    config.init_optimizer = True
    state, _, log = start(config, tmp_path)
    same(state.params, trained.state.params)
    same(state.opt_state, trained.state.opt_state)
    same(state.ema, (trained.state.params,) * 2)
    assert (int(state.step), int(state.examples)) == (0, 0)
    assert "weights and optimiser state" in log[0]


@pytest.mark.parametrize(("write", "name"), [(weights.export, "export"), (weights.export_file, "model.safetensors")])
def test_an_export_has_weights_but_no_optimiser(trained, config, tmp_path, write, name):
    write(tmp_path / name, weights.load(trained.workdir))
    config.init_from = str(tmp_path / name)
    state, stats, _ = start(config, tmp_path / "run")
    same(state.params, trained.state.ema[0])
    same(stats, trained.stats)
    config.init_optimizer = True
    with pytest.raises(InputError, match=rf"{name}: holds no optimiser state.*init_optimizer=False"):
        start(config, tmp_path / "other")


@pytest.mark.parametrize("file", [False, True])
def test_other_numbers_of_averages_and_devices_are_no_obstacle(trained, config, tmp_path, file):
    if file:
        config.init_from = str(tmp_path / "model.safetensors")
        weights.export_file(tmp_path / "model.safetensors", weights.load(trained.workdir))
    config.train.ema_rates = (0.9, 0.5, 0.3)
    mesh = (1, 2) if jax.device_count() > 1 else (1, 1)
    state, _, _ = start(config, tmp_path, mesh)
    same(state.ema, (trained.state.ema[0],) * 3)
    if file:
        return
    config.init_optimizer = True
    same(start(config, tmp_path / "other", mesh)[0].params, trained.state.params)


def test_the_workdirs_own_checkpoint_goes_first(trained, config):
    config.init_from = "/nowhere"
    state, _, log = start(config, trained.workdir)
    assert int(state.step) == 6 and log == ["continuing from step 6"]


@pytest.mark.parametrize("optimizer", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model.channels", 32, r"ema/0/\S+ is \(\S.*\) on disk, the config needs \("),
        ("audio.num_bands", 4, r"does not fit the config: \S+ is \(.*\) on disk, the config needs \("),
        ("model.attention_levels", (1,), r"roformer\S* is missing on disk, the config needs \("),
    ],
)
def test_a_model_that_does_not_fit_is_named_leaf_and_shapes(config, tmp_path, optimizer, name, value, message):
    config.update_from_flattened_dict({name: value, "init_optimizer": optimizer})
    with pytest.raises(InputError, match=message):
        start(config, tmp_path)


def test_what_fits_and_means_something_else_is_noted(config, tmp_path):
    config.audio.alpha, config.data.targets = 0.5, ("drums",)
    log = start(config, tmp_path)[2]
    assert any("note: " in line and "audio.alpha 0.667, here it is 0.5" in line for line in log)
    assert any("data.targets ('vocals',), here it is ('drums',)" in line for line in log)


def test_a_damaged_model_is_bad_input(trained, config, tmp_path):
    shutil.copytree(trained.workdir / "checkpoints" / "6", tmp_path / "run" / "checkpoints" / "6")
    config.init_from = str(tmp_path / "run")
    files = [path for path in (tmp_path / "run").rglob("d/*") if "weights" in str(path)]
    os.truncate(max(files, key=lambda path: path.stat().st_size), 100)
    with pytest.raises(InputError, match="6: its weights cannot be read"):
        start(config, tmp_path / "new")


@pytest.mark.parametrize("place", ["missing", "empty"])
def test_nothing_to_begin_with_is_bad_input(config, tmp_path, place):
    (tmp_path / "empty").mkdir()
    config.init_from = str(tmp_path / place)
    with pytest.raises(InputError, match=f"{place}: "):
        start(config, tmp_path / "run")
