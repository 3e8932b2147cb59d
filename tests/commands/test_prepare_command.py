"""``python -m diffvs_jax.data.prepare`` and ``data.benchmark`` as a user meets them."""

import shutil

import numpy as np
import pytest
import soundfile

from tests.commands.processes import CONFIG
from tests.commands.test_commands import assert_refused
from tests.helpers import RATE


def prepare(command, root, output, *flags):
    return command("data.prepare", f"--config={CONFIG}", f"--config.data.root={root}", f"--output={output}", *flags)


def test_all_splits_are_prepared_and_then_up_to_date(command, musdb_folder, tmp_path):
    first = prepare(command, musdb_folder, tmp_path / "out", "--num_workers=1")
    assert (first.code, first.err) == (0, "")
    # 5 songs of 1.3 s: two float files of two channels each.
    assert f"{tmp_path / 'out'}: 5 tracks, 0.00 hours, 0.00 GB; 5 written and 0 up to date, in " in first.out
    assert (
        sorted(path.parent.parent.name for path in tmp_path.glob("out/*/*/vocals.wav")) == ["test"] * 2 + ["train"] * 3
    )
    (tmp_path / "out" / "train" / "gone").mkdir()
    again = prepare(command, musdb_folder, tmp_path / "out", "--num_workers=1")
    assert "0 written and 5 up to date" in again.out
    assert f"{tmp_path / 'out' / 'train' / 'gone'}: is of no track of {musdb_folder} any more" in again.out


def test_bad_tracks_are_named_and_left_out_or_fatal(command, musdb_folder, tmp_path):
    root = shutil.copytree(musdb_folder, tmp_path / "root")
    (root / "train" / "song 0" / "vocals.wav").write_text("words")
    samples = np.full((10_400, 2), np.nan)
    soundfile.write(root / "train" / "song 1" / "drums.wav", samples, RATE, subtype="FLOAT")
    result = prepare(command, root, tmp_path / "out", "--splits=train", "--num_workers=1")
    assert result.code == 0
    assert "left out: " in result.out and "song 0/vocals.wav: not an audio file" in result.out
    assert "song 1/drums.wav: holds NaN" in result.out
    assert "1 tracks" in result.out and [path.name for path in (tmp_path / "out" / "train").iterdir()] == ["song 2"]
    flags = ("--splits=train", "--config.data.strict=True")
    assert_refused(prepare(command, root, tmp_path / "strict", *flags), "1 tracks cannot be used (data.strict)")


def test_the_data_set_itself_is_no_output(command, musdb_folder):
    for output in (musdb_folder, musdb_folder / "prepared", musdb_folder.parent):
        assert_refused(prepare(command, musdb_folder, output), "lies in the data set")


@pytest.mark.parametrize("root", ["", "one,two"])
def test_one_data_set_is_prepared_at_a_time(command, tmp_path, root):
    assert_refused(prepare(command, root, tmp_path / "out"), "name one data set folder to prepare")


def test_the_benchmark_measures_every_source(command):
    result = command(
        "data.benchmark",
        f"--config={CONFIG}",
        "--num_workers=0",
        "--num_songs=2",
        "--song_seconds=1.5",
        "--seconds=0.05",
    )
    assert (result.code, result.err) == (0, "")
    ours = [line.split() for line in result.out.splitlines() if "diffvs_jax" in line]
    assert [line[0] for line in ours] == ["prepared", "wav", "flac", "ogg"]
    assert all(float(line[3]) > 0 for line in ours)
    assert "an example: 2 rows of 0.12 s, 2 channels" in result.out
