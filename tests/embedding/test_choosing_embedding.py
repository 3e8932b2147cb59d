import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from diffvs_jax.embedding.choose import open_embedding
from diffvs_jax.embedding.encoder import Embedder
from diffvs_jax.embedding.hub import cache_folder, find_snapshot
from diffvs_jax.embedding.published import fingerprint, load_published
from diffvs_jax.errors import InputError
from tests.embedding import test_embedding_mse

TINY = Path(__file__).parent / "assets" / "tiny"
MODEL = "m-a-p/MERT-v1-95M"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def add_snapshot(cache, commit, when=0):
    folder = cache / "models--m-a-p--MERT-v1-95M" / "snapshots" / commit
    shutil.copytree(TINY, folder)
    os.utime(folder, (when, when))
    return folder


def refuse(line):
    pytest.fail(f"said: {line}")


def test_none_is_no_embedding():
    assert open_embedding("none", refuse) is None


def test_without_weights_one_line_says_how_to_get_them(cache):
    lines = []
    assert open_embedding("auto", lines.append) is None
    (line,) = lines
    assert f"huggingface-cli download {MODEL}" in line and str(cache) in line and "CC BY-NC 4.0" in line
    assert "\n" not in line


def test_weights_in_the_cache_are_taken(cache):
    add_snapshot(cache, "abc")
    name, embed, _ = open_embedding("auto", refuse)
    assert name == "MERT-v1-95M, layer 1"
    assert isinstance(embed, Embedder) and (embed.layer, embed.sample_rate) == (1, 4000)


def test_weights_that_cannot_be_read_are_told_of_and_left(cache):
    folder = add_snapshot(cache, "abc")
    (folder / "config.json").write_text("{}")
    lines = []
    assert open_embedding("auto", lines.append) is None
    (line,) = lines
    assert line.startswith(f"no embedding MSE: {folder}: these are no weights of this HuBERT")


def test_main_is_taken_before_the_newest_snapshot(cache):
    assert find_snapshot(MODEL) is None
    first, second = add_snapshot(cache, "bbb", when=1), add_snapshot(cache, "aaa", when=2)
    assert find_snapshot(MODEL) == second
    refs = cache / "models--m-a-p--MERT-v1-95M" / "refs"
    refs.mkdir()
    (refs / "main").write_text("bbb")
    assert find_snapshot(MODEL) == first
    (first / "pytorch_model.bin").unlink()
    assert find_snapshot(MODEL) == second


def test_the_cache_is_where_huggingface_has_it(monkeypatch):
    for variable in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/huggingface/hub")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "~/models")
    assert cache_folder() == Path("/home/me/models/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/hub")
    assert cache_folder() == Path("/hub")


def test_a_path_and_a_function():
    name, embed, _ = open_embedding(str(TINY), refuse)
    assert name == "tiny, layer 1" and isinstance(embed, Embedder)
    name, embed, _ = open_embedding("tests.embedding.test_embedding_mse:in_pairs", refuse)
    assert name == "tests.embedding.test_embedding_mse:in_pairs" and embed is test_embedding_mse.in_pairs


def test_weights_are_known_whatever_they_are_called(tmp_path):
    shutil.copytree(TINY, tmp_path / "mine")
    known = open_embedding(str(TINY), refuse).fingerprint
    assert len(known) == 16 and open_embedding(str(tmp_path / "mine"), refuse).fingerprint == known
    published = load_published(TINY)
    projection = published.params["projection"]
    bias = np.nextafter(projection["bias"], np.float32(np.inf))
    changed = {**published.params, "projection": {**projection, "bias": bias}}
    assert fingerprint(published._replace(params=changed)) != known
    assert fingerprint(published._replace(sample_rate=8000)) != known


def test_a_function_is_known_by_its_modules_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    sources = ("def embed(audio, rate):\n    return audio\n", "def embed(audio, rate):\n    return -audio\n")
    known = []
    for source in (*sources, sources[0]):
        (tmp_path / "my_embedding.py").write_text(source)
        known.append(open_embedding("my_embedding:embed", refuse).fingerprint)
    del sys.modules["my_embedding"]
    assert known[0] == known[2] != known[1] and len(known[0]) == 16
    assert open_embedding("sys:getsizeof", refuse).fingerprint == ""  # no file


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("lost", "embedding 'lost': lost: no such file or folder; .*; or choose auto, none, or a function"),
        ("lost.module:f", r"embedding 'lost\.module:f': No module named 'lost'"),
        ("tests.embedding.tiny:lost", "has no attribute 'lost'"),
        ("tests.embedding.tiny:CONFIG", "is no function"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(choice, message):
    with pytest.raises(InputError, match=message):
        open_embedding(choice, refuse)
