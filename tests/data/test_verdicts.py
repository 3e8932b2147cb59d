"""What a check found bad is left out of training, until the file is another one."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from diffvs_jax.data.datasets import list_tracks, open_dataset
from diffvs_jax.data.verdicts import save_verdicts
from tests.helpers import RATE


@pytest.fixture
def dataset(musdb_folder, tmp_path):
    return open_dataset(shutil.copytree(musdb_folder, tmp_path / "root", ignore=shutil.ignore_patterns(".*")))


def condemn(dataset, *names):
    entries = [entry for entry in dataset.entries("train") if entry.name in names]
    verdicts = {entry: (dataset.open(entry), f"{entry}: bad") for entry in entries}
    return save_verdicts(dataset.root, dataset.entries("train"), verdicts)


def names(listing):
    return [track.name for track in listing.tracks]


def test_a_bad_track_is_left_out_and_named(dataset):
    assert condemn(dataset, "song 1")
    listing = list_tracks(dataset, "train")
    assert names(listing) == ["song 0", "song 2"]
    assert listing.problems == [f"{dataset.root}/train/song 1: bad (found by diffvs_jax.data.check)"]
    assert len(list_tracks(dataset, "test").tracks) == 2


def test_a_repaired_file_counts_as_unchecked(dataset):
    condemn(dataset, "song 1")
    soundfile.write(dataset.root / "train/song 1/drums.wav", np.zeros((10_400, 2), np.float32), RATE, subtype="FLOAT")
    assert names(list_tracks(dataset, "train")) == ["song 0", "song 1", "song 2"]


def test_the_next_check_decides_anew(dataset):
    condemn(dataset, "song 0", "song 1")
    condemn(dataset, "song 2")
    assert names(list_tracks(dataset, "train")) == ["song 0", "song 1"]


def test_verdicts_go_with_the_data(dataset, tmp_path):
    condemn(dataset, "song 1")
    (tmp_path / "link").symlink_to(dataset.root)
    assert names(list_tracks(open_dataset(tmp_path / "link"), "train")) == ["song 0", "song 2"]
    moved = open_dataset(dataset.root.rename(tmp_path / "moved"), valid_tracks=["song 1"])
    assert names(list_tracks(moved, "train")) == ["song 0", "song 2"]
    assert list_tracks(moved, "valid").tracks == []


def test_a_folder_that_cannot_be_written_is_no_error(dataset):
    (dataset.root / ".diffvs_jax").write_text("in the way")
    assert not condemn(dataset, "song 1")
    assert len(list_tracks(dataset, "train").tracks) == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"train": []}', '{"train/song 1": {}}', '{"train/song 1": 3}'])
def test_a_verdict_that_cannot_be_read_is_none(dataset, content):
    condemn(dataset, "song 1")
    (file,) = (dataset.root / ".diffvs_jax").iterdir()
    file.write_text(content)
    assert len(list_tracks(dataset, "train").tracks) == 3
    assert os.listdir(dataset.root / ".diffvs_jax") == ["check.json"]
