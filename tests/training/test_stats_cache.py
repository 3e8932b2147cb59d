import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.source import open_tracks
from diffvs_jax.training.band_stats import Measurement
from diffvs_jax.training.stats_cache import StatsCache

MEASURED = Measurement(BandStats(np.float32([0.1, 2 / 3]), np.float32([[1e-7, 3.3]])), 12.5, (7.25,))


class Setup:
    """A copied data set, a config that trains on it, and its cache."""

    def __init__(self, config, folder, workdir):
        self.config, self.folder, self.workdir = config, folder, workdir
        self.log = []
        config.data.root = str(folder)

    def tracks(self):
        return open_tracks(self.config, "train", self.workdir)

    def cache(self, tracks=None):
        return StatsCache(self.config, self.workdir, tracks or self.tracks())

    def read(self):
        return self.cache().read(self.log.append)


@pytest.fixture
def setup(nano_config, musdb_folder, tmp_path):
    shutil.copytree(musdb_folder, tmp_path / "songs", ignore=shutil.ignore_patterns(".*"))
    return Setup(nano_config, tmp_path / "songs", tmp_path / "run")


def assert_measured(found):
    for values, expected in zip(found[1].stats, MEASURED.stats, strict=True):
        np.testing.assert_array_equal(values, expected)
        assert values.dtype == np.float32
    assert found[1][1:] == MEASURED[1:]


def test_what_is_written_is_read_bit_for_bit_and_no_track(setup):
    assert setup.read() is None
    names = [track.name for track in setup.tracks()]
    file = setup.cache().write(MEASURED)
    assert file.parent == setup.folder / ".diffvs_jax"
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    found = setup.read()
    assert found[0] == file and not setup.log
    assert_measured(found)
    assert [track.name for track in setup.tracks()] == names
    assert json.loads(file.read_text())["settings"]["audio"]["alpha"] == setup.config.audio.alpha
    assert not setup.workdir.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("audio.alpha", 0.5),
        ("audio.band_norm", "chunk"),
        ("audio.num_channels", 1),
        ("audio.num_frames", 17),
        ("audio.peak_norm", False),
        ("edm.sigma_data", 1.0),
        ("data.targets", ("drums",)),
        ("data.remix_probability", 0.5),
        ("data.gain_range", (0.25, 1.0)),
        ("data.channel_swap_probability", 0.0),
        ("data.sign_flip_probability", 0.0),
        ("data.drop_target_probability", 0.2),
        ("data.vocal_active_tries", 1),
        ("data.rename_stems", ("drums=percussion",)),
        ("data.valid_tracks", ("song 0",)),
        ("data.stats_batches", 3),
        ("train.batch_size", 8),
    ],
)
def test_a_setting_that_changes_what_is_measured_misses(setup, name, value):
    setup.cache().write(MEASURED)
    setup.config.update_from_flattened_dict({name: value})
    assert setup.read() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("data.num_workers", 2), ("data.num_threads", 3), ("data.prefetch", 5), ("data.strict", True), ("name", "other")],
)
def test_other_settings_do_not(setup, name, value):
    setup.cache().write(MEASURED)
    setup.config.update_from_flattened_dict({name: value})
    assert_measured(setup.read())


def touch(folder):
    os.utime(folder / "train" / "song 1" / "vocals.wav", ns=(0, 0))


def grow(folder):
    path = folder / "train" / "song 1" / "other.wav"
    times = path.stat()
    shutil.copyfile(path, folder / "train" / "song 1" / "bass.wav")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rename(folder):
    (folder / "train" / "song 1").rename(folder / "train" / "song 9")


def remove(folder):
    shutil.rmtree(folder / "train" / "song 2")


@pytest.mark.parametrize("change", [touch, grow, rename, remove])
def test_changed_songs_miss(setup, change):
    setup.cache().write(MEASURED)
    change(setup.folder)
    assert setup.read() is None


def test_a_moved_data_set_and_changed_test_songs_do_not(setup):
    setup.cache().write(MEASURED)
    shutil.rmtree(setup.folder / "test")
    moved = setup.folder.rename(setup.folder.with_name("moved"))
    setup.config.data.root = f"musdb:{moved}"
    assert_measured(setup.read())


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"stats": ',
        "[]",
        "{}",
        '{"stats": {"mixture": [1, 1], "targets": [[1]]}, "seconds": 1, "active_seconds": [1]}',
        '{"stats": {"mixture": [1, NaN], "targets": [[1, 1]]}, "seconds": 1, "active_seconds": [1]}',
        '{"stats": {"mixture": [1, 1], "targets": [[0, 1]]}, "seconds": 1, "active_seconds": [1]}',
    ],
)
def test_a_spoiled_file_is_named_and_replaced(setup, text):
    file = setup.cache().write(MEASURED)
    file.write_text(text)
    assert setup.read() is None
    assert len(setup.log) == 1 and setup.log[0].startswith(f"{file}: holds no band statistics")
    assert setup.cache().write(MEASURED) == file
    assert_measured(setup.read())


def test_a_folder_that_cannot_be_written_leaves_it_to_the_workdir(setup):
    (setup.folder / ".diffvs_jax").touch()  # no folder can be made there, not even by root
    file = setup.cache().write(MEASURED)
    assert file.parent == setup.workdir / ".diffvs_jax"
    assert_measured(setup.read())
    shutil.rmtree(setup.workdir)
    setup.workdir.touch()
    assert setup.cache().write(MEASURED) is None
    assert setup.read() is None and not setup.log


@pytest.mark.parametrize("root", ["", "{folder}, {folder}"])
def test_without_one_data_set_folder_it_lies_in_the_workdir(setup, root):
    tracks = setup.tracks()
    setup.config.data.root = root.format(folder=setup.folder)
    assert setup.cache(tracks).write(MEASURED).parent == setup.workdir / ".diffvs_jax"
    assert not (setup.folder / ".diffvs_jax").exists()


def test_weights_of_tracks_count(setup):
    tracks = setup.tracks()
    setup.cache(tracks).write(MEASURED)
    other = [type(track)(**(vars(track) | {"weight": 2.0})) for track in tracks]
    assert setup.cache(other).read(setup.log.append) is None
    assert setup.cache(tracks[::-1]).read(setup.log.append) is None  # drawn in another order


def test_an_interrupted_write_leaves_nothing(setup, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    assert setup.cache().write(MEASURED) is None
    assert list((setup.folder / ".diffvs_jax").iterdir()) == []
