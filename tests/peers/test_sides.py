"""What the benchmark compares does separate: all of a song, stem by stem, in as many chunks as it says."""

import numpy as np
import pytest

from diffvs_jax.inference.separator import Separator
from tests.peers import measure, sides

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
    totals, separate = [], Separator.__call__
    told = lambda *args: separate(*args, progress=lambda done, total: totals.append(total))  # noqa: E731
    monkeypatch.setattr(Separator, "__call__", told)
    side = sides.build("tests/nano.py")
    assert heard_to_the_end(side.separate(SONG), 2)
    assert totals[-1] == side.num_chunks(len(SONG)) > 1
    side.separate(SONG[: side.chunk_samples])
    assert totals[-1] == 1


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
