from pathlib import Path

import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.library.inputs import Song
from diffvs_jax.library.share import index_and_count, my_share


def songs_of(folder, sizes):
    songs = [Song(folder / f"{number}.wav", str(number)) for number in range(len(sizes))]
    for song, size in zip(songs, sizes, strict=True):
        song.path.write_bytes(bytes(size))
    return songs


@pytest.mark.parametrize("count", [1, 2, 3, 7, 60])
def test_shares_are_disjoint_complete_ordered_and_balanced(tmp_path, count):
    sizes = np.random.default_rng(0).integers(1, 5000, 50).tolist()
    songs = songs_of(tmp_path, sizes)
    shares = [my_share(songs, index, count) for index in range(count)]
    numbers = [[int(song.name) for song in share] for share in shares]
    assert sorted(number for share in numbers for number in share) == list(range(50))
    assert all(share == sorted(share) for share in numbers)
    loads = [sum(sizes[number] for number in share) for share in numbers]
    assert max(loads) - min(loads) <= max(sizes)
    assert shares == [my_share(songs, index, count) for index in range(count)]


def test_songs_of_no_size_are_shared_by_number(tmp_path):
    songs = [Song(Path("-"), "stdin"), *songs_of(tmp_path, [0] * 5)]
    assert [len(my_share(songs, index, 3)) for index in range(3)] == [2, 2, 2]


def test_a_flag_counts_from_one():
    assert index_and_count({}, "1/4") == (0, 4)
    assert index_and_count({"SLURM_ARRAY_TASK_ID": "7"}, "4/4") == (3, 4)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "/4", "a/b", "-1/4", "1/0", "1/2/3", "1.0/2", ""])
def test_other_flags_are_refused(text):
    with pytest.raises(InputError, match="first of four"):
        index_and_count({}, text)


def test_without_flag_or_array_all_is_ours():
    assert index_and_count({}) == (0, 1)
    assert index_and_count({"SGE_TASK_ID": "undefined", "SLURM_JOB_ID": "12"}) == (0, 1)


def slurm(task, first, last, step=1, count=None):
    names = ("ID", "MIN", "MAX", "STEP", "COUNT")
    values = (task, first, last, step, (last - first) // step + 1 if count is None else count)
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in zip(names, values, strict=True)}


def sge(task, first, last, step):
    names = ("ID", "FIRST", "LAST", "STEPSIZE")
    return {f"SGE_TASK_{name}": str(value) for name, value in zip(names, (task, first, last, step), strict=True)}


@pytest.mark.parametrize("array", [slurm, sge])
@pytest.mark.parametrize(("first", "last", "step"), [(0, 9, 1), (1, 4, 1), (5, 5, 1), (3, 15, 4), (0, 10, 4)])
def test_every_task_of_an_array_has_its_number(array, first, last, step):
    tasks = range(first, last + 1, step)
    shares = [index_and_count(array(task, first, last, step)) for task in tasks]
    assert shares == [(index, len(tasks)) for index in range(len(tasks))]


@pytest.mark.parametrize(
    "environ",
    [
        slurm(4, 0, 4, count=3),  # --array=0,1,4
        slurm(2, 1, 9, step=4),
        slurm(11, 0, 9),
        slurm(1, 0, 9, step=0, count=10),
        {"SLURM_ARRAY_TASK_ID": "1"},
    ],
)
def test_an_uneven_array_is_refused(environ):
    with pytest.raises(InputError, match=r"SLURM_ARRAY_TASK_ID=.*--share=I/N"):
        index_and_count(environ)


@pytest.mark.parametrize("name", ["PBS_ARRAY_INDEX", "PBS_ARRAYID"])
def test_an_array_that_does_not_tell_its_size_is_refused(name):
    with pytest.raises(InputError, match=f"{name} is set"):
        index_and_count({name: "3"})
    assert index_and_count({name: "3"}, "3/8") == (2, 8)
