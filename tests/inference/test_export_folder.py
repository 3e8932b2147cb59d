import json

import jax
import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.inference import artifact, export_folder
from diffvs_jax.inference.export_folder import write_export
from diffvs_jax.inference.model_card import Choices, model_card, recorded_scores
from diffvs_jax.model import weights
from tests.helpers import random_model
from tests.nano import get_config

ALL = Choices(export_folder.FORMATS, "float32", "unknown")


@pytest.fixture
def model(monkeypatch):
    """With a stand-in for its program, which has tests of its own."""
    monkeypatch.setattr(artifact, "make_artifact", lambda _: b"program")
    config = get_config()
    config.data.root = "/home/somebody/musdb18hq, pools:/home/somebody/voices/"
    config.data.synthetic.soundfont = "/home/somebody/general.sf2"
    config.init_from = "/home/somebody/runs/base"
    return random_model(config, step=1234)


def test_a_folder_holds_every_format_and_none_of_the_writers_paths(model, tmp_path):
    write_export(tmp_path / "model", model, ALL)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {"README.md", "model.safetensors", "program.jax_export"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert b"somebody" not in content and str(tmp_path).encode() not in content, path
    assert model.config.data.root.startswith("/home/somebody")


@pytest.mark.parametrize("formats", [("orbax",), ("safetensors",), ("jax",)])
def test_a_format_alone(model, tmp_path, formats):
    write_export(tmp_path / "model", model, ALL._replace(formats=formats))
    present = {
        "orbax": (tmp_path / "model" / "weights").is_dir(),
        "safetensors": (tmp_path / "model" / "model.safetensors").is_file(),
        "jax": (tmp_path / "model" / "program.jax_export").is_file(),
    }
    assert present == {name: name in formats for name in present}
    card = (tmp_path / "model" / "README.md").read_text()
    assert ("diffvs_jax.separate" in card) == (formats != ("jax",))
    if formats != ("jax",):
        loaded = weights.load(tmp_path / "model")
        assert loaded.step == 1234
        np.testing.assert_array_equal(loaded.params["head"]["kernel"], model.params["head"]["kernel"])


def test_the_folder_appears_whole_or_not_at_all(model, tmp_path, monkeypatch):
    def fail(_):
        assert list(tmp_path.iterdir())  # something was written by now
        raise RuntimeError("no more\nroom")

    monkeypatch.setattr(artifact, "make_artifact", fail)
    with pytest.raises(OSError, match=r"model: could not be written \(RuntimeError: no more room\)$"):
        write_export(tmp_path / "model", model, ALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("choice", "value", "message"),
    [
        ("formats", ("orbax", "onnx"), "formats 'orbax,onnx': give some of orbax,safetensors,jax"),
        ("formats", (), "formats '': give some of"),
        ("dtype", "float16", "dtype 'float16' is none of"),
        ("license", "ask me", "license 'ask me': give an identifier"),
    ],
)
def test_choices_that_are_none_are_refused(model, tmp_path, choice, value, message):
    with pytest.raises(InputError, match=message):
        write_export(tmp_path / "model", model, ALL._replace(**{choice: value}))
    assert not list(tmp_path.iterdir())


def test_settings_that_nothing_can_be_separated_with_are_refused(model, tmp_path):
    model.config.sampler.num_steps = 0
    with pytest.raises(InputError, match="num_steps is 0"):
        write_export(tmp_path / "model", model, ALL)
    assert not list(tmp_path.iterdir())


def test_the_card_says_what_is_known(model):
    card = model_card(model, "voices", ALL)
    count = sum(leaf.size for leaf in jax.tree.leaves(model.params))
    for words in (
        "---\nlicense: unknown\nlibrary_name: diffvs_jax\n",
        f"| parameters | {count:,}, averaged over training |",
        "| trained for | 1,234 steps of 4 examples |",
        "musdb18hq, voices (the folders' names; hours were not recorded); began with the weights of base",
        "8,000 Hz, stereo; chunks of 0.12 s",
        "heun, num_steps 3, sigma_max 3, sigma_min 0.002, rho 7, num_samples 1 |",
        "Not scored: no validation of step 1,234 is known",
        "Unknown: ask who trained it",
        'fromfile("voices/program.jax_export"',
    ):
        assert words in card
    assert "dB" not in card


def test_the_card_of_procedural_songs_knows_their_hours_and_its_licence(model):
    model.config.data.root = model.config.init_from = ""
    model.config.data.synthetic.num_train_songs, model.config.data.synthetic.seconds = 90, 20.0
    card = model_card(model, "voices", ALL._replace(license="cc-by-4.0", changes=["sampler.num_steps=3"]))
    assert "| 90 procedural songs, 0.50 hours, rendered by diffvs_jax |" in card
    assert "license: cc-by-4.0\n" in card and "\ncc-by-4.0, as whoever exported it says." in card
    assert "(set when it was exported: sampler.num_steps=3)" in card
    assert "Not scored with these settings" in card


def test_scores_are_those_of_the_exported_step(model, tmp_path):
    lines = [
        {"step": 3, "validation/csdr": 1.0},
        {"step": 6, "loss": 0.5},
        {"step": 6, "validation/csdr": 4.126, "validation/csdr/vocals": 4.0, "validation/usdr": None},
        {"step": 6, "validation/seconds": 9.0},
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"step": 6, "validation/cs'  # killed while it wrote
    (tmp_path / "metrics.jsonl").write_text(text)
    scores = recorded_scores(tmp_path / "checkpoints" / "6", 6)
    assert scores == {"validation/csdr": 4.126, "validation/csdr/vocals": 4.0}
    assert recorded_scores(tmp_path / "best" / "3", 3) == {"validation/csdr": 1.0}
    assert recorded_scores(tmp_path / "checkpoints" / "9", 9) == {}
    assert recorded_scores(tmp_path / "exports" / "6", 6) == {}  # another run's, perhaps
    assert recorded_scores(tmp_path / "none" / "checkpoints" / "6", 6) == {}
    card = model_card(model._replace(scores=scores), "voices", ALL)
    assert "| cSDR, all steps | 4.13 |\n| cSDR, all steps, vocals | 4.00 |\n" in card
    assert "validation at step 1,234" in card and "uSDR" not in card


def test_scores_travel_with_an_export(model, tmp_path):
    scored = model._replace(scores={"validation/csdr": 4.126})
    for formats in ("orbax", "safetensors"):
        write_export(tmp_path / formats, scored, ALL._replace(formats=(formats,)))
        assert weights.load(tmp_path / formats).scores == scored.scores
