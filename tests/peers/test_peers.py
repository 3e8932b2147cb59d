"""The benchmark beside other packages: its sides separate all of a song, and it says what they took."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diffvs_jax.inference import separator as separator_module
from diffvs_jax.inference.track import pieces
from tests.peers import measure, sides
from tests.peers.report import report

HOUSE = Path(__file__).parents[2]
SONG = 0.1 * np.random.default_rng(0).standard_normal((sides.RATE * 5 // 4 + 7, 2), np.float32)
COUNTED = {"HTDemucs": ("demucs.htdemucs", "HTDemucs"), "BS-RoFormer": ("bs_roformer", "BSRoformer")}
TINY = {
    "HTDemucs": {"channels": 8, "bottom_channels": 8, "t_layers": 1, "t_heads": 2, "segment": 1},
    "BS-RoFormer": {"dim": 8, "depth": 1, "heads": 1, "dim_head": 4, "chunk_samples": sides.RATE // 2},
}


def heard_to_the_end(stems, num_stems):
    """All samples, none of them a pad of zeros at an edge."""
    assert stems.shape == (num_stems, *SONG.shape)
    assert np.isfinite(stems).all()
    return all(np.abs(part).max() > 0 for part in (stems[:, :1000], stems[:, -1000:]))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the packages themselves
@pytest.mark.parametrize(("name", "num_stems"), [("HTDemucs", 4), ("BS-RoFormer", 1)])
def test_a_peer_separates_a_song_in_as_many_chunks_as_it_says(name, num_stems, monkeypatch):
    module, network = COUNTED[name]
    package = pytest.importorskip(module, reason=f"{name} is not installed: pip install -e '.[peers]'")
    calls, forward = [], getattr(package, network).forward
    monkeypatch.setattr(getattr(package, network), "forward", lambda *args: calls.append(1) or forward(*args))
    side = sides.PEERS[name](**TINY[name])
    assert heard_to_the_end(side.separate(SONG), num_stems)
    assert len(calls) == side.num_chunks(len(SONG)) > 1
    calls.clear()
    side.separate(SONG[: side.chunk_samples])
    assert len(calls) == side.num_chunks(side.chunk_samples) == 1 < side.num_chunks(side.chunk_samples + 1)


def test_our_side_separates_a_song_in_as_many_chunks_as_it_says(monkeypatch):
    numbers = []

    def counted(*args):
        for piece in pieces(*args):
            numbers.append(piece.number)
            yield piece

    monkeypatch.setattr(separator_module, "pieces", counted)
    side = sides.build("tests/nano.py")
    assert heard_to_the_end(side.separate(SONG), 2)
    assert numbers[-1] + 1 == side.num_chunks(len(SONG)) > 1
    side.separate(SONG[: side.chunk_samples])
    assert numbers[-1] + 1 == 1


def test_one_chunk_is_scaled_to_the_song(monkeypatch):
    """A side that takes a tenth of a second per chunk, in chunks of half a second, says 12 s per minute."""
    heard = []
    half = sides.RATE // 2
    side = sides.Side("slow", 1, half, lambda samples: -(-samples // half), lambda song: heard.append(song) or song)
    clock = iter([0.0, 5.0, 5.1])
    monkeypatch.setattr(measure, "build", lambda *args, **kwargs: side)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    result = measure.turn("slow", np.zeros((2 * sides.RATE, 2), np.float32), one_chunk=True)
    assert [len(song) for song in heard] == [half]
    assert result["setup_seconds"] == 5.0
    assert result["seconds_per_minute"] == pytest.approx(0.1 * 4 * 30)


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
    names = "tests/nano.py,HTDemucs" if absent else "tests/nano.py"
    result = benchmark("--seconds=1", "--rounds=1", f"--sides={names}", f"--output={tmp_path / 'peers.json'}")
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
    song = measure.read_song(tmp_path / "song.wav", 1.5)
    assert song.shape == (round(1.5 * sides.RATE), 2)
    np.testing.assert_array_equal(song[:, 0], song[:, 1])
    assert measure.read_song(tmp_path / "song.wav", 60.0).shape == (2 * sides.RATE, 2)
    noise = measure.read_song(None, 0.5)
    assert noise.shape == (sides.RATE // 2, 2)
    np.testing.assert_array_equal(noise, measure.read_song(None, 0.5))
