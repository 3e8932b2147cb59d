"""Pools: vocals and instrumentals that share no songs, to be remixed."""

import numpy as np
import pytest

from diffvs_jax.data.datasets import Pools, list_tracks, open_dataset
from diffvs_jax.data.pipeline import training_batches
from diffvs_jax.errors import InputError
from tests.data.layouts import RATE, data_config, level, write


@pytest.fixture
def root(tmp_path):
    """Three voices at 1/8, 2/8, 3/8 and five instrumentals at -1/8 ... -5/8, some in folders."""
    for n in range(1, 4):
        write(tmp_path / "vocals" / f"voice {n}.wav", level(n / 8, 300 + n))
    for n in range(1, 6):
        folder = tmp_path / "instrumental" / ("album" if n > 3 else "")
        write(folder / f"music.{n}.flac", level(-n / 8, 200 + n))
    return tmp_path


def test_every_file_is_a_track_of_one_stem(root):
    dataset = open_dataset(root)
    assert isinstance(dataset, Pools)
    tracks = {track.name: track for track in list_tracks(dataset, "train").tracks}
    assert len(tracks) == 8
    assert list(tracks["vocals/voice 2"].stems) == ["vocals"]
    assert list(tracks["instrumental/album/music.5"].stems) == ["instrumental"]
    assert not any(track.whole for track in tracks.values())


def test_files_that_are_hidden_or_no_audio_are_passed_over(root):
    write(root / "vocals" / "._voice 1.wav", level(0.1))
    write(root / "vocals" / ".trash" / "old.wav", level(0.1))
    write(root / ".cache" / "old.wav", level(0.1))
    (root / "vocals" / "cover.jpg").touch()
    (root / "instrumental" / "folder.wav").mkdir()
    assert len(open_dataset(root).entries("train")) == 8


def test_named_files_are_for_validation(root):
    dataset = open_dataset(root, valid_tracks=["vocals/voice 3", "instrumental/album/music.4", "another data set's"])
    assert dataset.splits() == ["train", "valid"]
    held_out = [track.name for track in list_tracks(dataset, "valid").tracks]
    assert sorted(held_out) == ["instrumental/album/music.4", "vocals/voice 3"]
    assert len(dataset.entries("train")) == 6
    assert open_dataset(root, valid_tracks=["another data set's"]).splits() == ["train"]
    with pytest.raises(InputError, match="has no split 'valid'"):
        open_dataset(root).entries("valid")


def examples(root, count, **changes):
    tracks = list_tracks(open_dataset(root), "train").tracks
    sizes = {"batch_size": count, "chunk_samples": 50, "sample_rate": RATE, "num_channels": 1, "seed": 0}
    return next(training_batches(tracks, data_config(root, **changes), **sizes))


@pytest.mark.parametrize("remix_probability", [0.0, 1.0])
def test_every_example_is_a_voice_over_an_instrumental(root, remix_probability):
    batch = examples(root, 480, remix_probability=remix_probability)
    voices, music = (np.round(8 * batch[:, row, :, 0]) for row in (0, 1))
    assert set(voices.ravel()) == {1, 2, 3} and set(music.ravel()) == {-1, -2, -3, -4, -5}
    np.testing.assert_array_equal(batch[:, :, :, 0], batch[:, :, :1, 0].repeat(50, axis=2))
    assert len(set(zip(voices[:, 0], music[:, 0], strict=True))) == 15, "each with each"


def test_an_epoch_visits_every_file(root):
    for epoch in examples(root, 80).reshape(10, 8, 2, 50):
        voices, music = (np.round(8 * np.abs(epoch[:, row, 0])) for row in (0, 1))
        assert set(voices) == {1, 2, 3} and set(music) == {1, 2, 3, 4, 5}


def test_a_pool_of_its_own_name_is_the_rest_too(root):
    write(root / "strings" / "cello.wav", level(-7 / 8))
    music = np.round(8 * examples(root, 200)[:, 1, 0, 0])
    assert set(music) == {-1, -2, -3, -4, -5, -7}


def test_without_instrumentals_there_is_nothing_to_remix(tmp_path):
    write(tmp_path / "vocals" / "voice.wav", level(0.1))
    with pytest.raises(InputError, match="no track has any other stem than the targets"):
        examples(tmp_path, 1)
