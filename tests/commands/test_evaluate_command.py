"""``evaluate`` as a user meets it: a model, finished estimates, several processes."""

import json
import re
import shutil

import numpy as np
import pytest

from tests.commands.processes import assert_refused
from tests.commands.test_two_processes import in_two_processes, results
from tests.data.layouts import noise, write, write_moisesdb
from tests.helpers import RATE, write_song


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    root = tmp_path_factory.mktemp("songs")
    for number, seconds in enumerate((1.3, 2.2, 1.7)):
        write_song(root / "test" / f"song {number}", number, seconds=seconds)
    return root


@pytest.fixture(scope="module")
def evaluated(command, untrained, songs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    flags = (f"--checkpoint={untrained}", f"--root={songs}", f"--output={folder}", "--embedding=none")
    return folder, flags, command("evaluate", *flags)


def records(folder):
    """All that was scored, without what depends on the clock."""
    found = {}
    for path in sorted((folder / "tracks").rglob("*.json")):
        content = json.loads(path.read_text())
        del content["times"]
        found[path.relative_to(folder).as_posix()] = content
    return found


def test_a_model_is_scored_on_every_track(evaluated):
    folder, _, result = evaluated
    assert result.code == 0, result.err
    content = json.loads((folder / "summary.json").read_text())
    assert content["tracks"] == ["song 0", "song 1", "song 2"]
    assert (content["split"], content["seeds"], len(content["sigmas"])) == ("test", [0], 4)
    for key in ("checkpoint", "model", "config_hash", "commit", "sampler", "diffvs_jax", "jax", "python", "device"):
        assert content[key] or key == "commit", key
    rows = [line.split(",") for line in (folder / "scores.csv").read_text().splitlines()]
    column = rows[0].index("csdr_vocals")
    assert (rows[0][0], column) == ("track", 1)
    median = content["summary"]["estimate"]["csdr_vocals_median"]
    assert median == pytest.approx(np.median([float(row[column]) for row in rows[1:]]))
    assert re.search(rf"^estimate +{median:.2f} ", result.out, re.MULTILINE)
    for name in ("mixture", "silence", "oracle", "one_step"):
        assert re.search(rf"^{name} ", result.out, re.MULTILINE)
    assert re.search(r"3 tracks scored, 5 s of audio in .* the network [\d.]+ s \(\d+%\), decoding", result.out)
    assert "<html" in (folder / "report.html").read_text()[:200]


def test_again_nothing_is_left_to_score_and_other_flags_are_other_scores(command, evaluated, tmp_path):
    folder, flags, _ = evaluated
    again = command("evaluate", *flags)
    assert again.code == 0 and "seed_0: 3 of 3 tracks are scored already" in again.out
    assert "nothing was left to score" in again.out and "compiled" not in again.out
    other = shutil.copytree(folder, tmp_path / "scores")
    some = ("--track=song [12]", "--max_tracks=1", "--seeds=0,5", "--baselines=mixture", f"--compare={folder}")
    result = command("evaluate", *flags, f"--output={other}", *some)
    assert result.code == 0, result.err
    content = json.loads((other / "summary.json").read_text())
    assert content["tracks"] == ["song 1"] and content["runs"].keys() == {"seed_0", "seed_5"}
    assert re.search(r"^estimate +\S+ ± \d", result.out, re.MULTILINE)


def test_finished_estimates_are_scored_and_what_is_missing_is_named(command, songs, tmp_path):
    for number in (0, 2):
        folder = tmp_path / "stems" / f"song {number}"
        folder.mkdir(parents=True)
        for stem in ("vocals", "drums"):
            shutil.copy(songs / "test" / f"song {number}" / f"{stem}.wav", folder / f"{stem}.wav")
    flags = (f"--references={songs}", f"--estimates={tmp_path / 'stems'}", f"--output={tmp_path / 'scores'}")
    flags += ("--targets=vocals",)
    result = command("evaluate", *flags)
    assert result.code == 1
    assert result.err.startswith("error: song 1: no estimates; expected ") and result.err.count("\n") == 1
    content = json.loads((tmp_path / "scores" / "summary.json").read_text())
    assert content["tracks"] == ["song 0", "song 2"] and list(content["failed"]) == ["song 1"]
    assert content["stems"] == ["vocals", "instrumental"]
    assert content["summary"]["estimate"]["csdr_vocals_median"] == "inf"
    assert "checkpoint" not in content
    assert "no embedding MSE" in result.out  # the flag's default looks for weights, and goes on without


def test_a_data_set_without_splits_whose_songs_need_not_have_vocals(command, tmp_path):
    """MoisesDB: several files per stem, which end where their music ends; one song is instrumental."""
    root, long, short = tmp_path / "moises", noise(0, 2 * RATE), noise(1, RATE)
    write_moisesdb(root / "p" / "1", [("vocals", [short, long]), ("drums", [long])], artist="AC/DC", song="Sung")
    write_moisesdb(root / "p" / "2", [("guitar", [long]), ("drums", [short])], song="Played")
    for song in ("AC_DC - Sung", "Artist - Played"):
        write(tmp_path / "stems" / song / "vocals.wav", 0.1 * noise(2, 2 * RATE))
    flags = (f"--estimates={tmp_path / 'stems'}", f"--output={tmp_path / 'scores'}", "--baselines=mixture")
    result = command("evaluate", f"--root={root}", *flags)
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "scores" / "summary.json").read_text())["split"] == "train"
    sung, played = records(tmp_path / "scores").values()
    assert (sung["track"], played["track"]) == ("AC_DC - Sung", "Artist - Played")
    assert isinstance(sung["scores"]["estimate"]["csdr_vocals"], float)
    assert played["scores"]["estimate"]["csdr_vocals"] is None  # nobody sings
    assert -25 < played["scores"]["estimate"]["leakage_vocals"] < -10


