"""Many songs in one process: what becomes of each, and what is said of it."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from diffvs_jax.audio.writing import StemFiles
from diffvs_jax.errors import InputError
from diffvs_jax.library import report
from diffvs_jax.library.inputs import find_songs
from diffvs_jax.library.separating import DONE, FAILED, SKIPPED, Options, Watch, separate_songs
from tests.helpers import RATE, random_separator
from tests.inference.songs import music
from tests.nano import get_config


def nano_separator():
    config = get_config()
    config.model.channel_mult = (1,)
    return random_separator(config)


@pytest.fixture(scope="module")
def separator():
    return nano_separator()


def write(path, audio, rate=RATE, subtype="FLOAT"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate, subtype=subtype)
    return path


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


@pytest.fixture
def music_folder(tmp_path):
    """Three songs in two folders."""
    write(tmp_path / "in" / "a.wav", music(1500))
    write(tmp_path / "in" / "deep" / "er" / "b ü.wav", music(2500, 1, seed=1), 11_025)
    write(tmp_path / "in" / "deep" / "c.wav", music(700, 3, seed=2))
    return tmp_path / "in"


@pytest.fixture
def options(tmp_path):
    return Options(str(tmp_path / "out"), ("vocals", "instrumental"), settings={"seed": 0}, model="nano")


def separate(separator, folder, options, watch=None):
    return {outcome.song.name: outcome for outcome in separate_songs(separator, find_songs([folder]), options, watch)}


def statuses(outcomes):
    return {name: outcome.status for name, outcome in outcomes.items()}


def test_folders_are_mirrored_and_stems_are_those_of_the_array(separator, music_folder, options, tmp_path):
    outcomes = separate(separator, music_folder, options)
    assert list(statuses(outcomes).items()) == [("a", DONE), ("deep/c", DONE), ("deep/er/b ü", DONE)]
    for name, outcome in outcomes.items():
        song, folder = music_folder / f"{name}.wav", tmp_path / "out" / name
        assert sorted(path.name for path in folder.iterdir()) == ["instrumental.wav", "separation.json", "vocals.wav"]
        rate = soundfile.info(song).samplerate
        for stem, expected in separator(read(song), rate).items():
            np.testing.assert_allclose(read(folder / f"{stem}.wav"), expected, atol=1e-4)
            assert soundfile.info(folder / f"{stem}.wav").samplerate == rate
        assert outcome.seconds == len(read(song)) / rate and outcome.took > 0 and outcome.gain == 1


def bad_songs(folder):
    """Names of files that cannot be separated to mp3, and what is said about them."""
    (folder / "text.wav").write_text("these are words, not sound")
    write(folder / "empty.wav", np.zeros((0, 2)))
    write(folder / "nan.wav", np.full((3000, 2), np.nan))
    write(folder / "high.wav", music(100), 96_000)
    write(folder / "cut.wav", music(3000))
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[:9000])
    (folder / "hollow.wav").touch()
    return {
        "text": "not an audio file",
        "empty": "no samples",
        "nan": "samples are NaN",
        "high": "mp3 cannot hold 2 channels at 96000 Hz",
        "cut": "is cut off",
        "hollow": "not an audio file",
    }


def test_what_is_wrong_with_one_song_leaves_the_others(separator, music_folder, options, tmp_path):
    write(music_folder / "deep" / "c.wav", music(700, 2, seed=2))  # an mp3 holds two channels
    bad = bad_songs(music_folder)
    outcomes = separate(separator, music_folder, dataclasses.replace(options, format="mp3"))
    assert {name for name, status in statuses(outcomes).items() if status == DONE} == {"a", "deep/c", "deep/er/b ü"}
    for name, words in bad.items():
        error = outcomes[name].error
        assert outcomes[name].status == FAILED
        assert words in error and str(music_folder / f"{name}.wav") in error and "\n" not in error, error
        assert not (tmp_path / "out" / name).exists()


def test_a_folder_that_cannot_be_written_fails_its_song_alone(separator, music_folder, options, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("a file where the folder should be")
    outcomes = separate(separator, music_folder, options)
    assert list(statuses(outcomes).values()) == [FAILED, DONE, DONE]
    assert str(tmp_path / "out" / "a") in outcomes["a"].error


def test_what_is_done_is_passed_over_until_something_changes(separator, music_folder, options):
    def resumed(**changes):
        return [outcome.status for outcome in separate(separator, music_folder, options_of(changes)).values()]

    def options_of(changes):
        return dataclasses.replace(options, **changes)

    assert resumed() == [DONE] * 3
    assert resumed() == [SKIPPED] * 3
    assert resumed(overwrite=True) == [DONE] * 3
    assert resumed(settings={"seed": 1}) == [DONE] * 3
    assert resumed(settings={"seed": 1}) == [SKIPPED] * 3
    assert resumed(model="another") == [DONE] * 3
    assert resumed() == [DONE] * 3
    write(music_folder / "a.wav", music(1500, seed=9))
    assert resumed() == [DONE, SKIPPED, SKIPPED]


def test_nothing_is_compiled_where_nothing_is_to_be_done(separator, music_folder, options):
    separate(separator, music_folder, options)
    fresh, said = nano_separator(), []
    assert set(statuses(separate(fresh, music_folder, options, Watch(said.append))).values()) == {SKIPPED}
    assert fresh.num_compiled == 0 and said == []


def test_stems_of_two_runs_never_count_as_those_of_the_first(separator, music_folder, options, monkeypatch):
    """A disk that fails between two stems leaves one of each run, of the right size."""
    separate(separator, music_folder, options)

    def finish(files):
        for part in files._parts.values():
            part.close()
        part.path.replace(files._paths["instrumental"])
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(StemFiles, "finish", finish)
        other = dataclasses.replace(options, settings={"seed": 1})
        assert set(statuses(separate(separator, music_folder, other)).values()) == {FAILED}
    assert set(statuses(separate(separator, music_folder, options)).values()) == {DONE}


@pytest.mark.parametrize("seconds", [3, 1])  # the second call fails in the middle of the first song, or before it
def test_a_device_that_gives_up_fails_all_that_are_left(separator, music_folder, options, monkeypatch, seconds):
    start, calls = separator._solver._start, []

    def give_up(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise InputError("out of memory with one chunk at once")
        return start(*arguments)

    monkeypatch.setattr(separator._solver, "_start", give_up)
    write(music_folder / "a.wav", music(RATE * seconds))
    outcomes = separate(separator, music_folder, options)
    assert list(statuses(outcomes).values()) == [FAILED] * 3
    for name, outcome in outcomes.items():
        assert "out of memory" in outcome.error and f"{name}.wav" in outcome.error


def test_progress_tells_of_all_seconds(separator, music_folder, options):
    write(music_folder / "nan.wav", np.full((RATE, 2), np.nan))
    total = sum(len(read(path)) / soundfile.info(path).samplerate for path in music_folder.rglob("*.wav"))
    for expected_done in (total - 1, 0):
        calls = []
        separate(separator, music_folder, options, Watch(advance=lambda *seconds: calls.append(seconds)))  # noqa: B023
        done, left_out = np.sum(calls, axis=0)
        assert (done, done + left_out) == pytest.approx((expected_done, total))


@pytest.mark.parametrize("normalize", [False, True])
def test_clipping_is_told_and_normalizing_prevents_it(separator, options, tmp_path, normalize):
    write(tmp_path / "in" / "loud.wav", 8 * music(1500))
    options = dataclasses.replace(options, format="wav16", normalize=normalize)
    outcome = separate(separator, tmp_path / "in", options)["loud"]
    exact = separator(8 * music(1500), RATE)
    peak = max(np.abs(stem).max() for stem in exact.values())
    lines = report.lines(outcome, options)
    for file, stem in zip(outcome.written, exact.values(), strict=True):
        if normalize:
            np.testing.assert_allclose(read(file.path), stem / peak, atol=1e-4)
            continue
        np.testing.assert_allclose(read(file.path), np.clip(stem, -1, 1), atol=1e-4)
        assert file.num_clipped == pytest.approx(np.count_nonzero(np.abs(stem) > 1), abs=2) and file.num_clipped
        decibels = 20 * np.log10(np.abs(stem).max())
        assert any(
            f"{file.path}: clipped {file.num_clipped} samples, by up to {decibels:.2f} dB" in line for line in lines
        )
    assert len(lines) == (1 if normalize else 3)
    assert outcome.gain == pytest.approx(1 / peak if normalize else 1, rel=1e-3)


def test_a_report_is_json_of_every_song(separator, music_folder, options):
    write(music_folder / "empty.wav", np.zeros((0, 2)))
    write(music_folder / "quiet.wav", np.zeros((3000, 2)))
    options = dataclasses.replace(options, settings={"s_t_max": float("inf"), "stems": ("vocals",)})
    outcomes = list(separate(separator, music_folder, options).values())

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    content = json.loads(report.as_json(outcomes, options, {"version": "1"}), parse_constant=refuse)
    assert content["settings"] == {"s_t_max": "inf", "stems": ["vocals"]} and content["version"] == "1"
    songs = {song["song"]: song for song in content["songs"]}
    assert [song["status"] for song in songs.values()].count("done") == 4
    assert "no samples" in songs["empty"]["error"] and songs["empty"]["written"] == []
    assert [file["peak"] for file in songs["quiet"]["written"]] == [0, 0]
    assert songs["a"]["path"] == str(music_folder / "a.wav")
    assert content["seconds_of_audio"] == pytest.approx(sum(outcome.seconds for outcome in outcomes))
    assert content["real_time_factor"] == pytest.approx(content["seconds"] / content["seconds_of_audio"])
    assert report.summary(outcomes).startswith("4 separated, 0 done before, 1 failed; ")
    assert report.summary([]) == "0 separated, 0 done before, 0 failed"
