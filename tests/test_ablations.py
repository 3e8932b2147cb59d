"""Every row of the ablation table can be run: it differs from the paper where it says, builds and trains."""

import importlib
import json
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from configs.base import get_config as get_base
from diffvs_jax.data.source import open_tracks
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.training.loop import train
from tests.nano import at_nano_size, leaves

NAMES = sorted(path.stem for path in (Path(__file__).parent.parent / "configs" / "ablations").glob("*.py"))
# The steps that lead from DDPM++ to Diff-VS, in order: row, and the keys that the next row sets right.
LADDER = [
    ("ddpmpp", {"audio.peak_norm", "audio.num_bands", "audio.band_norm"}),
    ("ddpmpp_norm", {"model.resampling"}),
    ("ddpmpp_norm_frequency", {"model.attention", "model.num_heads"}),
    ("ddpmpp_norm_frequency_dual_path", {"model.embedding"}),
]


def load(name):
    return importlib.import_module(f"configs.ablations.{name}").get_config()


def differing(config):
    paper = dict(leaves(get_base()))
    return {key for key, value in leaves(config) if value != paper[key]} - {"name"}


def test_the_rows_lead_from_ddpmpp_to_the_paper_one_change_at_a_time():
    left = set.union(*(changed for _, changed in LADDER))
    for name, mended in LADDER:
        assert differing(load(name)) == left, name
        left -= mended
    assert not left


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("ddpmpp")])
def test_other_rows_change_one_key(name):
    assert len(differing(load(name))) == 1


def test_rows_cover_the_table():
    values = {key: {dict(leaves(load(name)))[key] for name in NAMES} for key in dict(leaves(get_base()))}
    assert values["audio.num_bands"] == {1, 2, 4, 8, 16}
    assert values["audio.alpha"] == {1.0, 0.667, 0.5}
    assert values["audio.band_norm"] == {"dataset", "chunk", "none"}


def test_full_size_rows_have_the_parameters_their_change_implies():
    def parts(config):
        return {key: sum(x.size for x in jax.tree.leaves(value)) for key, value in abstract_params(config).items()}

    paper, bands_8 = parts(get_base()), parts(load("bands_8"))
    # Sixteen channels more for each of stereo, re/im and input/output; nothing else sees bands.
    assert bands_8.pop("stem") - paper["stem"] == 9 * 2 * 16 * 128
    assert bands_8.pop("head") - paper["head"] == 9 * 128 * 16 + 16
    assert all(paper[key] == count for key, count in bands_8.items())
    assert parts(load("ddpmpp_norm_frequency_dual_path")) == paper  # Fourier frequencies are not learned
    dual_path, pixels = parts(load("ddpmpp_norm_frequency_dual_path")), parts(load("ddpmpp_norm_frequency"))
    # DDPM++: norm (2 C), qkv (3 C^2 + 3 C), out (C^2 + C). RoFormer layer, d = 256: two norms, qkv 3 d^2, gates
    # 8 d + 8, out d^2, feed-forward 8 d^2 + 5 d; along time and along frequency.
    c = 256
    roformer = 2 * (2 * c + 12 * c**2 + 8 * c + 8 + 5 * c)
    assert dual_path["middle_0"] - pixels["middle_0"] == roformer - (2 * c + 4 * c**2 + 4 * c)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_trains_two_steps_at_nano_size(name, musdb_folder, tmp_path):
    config = at_nano_size(load(name))
    config.data.root = str(musdb_folder)
    config.train.num_steps = 2
    config.train.mesh = (1, 1)  # compiles in two thirds of the time of two devices
    state, stats, _ = train(config, tmp_path, open_tracks(config, "train", tmp_path), lambda line: None)
    assert np.all(stats.mixture > 0) and stats.mixture.shape == (config.audio.num_bands,)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(np.isfinite(line["loss"]) and line["gradient_norm"] > 0 for line in lines)
    for path, moment in jax.tree_util.tree_leaves_with_path(optax.tree.get(state.opt_state, "mu")):
        assert np.any(moment), f"{jax.tree_util.keystr(path)} is not trained"
