"""Folders of stems: any names, any formats, no splits but those that are named."""

import json

import numpy as np
import pytest

from diffvs_jax.data.datasets import StemFolders, list_tracks, open_dataset
from diffvs_jax.errors import InputError
from tests.data.layouts import RATE, level, noise, write, write_stems

BROKEN = ("{", "[]", "{}", '{"bandwidths": {}}', '{"bandwidths": 3, "whole": true}', '{"bandwidths": null, "whole": 1}')


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        write_stems(tmp_path / name, {"lead vox": noise(seed), "808": noise(seed + 10)}, suffix="wav")
    return tmp_path


def names_of(dataset, split):
    return [track.name for track in list_tracks(dataset, split).tracks]


def test_every_folder_is_a_track_of_any_stems(root):
    dataset = open_dataset(root)
    assert isinstance(dataset, StemFolders)
    (track, *_) = list_tracks(dataset, "train").tracks
    assert (track.name, list(track.stems), track.whole) == ("a", ["808", "lead vox"], True)
    np.testing.assert_array_equal(track.load_stem("lead vox")[0], noise(0))


def test_formats_and_rates_can_differ(tmp_path):
    song = tmp_path / "song"
    tone = 0.4 * np.sin(np.arange(16_000) / 10)[:, None].astype(np.float32)
    write(song / "vocals.flac", tone, 16_000)
    write(song / "bass.ogg", tone, 16_000)
    write(song / "drums.wav", tone[::2])
    (track,) = list_tracks(open_dataset(tmp_path), "train").tracks
    assert list(track.stems) == ["bass", "drums", "vocals"]
    assert track.bandwidths == {"bass": 8000, "drums": 4000, "vocals": 8000}
    drums = track.read_stem("drums", 2000, 1000, RATE, 1)
    for stem, atol in (("vocals", 1e-3), ("bass", 0.05)):
        np.testing.assert_allclose(track.read_stem(stem, 2000, 1000, RATE, 1), drums, atol=atol)


def test_without_named_tracks_all_are_for_training(root):
    dataset = open_dataset(root)
    assert (dataset.splits(), names_of(dataset, "train")) == (["train"], ["a", "b", "c"])
    for split in ("valid", "test"):
        with pytest.raises(InputError, match=rf"has no split '{split}', all its tracks are 'train'; name tracks"):
            dataset.entries(split)


def test_named_tracks_are_for_validation(root):
    dataset = open_dataset(root, valid_tracks=["b", "another data set's"])
    assert dataset.splits() == ["train", "valid"]
    assert (names_of(dataset, "train"), names_of(dataset, "valid")) == (["a", "c"], ["b"])
    assert open_dataset(root, valid_tracks=["another data set's"]).splits() == ["train"]


def test_what_preparation_noted_is_known(root):
    (root / "a" / ".prepared.json").write_text(json.dumps({"bandwidths": {"808": 1500.0}, "whole": False}))
    write(root / "a" / "808.wav", level(0.1, 9999))  # of another length
    (track, *_) = list_tracks(open_dataset(root), "train").tracks
    assert (track.bandwidths, track.whole) == ({"808": 1500.0, "lead vox": 4000.0}, False)


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_note_is_a_problem_in_one_line(root, content):
    (root / "b" / ".prepared.json").write_text(content)
    listing = list_tracks(open_dataset(root), "train")
    assert [track.name for track in listing.tracks] == ["a", "c"]
    (problem,) = listing.problems
    assert "b/.prepared.json: cannot be read" in problem and "\n" not in problem
