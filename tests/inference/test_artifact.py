"""The program in a file: what it computes, where it runs, and the script in the README that runs it."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from jax import export

from diffvs_jax.inference.artifact import make_artifact, portable
from diffvs_jax.inference.export_folder import write_export
from diffvs_jax.inference.model_card import Choices
from tests.helpers import RATE, random_model, random_separator
from tests.inference.songs import music
from tests.nano import get_config

HOUSE = Path(__file__).parent.parent.parent
FIRST_FRAMES = np.array([0, 8, 1000], np.int32)
NO_PACKAGE = "import sys; sys.modules['diffvs_jax'] = None\n"  # importing it raises ImportError


def config():
    """Leaves to the machine all that a config can."""
    c = get_config()
    c.model.channel_mult = (1,)
    c.sampler.num_steps = 2
    c.model.dtype = c.model.attention_backend = c.sampler.loop = "auto"
    return c


@pytest.fixture(scope="module")
def model():
    return random_model(config())


@pytest.fixture(scope="module")
def artifact(model):
    return make_artifact(model)


@pytest.fixture(scope="module")
def chunks():
    return np.stack([music(960, seed=seed) for seed in range(3)])


def own(chunks, seed):
    """Waveforms of the package's own program."""
    separator = random_separator(config(), seed=seed)
    return separator.chunks(chunks, FIRST_FRAMES, separator.sigmas)


def test_it_computes_what_the_separator_does_for_any_number_of_chunks(artifact, chunks):
    program = jax.jit(export.deserialize(bytearray(artifact)).call)
    expected = own(chunks, seed=7)
    assert np.abs(expected).max() > 0.1
    for count in (1, 3):
        got = program(chunks[:count], FIRST_FRAMES[:count], np.int32(7))
        np.testing.assert_allclose(got, expected[:count], atol=1e-4)


def test_it_holds_all_platforms_and_nothing_that_one_of_them_lacks(artifact):
    exported = export.deserialize(bytearray(artifact))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert exported.disabled_safety_checks == ()
    calls = set(re.findall(r"custom_call\s+@([\w.$]+)", exported.mlir_module()))
    assert calls == {"shape_assertion"}  # of the number of chunks: JAX evaluates it, no backend sees it


def test_every_machine_writes_the_same_one(model, artifact, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert make_artifact(model) == artifact


def test_it_tells_nothing_of_the_folders_it_was_written_from(artifact):
    for folder in (HOUSE, sys.prefix):
        assert str(folder).encode() not in artifact
    assert b".py" not in artifact


def test_what_a_config_says_stays(model):
    wish = config()
    wish.model.dtype, wish.model.attention_backend, wish.sampler.loop = "bfloat16", "cudnn", "unrolled"
    got = portable(wish)
    assert (got.model.dtype, got.model.attention_backend, got.sampler.loop) == ("bfloat16", "xla", "unrolled")
    assert wish.model.attention_backend == "cudnn"


def code_blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_script_of_the_readme_separates_without_the_package(model, chunks, tmp_path):
    write_export(tmp_path / "model", model, Choices(("jax",), "float32", "unknown"))
    (script,) = code_blocks((tmp_path / "model" / "README.md").read_text())
    assert script in code_blocks((HOUSE / "README.md").read_text())
    assert len([line for line in script.splitlines() if line]) == 10
    soundfile.write(tmp_path / "song.wav", chunks[0], RATE, subtype="FLOAT")
    command = [sys.executable, "-I", "-c", NO_PACKAGE + script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    vocals, rate = soundfile.read(tmp_path / "vocals.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(vocals, own(chunks, seed=0)[0, 0], atol=1e-4)


def test_that_script_could_not_import_the_package():
    done = subprocess.run([sys.executable, "-I", "-c", NO_PACKAGE + "import diffvs_jax.model"], capture_output=True)
    assert b"diffvs_jax" in done.stderr and done.returncode == 1
