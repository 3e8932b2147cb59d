import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from diffvs_jax.errors import InputError
from diffvs_jax.model import weights
from diffvs_jax.model.denoiser import abstract_params
from tests.nano import get_config


@pytest.fixture(scope="module")
def model(randomise):
    config = get_config()
    config.data.targets = ("vocals", "drums")
    config.model.attention_levels = ()
    stats = {"mixture": np.float32([2.5, 0.1]), "targets": np.float32([[1 / 3, 2], [3, 4]])}
    return weights.Model(randomise(abstract_params(config)), stats, config, step=123)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "export"
    weights.export(path, model)
    return path


def assert_same_arrays(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, np.ndarray) and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_an_export_loads_bit_for_bit_with_its_config(model, exported):
    loaded = weights.load(exported)
    assert_same_arrays(loaded.params, model.params)
    assert_same_arrays(loaded.stats, model.stats)
    assert loaded.step == 123
    assert loaded.config.to_dict() == model.config.to_dict()
    assert loaded.config.model.attention_levels == () and loaded.config.data.targets == ("vocals", "drums")


def test_an_export_never_overwrites(model, exported):
    before = sorted(exported.rglob("*"))
    with pytest.raises(InputError, match=f"{exported}: exists already"):
        weights.export(exported, model)
    assert sorted(exported.rglob("*")) == before


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "voices.safetensors"
    weights.export_file(path, model)
    return path


def test_a_safetensors_file_loads_bit_for_bit_with_its_config(model, file, tmp_path):
    shutil.copy(file, tmp_path / "model.safetensors")
    for path in (file, str(file), tmp_path):
        loaded = weights.load(path)
        assert_same_arrays(loaded.params, model.params)
        assert_same_arrays(loaded.stats, model.stats)
        assert loaded.step == 123
        assert loaded.config.to_dict() == model.config.to_dict()
        assert loaded.config.data.targets == ("vocals", "drums")


def test_a_safetensors_file_is_one_for_everybody(model, file):
    arrays = load_file(file)
    np.testing.assert_array_equal(arrays["params/head/kernel"], model.params["head"]["kernel"])
    np.testing.assert_array_equal(arrays["stats/targets"], model.stats["targets"])
    with safe_open(file, "numpy") as opened:
        metadata = opened.metadata()
    assert metadata["step"] == "123"
    assert json.loads(metadata["config"])["data"]["targets"] == ["vocals", "drums"]


def test_parameters_in_bfloat16_load_as_float32(model, file, tmp_path):
    half = tmp_path / "half.safetensors"
    weights.export_file(half, model, "bfloat16")
    assert half.stat().st_size < 0.7 * file.stat().st_size  # config and names are as long as before
    loaded = weights.load(half)
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(np.float32), model.params)
    assert_same_arrays(loaded.params, rounded)
    assert_same_arrays(loaded.stats, model.stats)


def test_arrays_in_another_memory_order_are_stored_as_they_are_meant(model, tmp_path):
    params = jax.tree.map(np.asfortranarray, model.params)
    weights.export_file(tmp_path / "model.safetensors", model._replace(params=params))
    assert_same_arrays(weights.load(tmp_path).params, model.params)


def test_safetensors_files_that_are_no_models_are_told_in_one_line(model, file, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"bad\.safetensors: not a safetensors file that can be read"):
        weights.load(path)
    save_file({"x": np.zeros(3)}, path, {"format": "pt"})
    with pytest.raises(InputError, match=r"bad\.safetensors: its metadata holds no config"):
        weights.load(path)
    config = model.config.copy_and_resolve_references()
    config.data.targets = ("vocals",)
    weights.export_file(path, model._replace(config=config))
    with pytest.raises(InputError, match=r"ema/0/head/bias is \(16,\) on disk, the config needs \(8,\)"):
        weights.load(path)
    with pytest.raises(InputError, match=r"gone\.safetensors: no such checkpoint"):
        weights.load(tmp_path / "gone.safetensors")


def save_step(folder, model, ema):
    items = ocp.args.Composite(
        weights=ocp.args.StandardSave(weights.weights_item(ema, model.stats)),
        config=ocp.args.JsonSave(weights.config_item(model.config, model.step, num_ema=len(ema))),
    )
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(folder.absolute(), args=items)


def test_the_first_average_of_a_training_run_is_the_one_that_separates(model, tmp_path, randomise):
    other = randomise(abstract_params(model.config), seed=1)
    save_step(tmp_path / "checkpoints" / "200", model, (model.params, other))
    loaded = weights.load(tmp_path)
    assert_same_arrays(loaded.params, model.params)


def make_step(folder, *items):
    for item in items:
        (folder / item).mkdir(parents=True)


def test_find_takes_the_newest_whole_step_of_a_run(tmp_path):
    for step in ("20", "3", "100"):
        make_step(tmp_path / "checkpoints" / step, "weights", "config", "train")
    make_step(tmp_path / "checkpoints" / "500", "weights")
    make_step(tmp_path / "checkpoints" / "900.orbax-checkpoint-tmp", "weights", "config")
    newest = tmp_path / "checkpoints" / "100"
    assert weights.find(tmp_path) == weights.find(tmp_path / "checkpoints") == weights.find(str(newest)) == newest
    assert weights.find(tmp_path / "checkpoints" / "20").name == "20"


def test_find_says_what_it_missed(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}/lost: no such checkpoint folder"):
        weights.find(tmp_path / "lost")
    with pytest.raises(InputError, match=f"{tmp_path}: holds no checkpoint"):
        weights.find(tmp_path)


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("model", "channels", 32, r"ema/0/decoder0_0/.* is \(.*16.*\) on disk, the config needs \(.*32.*\)"),
        ("model", "attention_levels", (1,), "roformer.* is missing on disk, the config needs"),
        ("data", "targets", ("vocals",), r"ema/0/head/bias is \(16,\) on disk, the config needs \(8,\)"),
    ],
)
def test_arrays_that_do_not_fit_their_config_are_named_with_both_shapes(model, tmp_path, section, key, value, message):
    config = model.config.copy_and_resolve_references()
    config[section][key] = value
    weights.export(tmp_path / "export", model._replace(config=config))
    with pytest.raises(InputError, match=message):
        weights.load(tmp_path / "export")


@pytest.mark.parametrize(
    "key", ["compilation_cache", "sampler.num_samples", "separation.sum_to_mixture", "model.remat"]
)
def test_a_model_of_another_version_is_told_in_one_line(trained, tmp_path, key):
    model = weights.load(trained.workdir)
    section, _, name = key.rpartition(".")
    owner = model.config[section] if section else model.config
    with owner.unlocked():
        del owner[name]
    weights.export(tmp_path / "old", model)
    with pytest.raises(InputError, match="saved by another version of diffvs_jax"):
        weights.load(tmp_path / "old")
