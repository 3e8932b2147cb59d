"""Prepared data sets: the same batches bit for bit, made once, and made anew where a source changed."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from diffvs_jax.audio import files
from diffvs_jax.data import preparing
from diffvs_jax.data.datasets import open_split
from diffvs_jax.data.pipeline import training_batches
from diffvs_jax.data.preparing import Form, folder_names, prepare_track
from diffvs_jax.errors import InputError
from tests.data.layouts import data_config
from tests.helpers import RATE, write_song

FORM = Form(("vocals",), RATE, 2, 32)


def prepare(root, output, form=FORM):
    """Prepares the train split; how many tracks were written."""
    tracks = open_split(root, "train")
    folders = [output / "train" / name for name in folder_names(tracks)]
    return sum(prepare_track(track, folder, form) for track, folder in zip(tracks, folders, strict=True))


def some_batches(root, **changes):
    config = data_config(remix_probability=0.5, **changes)
    sizes = {"batch_size": 3, "chunk_samples": 960, "sample_rate": RATE, "num_channels": 2, "seed": 5}
    iterator = training_batches(open_split(root, "train"), config, **sizes)
    return np.stack([next(iterator) for _ in range(4)])


def test_a_prepared_data_set_gives_the_same_batches(musdb_folder, tmp_path):
    assert prepare(musdb_folder, tmp_path) == 3
    for track in open_split(tmp_path, "train"):
        assert list(track.stems) == ["rest", "vocals"]
        assert (track.sample_rate, track.num_channels) == (RATE, 2)
    np.testing.assert_array_equal(some_batches(tmp_path), some_batches(musdb_folder))


def test_it_has_the_models_rate_and_channels(musdb_folder, tmp_path):
    form = Form(("vocals", "drums"), 12_000, 1, 32)
    prepare(musdb_folder, tmp_path, form)
    source, track = open_split(musdb_folder, "train")[0], open_split(tmp_path, "train")[0]
    assert list(track.stems) == ["drums", "rest", "vocals"] and track.seconds == source.seconds
    vocals = files.resample(source.load_stem("vocals")[0].mean(axis=1, keepdims=True), RATE, 12_000)
    np.testing.assert_allclose(track.load_stem("vocals")[0], vocals, atol=1e-5)
    assert 0.9 * RATE / 2 < track.bandwidths["vocals"] <= RATE / 2  # more than that no file of 8 kHz holds


def test_blocks_do_not_show(musdb_folder, tmp_path, monkeypatch):
    prepare(musdb_folder, tmp_path / "whole", Form(("vocals",), 12_000, 2, 32))
    monkeypatch.setattr(preparing, "_BLOCK_SECONDS", 0.25)
    prepare(musdb_folder, tmp_path / "blocks", Form(("vocals",), 12_000, 2, 32))
    pairs = zip(*(open_split(tmp_path / name, "train") for name in ("whole", "blocks")), strict=True)
    for whole, blocks in pairs:
        np.testing.assert_allclose(blocks.load_stem("rest")[0], whole.load_stem("rest")[0], atol=1e-5)


def test_sixteen_bits_halve_it_but_where_they_would_clip(tmp_path):
    folder = write_song(tmp_path / "root" / "train" / "song", 0)
    loud, _ = files.load(folder / "drums.wav")
    soundfile.write(folder / "drums.wav", 8 * loud, RATE, subtype="FLOAT")
    prepare(tmp_path / "root", tmp_path / "out", FORM._replace(bits=16))
    subtypes = {path.stem: soundfile.info(path).subtype for path in (tmp_path / "out/train/song").glob("*.wav")}
    assert subtypes == {"vocals": "PCM_16", "rest": "FLOAT"}
    source, track = open_split(tmp_path / "root", "train")[0], open_split(tmp_path / "out", "train")[0]
    np.testing.assert_allclose(track.load_stem("vocals")[0], source.load_stem("vocals")[0], atol=2**-15)
    np.testing.assert_array_equal(
        track.load_stem("rest")[0], source.load_stem("drums")[0] + source.load_stem("other")[0]
    )


@pytest.fixture
def root(musdb_folder, tmp_path):
    return shutil.copytree(musdb_folder, tmp_path / "root")


def test_what_is_up_to_date_is_left_alone(root, tmp_path):
    prepare(root, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.wav")}
    assert prepare(root, tmp_path / "out") == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.wav")} == before


def test_a_source_that_changed_is_prepared_anew(root, tmp_path):
    prepare(root, tmp_path / "out")
    changed = root / "train" / "song 1" / "other.wav"
    soundfile.write(changed, np.zeros((10_400, 2), np.float32), RATE, subtype="FLOAT")
    assert prepare(root, tmp_path / "out") == 1
    np.testing.assert_array_equal(some_batches(tmp_path / "out"), some_batches(root))
    os.utime(changed, ns=(1, 1))
    assert prepare(root, tmp_path / "out") == 1
    assert prepare(root, tmp_path / "out", FORM._replace(targets=("drums",))) == 3


def test_an_interrupted_track_leaves_nothing_and_is_made_up_for(root, tmp_path, monkeypatch):
    out = tmp_path / "out"
    written = []

    def break_off(*_):
        written.append(1)
        if len(written) == 4:  # the second row of the second track
            raise KeyboardInterrupt
        return 4000.0

    monkeypatch.setattr(preparing, "_measure_bandwidth", break_off)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, out)
    assert [path.name for path in (out / "train").iterdir()] == ["song 0"]
    (out / "train" / ".song 1.part").mkdir()  # what a process that was killed leaves
    (out / "train" / ".song 1.part" / "vocals.wav").write_bytes(b"half a fi")
    monkeypatch.undo()
    assert prepare(root, out) == 2
    assert sorted(path.name for path in (out / "train").iterdir()) == ["song 0", "song 1", "song 2"]
    np.testing.assert_array_equal(some_batches(out), some_batches(root))


def test_bandwidths_are_measured_and_read_back(root, tmp_path):
    noise = np.random.default_rng(0).standard_normal((40_000, 2)).astype(np.float32) / 10
    dull = files.fit_length(files.resample(noise, 16_000, 44_100), 110_000)
    folder = tmp_path / "wide" / "train" / "song"
    folder.mkdir(parents=True)
    soundfile.write(folder / "vocals.wav", dull, 44_100, subtype="FLOAT")
    bright = np.random.default_rng(1).standard_normal((110_000, 2)).astype(np.float32) / 10
    soundfile.write(folder / "music.wav", bright, 44_100, subtype="FLOAT")
    prepare(tmp_path / "wide", tmp_path / "out", FORM._replace(sample_rate=44_100))
    (track,) = open_split(tmp_path / "out", "train")
    assert 7000 < track.bandwidths["vocals"] < 8500 and track.bandwidths["rest"] == 22_050


def test_a_track_that_need_not_be_whole_stays_so(tmp_path):
    for name in ("vocals/solo", "instrumental/band"):
        path = tmp_path / "root" / f"{name}.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.full((2000, 2), 0.1), RATE)
    prepare(tmp_path / "root", tmp_path / "out")
    tracks = {track.name: track for track in open_split(tmp_path / "out", "train")}
    assert {name: (list(track.stems), track.whole) for name, track in tracks.items()} == {
        "instrumental - band": (["rest"], False),
        "vocals - solo": (["vocals"], False),
    }


def test_folder_names_are_unique(musdb_folder):
    (track, *_) = open_split(musdb_folder, "train")
    named = [dataclasses.replace(track, name=name) for name in ("X (2)", "X", "X", "X/Y", "..", "a\nb", "X (Live)")]
    assert folder_names(named) == ["X (2)", "X", "X (3)", "X - Y", "track", "a b", "X (Live)"]


def test_what_is_not_ours_is_never_removed(root, tmp_path):
    own = write_song(tmp_path / "out" / "train" / "song 1", 9)
    before = sorted(path.name for path in own.iterdir())
    with pytest.raises(InputError, match=r"song 1: is not a prepared track and is not touched"):
        prepare(root, tmp_path / "out")
    assert sorted(path.name for path in own.iterdir()) == before
    assert not list((tmp_path / "out" / "train").glob(".*"))


def test_a_disk_that_cannot_be_written_is_an_os_error(root, tmp_path, monkeypatch):
    def full(*_, **__):
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    with pytest.raises(OSError, match=r"cannot be written \(System error\.\); is the disk full"):
        prepare(root, tmp_path / "out")
    assert not list((tmp_path / "out" / "train").iterdir())


def test_a_song_too_long_for_a_wav_file_is_refused(root, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "_LARGEST_WAV", 10_000)
    with pytest.raises(InputError, match=r"track 'song 0': 0\.0 hours do not fit in a wav file"):
        prepare(root, tmp_path / "out")
    assert not list((tmp_path / "out" / "train").iterdir())


def test_origins_tell_what_was_made_of_what(root, tmp_path):
    prepare(root, tmp_path / "out")
    origin = json.loads((tmp_path / "out" / "train" / "song 0" / ".prepared.json").read_text())
    assert origin["form"] == [["vocals"], RATE, 2, 32]
    assert [os.path.basename(path) for path, *_ in origin["sources"]] == ["drums.wav", "other.wav", "vocals.wav"]
