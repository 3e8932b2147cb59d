import dataclasses
import errno
import os

import numpy as np
import pytest

from diffvs_jax.data.datasets import stems_folder
from diffvs_jax.evaluation.pipeline import Entry, Failures, unique_names
from diffvs_jax.evaluation.sources import OfFiles
from tests.evaluation.test_estimates import LENGTH, write
from tests.helpers import RATE, write_song


@pytest.fixture(scope="module")
def track(tmp_path_factory):
    return stems_folder(write_song(tmp_path_factory.mktemp("songs") / "song", 0))


def entries(track, *names):
    return unique_names([dataclasses.replace(track, name=name) for name in names])


def test_names_hold_nothing_that_a_screen_obeys(track):
    found = entries(track, "one\ntwo", "bell\x07 \x1b[2J", "next\x85line\u2028", "Björk – Jóga 愛")
    assert [entry.name for entry in found] == ["one_two", "bell_ _[2J", "next_line_", "Björk – Jóga 愛"]


def test_names_are_short_enough_for_files_and_text(track):
    found = [entry.name for entry in entries(track, "愛" * 85, "愛" * 84, "s\udcff", "s")]
    assert found == ["愛" * 66, "愛" * 66 + " (2)", "s", "s (2)"]


def test_estimates_are_looked_for_by_the_data_sets_name_first(track):
    found = entries(track, "AC/DC", "song", "song")
    assert [entry.estimated_as for entry in found] == [("AC/DC", "AC_DC"), ("song",), ("song (2)",)]


def read(source, entry, seconds=0.0):
    failures = Failures()
    (separated,) = source.separate("estimates", [entry], seconds, failures, lambda done, left_out: None)
    assert not failures.lines and separated.entry is entry
    return separated


def test_estimates_under_the_data_sets_name_are_read_and_known(track, tmp_path):
    vocals = write(tmp_path / "Song..." / "vocals.wav")
    source = OfFiles(tmp_path, "test")
    (entry,) = entries(track, "Song...")
    assert entry.name == "Song"
    np.testing.assert_array_equal(read(source, entry).stems["vocals"], vocals)
    known = source.files_of(entry)
    assert known and source.files_of(entries(track, "Other")[0]) == []


def test_the_middle_of_an_estimate_is_that_of_its_song(track, tmp_path):
    vocals = write(tmp_path / "song" / "vocals.wav", LENGTH - 300)  # a little short: its place is that of the whole
    separated = read(OfFiles(tmp_path, "test"), Entry("song", track), 0.5)
    start = (LENGTH - RATE // 2) // 2
    np.testing.assert_array_equal(separated.stems["vocals"], vocals[start : start + RATE // 2])
    assert separated.clip.mixture.shape == separated.stems["instrumental"].shape == (RATE // 2, 2)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_ends_the_run(track, code):
    (entry,) = entries(track, "song")
    failures = Failures()
    with pytest.raises(OSError, match=os.strerror(code)):
        failures.add(entry, OSError(code, os.strerror(code), "song.json"))
    failures.add(entry, OSError(errno.ENOENT, "No such file or directory", "vocals.wav"))
    assert list(failures.lines) == ["song"]
