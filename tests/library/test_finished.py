import json
import os
import shutil

import pytest

from diffvs_jax.library import finished

SETTINGS = {"seed": 0, "format": "flac", "steps": [1, 2.5], "set": ("sampler.num_steps=4",)}


@pytest.fixture
def song(tmp_path):
    """A song and the folder of its recorded stems."""
    (tmp_path / "song.wav").write_bytes(os.urandom(3_000_000))
    folder = tmp_path / "out" / "song"
    folder.mkdir(parents=True)
    outputs = [folder / "vocals.flac", folder / "instrumental.flac"]
    for path in outputs:
        path.write_bytes(b"stem" * 100)
    finished.record(folder, tmp_path / "song.wav", SETTINGS, "model", outputs)
    return tmp_path / "song.wav", folder


def test_a_recorded_song_is_finished(song):
    path, folder = song
    assert finished.is_finished(folder, path, SETTINGS, "model")
    assert sorted(entry.name for entry in folder.iterdir()) == ["instrumental.flac", "separation.json", "vocals.flac"]


def test_a_song_that_moved_or_was_touched_is_finished(song):
    path, folder = song
    os.utime(path, (1, 1))
    assert finished.is_finished(folder, path, SETTINGS, "model")
    moved = shutil.copy(path, path.parent / "copy.wav")
    shutil.move(folder, folder.parent / "elsewhere")
    assert finished.is_finished(folder.parent / "elsewhere", moved, SETTINGS, "model")


def test_other_settings_or_another_model_are_not(song):
    path, folder = song
    for changed in ({**SETTINGS, "seed": 1}, {**SETTINGS, "new": 1}, {"seed": 0}, {}):
        assert not finished.is_finished(folder, path, changed, "model")
    assert not finished.is_finished(folder, path, SETTINGS, "another")


@pytest.mark.parametrize("at", [0, 1_500_000, 2_999_999])
def test_other_content_of_the_same_size_is_not(song, at):
    path, folder = song
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert not finished.is_finished(folder, path, SETTINGS, "model")


def lose_an_output(folder):
    (folder / "vocals.flac").unlink()


def truncate_an_output(folder):
    os.truncate(folder / "vocals.flac", 10)


def lose_the_record(folder):
    (folder / finished.RECORD).unlink()


def truncate_the_record(folder):
    os.truncate(folder / finished.RECORD, 30)


def empty_the_record(folder):
    (folder / finished.RECORD).write_text("")


def garble_the_record(folder):
    (folder / finished.RECORD).write_bytes(b"\xff\xfe\x00")


def write_a_list(folder):
    (folder / finished.RECORD).write_text("[]")


def write_a_word(folder):
    (folder / finished.RECORD).write_text('"outputs"')


def write_odd_outputs(folder):
    record = json.loads((folder / finished.RECORD).read_text())
    (folder / finished.RECORD).write_text(json.dumps({**record, "outputs": ["vocals.flac"]}))


def forget_outputs(folder):
    record = json.loads((folder / finished.RECORD).read_text())
    del record["outputs"]
    (folder / finished.RECORD).write_text(json.dumps(record))


DAMAGES = [lose_an_output, truncate_an_output, lose_the_record, truncate_the_record, empty_the_record]
DAMAGES += [garble_the_record, write_a_list, write_a_word, write_odd_outputs, forget_outputs]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_means_not_finished_until_it_is_recorded_anew(song, damage):
    path, folder = song
    damage(folder)
    assert not finished.is_finished(folder, path, SETTINGS, "model")
    (folder / "vocals.flac").write_bytes(b"stem")
    finished.record(folder, path, SETTINGS, "model", [folder / "vocals.flac"])
    assert finished.is_finished(folder, path, SETTINGS, "model")


def test_a_lost_input_is_not_finished(song):
    path, folder = song
    path.unlink()
    assert not finished.is_finished(folder, path, SETTINGS, "model")


def test_standard_input_is_never_finished(tmp_path):
    finished.record(tmp_path, "-", SETTINGS, "model", [])
    assert not list(tmp_path.iterdir()) and not finished.is_finished(tmp_path, "-", SETTINGS, "model")


def test_a_record_that_cannot_be_written_leaves_the_old_one(song, monkeypatch):
    path, folder = song
    before = (folder / finished.RECORD).read_bytes()

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        finished.record(folder, path, {}, "model", [folder / "vocals.flac"])
    assert (folder / finished.RECORD).read_bytes() == before
    assert not list(folder.glob(".*"))
