"""The examples in docstrings run as they stand, with a small model where they name a trained one."""

import doctest

import pytest

from diffvs_jax.inference import separator as module
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model import weights
from tests.helpers import random_model
from tests.inference.songs import music
from tests.nano import get_config
from tests.test_house import HOUSE, SOURCES

EXAMPLES = [test for test in doctest.DocTestFinder().find(Separator, "Separator") if test.examples]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the examples find: a song of a second, a separator, and the folder that they run in."""
    config = get_config()
    config.model.channel_mult = (1,)
    folder = tmp_path_factory.mktemp("doctests")
    weights.export(folder / "runs" / "quickstart", random_model(config))
    separator = Separator.from_checkpoint(folder / "runs" / "quickstart")
    return {**vars(module), "audio": music(44_100), "separator": separator, "folder": folder}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs(example, names, monkeypatch):
    monkeypatch.chdir(names["folder"])
    example.globs = dict(names)
    told: list[str] = []
    result = doctest.DocTestRunner().run(example, out=told.append, clear_globs=False)
    assert (result.failed, result.attempted) == (0, len(example.examples)), "".join(told)


def test_no_example_is_left_out():
    assert {example.name.rpartition(".")[2] for example in EXAMPLES} == {
        *("Separator", "__call__", "stream", "separate_tracks", "compile", "with_seed"),
    }
    holders = [path for path in SOURCES if ">>> " in path.read_text()]
    assert holders == [HOUSE / "diffvs_jax" / "inference" / "separator.py"]
    assert not any(doctest.SKIP in part.options for example in EXAMPLES for part in example.examples)


def test_a_wrong_example_would_fail():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner().run(wrong, out=lambda text: None).failed == 1
