"""``python -m diffvs_jax.data.check`` as a user meets it."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from tests.commands.test_commands import assert_refused
from tests.helpers import RATE

FORM = (f"--sample_rate={RATE}", "--num_workers=1")


@pytest.fixture
def damaged(musdb_folder, tmp_path):
    """The small data set with a track that does not open, one that breaks off inside, and one to note."""
    root = tmp_path / "damaged"
    shutil.copytree(musdb_folder, root)
    (root / "train" / "song 0" / "vocals.wav").write_text("words")
    samples = np.zeros((10_400, 2))
    samples[100] = np.nan
    soundfile.write(root / "train" / "song 1" / "drums.wav", samples, RATE, subtype="FLOAT")
    soundfile.write(root / "test" / "mixed" / "mixture.wav", 0 * samples[101:], RATE)
    return root


def test_a_clean_data_set_passes(command, musdb_folder):
    result = command("data.check", musdb_folder, *FORM, "--strict", "--verbose")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert "read  song 0: 1.3 s" in lines
    assert any(line.startswith("read  mixed: 1.3 s, residual -") for line in lines)
    assert f"{musdb_folder} train: 3 tracks, 0.00 h" in lines
    assert f"{musdb_folder} test: 2 tracks, 0.00 h" in lines
    assert lines.count("  findings: none") == 2
    assert lines[-1] == "all 5 tracks can be used, 0.00 h"


def test_findings_are_printed_and_written(command, damaged, tmp_path):
    result = command("data.check", damaged, *FORM, f"--json={tmp_path / 'new' / 'report.json'}")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    starts = (
        "bad   unreadable: train/song 0/vocals.wav: not an audio file",
        "bad   nan: train/song 1/drums.wav: 2 samples are NaN or infinite, the first at 0.01 s",
        "note  residual: test/mixed/mixture.wav: differs from the sum of the stems by 200.0 dB (limit -40 dB)",
    )
    for start in starts:
        assert any(line.startswith(start) for line in lines), start
    assert "  findings: unreadable 1, nan 1" in lines
    assert "  mixture less stems: median 200.0 dB, worst 200.0 dB (mixed)" in lines
    assert lines[-1] == "2 of 5 tracks are bad: training leaves out 2"
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.json"]
    assert [track["bad"] for track in report["tracks"]] == [False, False, True, True, False]
    assert report["tracks"][3]["findings"][0]["kind"] == "nan"


def test_a_bad_track_is_fatal_where_one_asks_for_it(command, damaged):
    result = command("data.check", damaged, *FORM, "--strict")
    assert result.code == 1
    assert result.err == "error: 2 of 5 tracks are bad (--strict)\n"
    notes = command("data.check", damaged, *FORM, "--strict", "--split=test")
    assert (notes.code, notes.err) == (0, "")
    assert notes.out.splitlines()[-1] == "all 2 tracks can be used, 0.00 h"


def test_what_cannot_be_checked_is_refused(command, musdb_folder, tmp_path):
    (tmp_path / "hollow" / "train").mkdir(parents=True)
    assert_refused(command("data.check"), "no data set given")
    assert_refused(command("data.check", tmp_path / "gone"), "no such data set folder")
    assert_refused(command("data.check", musdb_folder, "--split=valid"), "no split 'valid'")
    assert_refused(command("data.check", tmp_path / "hollow"), "no tracks", "SPLIT/TRACK/STEM.wav")
    assert_refused(command("data.check", musdb_folder, "--num_channels=3"), "--num_channels=3")
    assert_refused(command("data.check", musdb_folder, f"--json={tmp_path}"), "is a folder")
