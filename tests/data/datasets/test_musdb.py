"""MUSDB18-HQ: a folder per split, the musdb package's tracks held out for validation."""

import importlib.util
from pathlib import Path

import pytest

from diffvs_jax.data.datasets import VALIDATION_TRACKS, Musdb, open_dataset
from diffvs_jax.errors import InputError
from tests.data.layouts import level, noise, write, write_stems

STEMS = ("bass", "drums", "other", "vocals")


def musdb_package():
    """Its folder, found without importing it: that needs ffmpeg."""
    spec = importlib.util.find_spec("musdb")
    return Path(spec.origin).parent if spec else None


@pytest.mark.skipif(musdb_package() is None, reason="the musdb package is not installed")
def test_the_validation_tracks_are_the_musdb_packages():
    yaml = pytest.importorskip("yaml")
    settings = yaml.safe_load((musdb_package() / "configs" / "mus.yaml").read_text(encoding="utf-8"))
    assert sorted(settings["validation_tracks"]) == sorted(VALIDATION_TRACKS)
    assert set(settings["sources"]) == set(STEMS)
    assert settings["mixture"] == "mixture.wav"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """As many tracks as there are, tiny ones."""
    root = tmp_path_factory.mktemp("musdb18hq")
    sound = write(root / "sound.wav", level(0.1, 10)).read_bytes()
    names = {"train": [*VALIDATION_TRACKS, *(f"Band {n} - Song" for n in range(86))]}
    names["test"] = [f"Other {n} - Song" for n in range(50)]
    for split, tracks in names.items():
        for name in tracks:
            folder = root / split / name
            folder.mkdir(parents=True)
            for stem in (*STEMS, "mixture"):
                (folder / f"{stem}.wav").write_bytes(sound)
    return root


def names_of(dataset, split):
    return [dataset.open(entry).name for entry in dataset.entries(split)]


def test_150_tracks_are_86_for_training_14_for_validation_50_for_the_test(whole):
    dataset = open_dataset(whole)
    assert isinstance(dataset, Musdb)
    assert sorted(dataset.splits()) == ["test", "train", "valid"]
    train, valid, test = (names_of(dataset, split) for split in ("train", "valid", "test"))
    assert (len(train), len(valid), len(test)) == (86, 14, 50)
    assert sorted(valid) == sorted(VALIDATION_TRACKS)
    assert not set(train) & set(valid)
    assert train == sorted(train) and test == sorted(test)


def test_a_track_has_four_stems_and_the_mixture_beside_them(whole):
    dataset = open_dataset(whole)
    track = dataset.open(dataset.entries("test")[0])
    assert tuple(track.stems) == STEMS and track.whole
    assert track.mixture == dataset.entries("test")[0] / "mixture.wav"


def test_other_validation_tracks_can_be_named(whole):
    dataset = open_dataset(whole, valid_tracks=["Band 3 - Song", "Other 7 - Song"])
    assert names_of(dataset, "valid") == ["Band 3 - Song"]  # what is in the test set stays there
    assert len(dataset.entries("train")) == 99
    assert set(VALIDATION_TRACKS) < set(names_of(dataset, "train"))


def test_without_any_of_its_names_there_is_no_validation_split(tmp_path):
    write_stems(tmp_path / "train" / "My Song", {"vocals": noise(0), "bass": noise(1)})
    dataset = open_dataset(tmp_path)
    assert dataset.splits() == ["train"]
    with pytest.raises(InputError, match=r"has no split 'valid' \(found train\); expected .*valid/TRACK/vocals\.wav"):
        dataset.entries("valid")


def test_a_folder_of_its_own_and_named_tracks_are_both_for_validation(tmp_path):
    for place in ("train/a", "train/b", "valid/c"):
        write_stems(tmp_path / place, {"vocals": noise(0), "bass": noise(1)})
    dataset = open_dataset(tmp_path, valid_tracks=["b"])
    assert dataset.splits() == ["train", "valid"]
    assert (names_of(dataset, "train"), sorted(names_of(dataset, "valid"))) == (["a"], ["b", "c"])