def test_two_processes_score_what_one_does(evaluated, tmp_path):
    """One device each, beside one process with two."""
    folder, flags, _ = evaluated
    both = results(in_two_processes("evaluate", *flags, f"--output={tmp_path}"))
    assert [result.code for result in both] == [0, 0], both
    assert "part 1 of 2: 1 of 3 tracks" in both[0].out and "part 2 of 2: 2 of 3 tracks" in both[1].out
    mine, theirs = records(tmp_path), records(folder)
    assert mine.keys() == theirs.keys()
    for name, content in mine.items():
        for method, scores in content["scores"].items():
            expected = theirs[name]["scores"][method]
            assert {key for key, value in scores.items() if value is None} == {
                k for k in expected if expected[k] is None
            }
            for column, value in scores.items():
                if isinstance(value, float):
                    assert value == pytest.approx(expected[column], abs=2e-3), (name, method, column)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["tracks"] == ["song 0", "song 1", "song 2"]


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_separated(command, evaluated, tmp_path):
    (tmp_path / "file").touch()
    result = command("evaluate", *evaluated[1], f"--output={tmp_path / 'file' / 'scores'}")
    assert_refused(result, "file/scores")
    assert "seed_0" not in result.out and "compiled" not in result.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--estimates=x",), "give --checkpoint=DIR to score a model, or --estimates=DIR"),
        (("--estimates=x", "--checkpoint=", "--set=sampler.rho=5"), "--set is a model's, and --estimates has none"),
        (("--estimates=x", "--checkpoint=", "--seeds=0"), "--seeds is a model's, and --estimates has none"),
        (("--seeds=1,1",), "--seeds=1,1: give different whole numbers from 0"),
        (("--seeds=a",), "--seeds=a: give different whole numbers"),
        (("--baselines=mixture,best",), "'best' is none of mixture, silence, oracle, one_step"),
        (("--track=nobody",), "--track=nobody: no such track in split 'test'; there are song 0, song 1"),
        (("--compare=nowhere",), "--compare=nowhere: holds no summary.json"),
        (("--embedding=no.such:thing",), "embedding 'no.such:thing'"),
        (("--share=3/2",), "--share=3/2: give I/N"),
        (("--targets=vocals",), "--targets=vocals: a model has its own"),
    ],
)
def test_what_cannot_be_is_refused(command, evaluated, tmp_path, flags, message):
    _, common, _ = evaluated
    assert_refused(command("evaluate", *common, f"--output={tmp_path / 'new'}", *flags), message)
    assert not (tmp_path / "new").exists()
