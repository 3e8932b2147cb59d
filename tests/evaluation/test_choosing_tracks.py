import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.choosing import choose_tracks, data_section
from diffvs_jax.evaluation.pipeline import Failures
from tests.helpers import write_song


@pytest.fixture
def songs(tmp_path):
    """Three songs, of which the last has no vocals."""
    for number in range(3):
        write_song(tmp_path / "test" / f"song {number}", number)
    (tmp_path / "test" / "song 2" / "vocals.wav").unlink()
    return tmp_path


def chosen(songs, *patterns, most=0, valid_tracks=()):
    failures, said = Failures(), []
    config = data_section(str(songs), valid_tracks, [])
    entries = choose_tracks(config, "test", ["vocals"], patterns, most, failures, said.append)
    return [entry.name for entry in entries], failures.left_out, said


def test_a_track_that_cannot_be_used_is_named(songs):
    names, (left_out,), said = chosen(songs)
    assert names == ["song 0", "song 1"] and "song 2" in left_out and not said


def test_a_track_that_nobody_asks_for_may_be_broken(songs):
    assert chosen(songs, "song [01]", most=1) == (["song 0"], [], [])


def test_why_a_track_is_not_there_is_told(songs):
    with pytest.raises(InputError, match=r"--track=song 2: no such track .*; left out: .*song 2"):
        chosen(songs, "song 2")


def test_what_else_is_to_be_said_is_no_failure(songs):
    _, left_out, said = chosen(songs, valid_tracks=["nobody"])
    assert len(left_out) == 1 and said == ["data.valid_tracks names 1 tracks, of which 0 are there"]
