"""The benchmark command: what it prints and writes, and what it cannot do."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.peers.measure import read_song
from tests.peers.report import report
from tests.peers.sides import RATE

HOUSE = Path(__file__).parents[2]


def benchmark(*arguments):
    command = [sys.executable, "-m", "tests.peers.benchmark", *arguments]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=300)


def a_turn(seconds, one_chunk=False, peak_bytes=2**30):
    return {
        "num_parameters": 1234,
        "num_stems": 2,
        "one_chunk": one_chunk,
        "setup_seconds": 3.0,
        "seconds_per_minute": seconds,
        "peak_bytes": peak_bytes,
    }


def test_the_table_compares_medians_and_says_what_was_scaled():
    turns = {"ours": [a_turn(10.0), a_turn(40.0), a_turn(20.0, peak_bytes=2**31)], "theirs": [a_turn(30.0, True)]}
    *_, ours, theirs = (line.split() for line in report(turns).splitlines())
    assert ours[1:] == ["1,234", "2", "10.0", "20.0", "40.0", "1.00", "3.0", "2.00", "whole", "song", "x", "3"]
    assert theirs[1:] == ["1,234", "2", "30.0", "30.0", "30.0", "1.50", "3.0", "1.00", "one", "chunk,", "scaled"]


def test_a_turn_of_every_side_is_written_down(tmp_path):
    """Ours takes its turns; a peer whose package is missing is named and left out."""
    absent = importlib.util.find_spec("demucs") is None
    sides = "tests/nano.py,HTDemucs" if absent else "tests/nano.py"
    result = benchmark("--seconds=1", "--rounds=1", f"--sides={sides}", f"--output={tmp_path / 'peers.json'}")
    assert result.returncode == 0, result.stderr
    assert ("HTDemucs does not run here: No module named" in result.stdout) == absent
    written = json.loads((tmp_path / "peers.json").read_text())
    assert written["machine"]["threads"] >= 1
    (turn,) = written["turns"].pop("tests/nano.py")
    assert not written["turns"]
    assert turn["song_seconds"] == 1.0
    assert turn["seconds_per_minute"] == pytest.approx(60 * turn["seconds"])
    assert turn["setup_seconds"] > 0
    assert turn["peak_bytes"] > 50 * 2**20  # Python with JAX; kibibytes taken for bytes would not reach it
    assert f"{60 * turn['seconds']:.1f}" in result.stdout


def test_a_side_it_does_not_know_is_bad_input():
    result = benchmark("--sides=Spleeter")
    assert result.returncode == 2
    assert "--sides=Spleeter: choose from HTDemucs, BS-RoFormer, or name a config file" in result.stderr


def test_a_song_is_its_start_in_stereo_at_the_rate_of_all(tmp_path):
    mono = np.sin(np.linspace(0, 2000, 16000), dtype=np.float32)
    soundfile.write(tmp_path / "song.wav", mono, 8000, subtype="FLOAT")
    song = read_song(tmp_path / "song.wav", 1.5)
    assert song.shape == (round(1.5 * RATE), 2)
    np.testing.assert_array_equal(song[:, 0], song[:, 1])
    assert read_song(tmp_path / "song.wav", 60.0).shape == (2 * RATE, 2)
    noise = read_song(None, 0.5)
    assert noise.shape == (RATE // 2, 2)
    np.testing.assert_array_equal(noise, read_song(None, 0.5))
