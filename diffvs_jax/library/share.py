"""Which songs are whose, where several processes separate a library, each unaware of the others."""

import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

import jax

from diffvs_jax.errors import InputError
from diffvs_jax.library.inputs import Song

T = TypeVar("T")
# Variables of job arrays: this task's number, the first, the last, the step.
_ARRAYS = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP"),
    ("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"),
)
_TASKS = "SLURM_ARRAY_TASK_COUNT"
_UNCOUNTED = ("PBS_ARRAY_INDEX", "PBS_ARRAYID")  # schedulers that do not tell how many tasks there are


def my_share(songs: Sequence[Song], index: int, count: int) -> list[Song]:
    """The songs of one process of ``count``, in their order: about as many bytes as every other's."""
    sizes = [os.path.getsize(song.path) if song.path.is_file() else 0 for song in songs]
    return even_share(songs, sizes, index, count)


def even_share(items: Sequence[T], sizes: Sequence[float], index: int, count: int) -> list[T]:
    """The items of one process of ``count``, in their order: about as much in all as every other's.

    Every process must be given the same items. The largest go first, each to whom has least.
    """
    load = [(0.0, 0)] * count  # size, items
    mine = set()
    for number in sorted(range(len(items)), key=lambda number: (-sizes[number], number)):
        taker = load.index(min(load))
        load[taker] = (load[taker][0] + sizes[number], load[taker][1] + 1)
        if taker == index:
            mine.add(number)
    return [item for number, item in enumerate(items) if number in mine]


def part_of_process(environ: Mapping[str, str], flag_value: str | None = None) -> tuple[int, int]:
    """``index_and_count`` where JAX's processes, if there are several, share each part."""
    index, count = index_and_count(environ, flag_value)
    return index * jax.process_count() + jax.process_index(), count * jax.process_count()


def index_and_count(environ: Mapping[str, str], flag_value: str | None = None) -> tuple[int, int]:
    """This process's number, from 0, and how many share the work: of a flag, else of a job array, else (0, 1).

    Args:
      environ: the environment.
      flag_value: such as "1/4", the first of four.

    Raises:
      InputError: a flag that is no such thing, or an array whose tasks are not evenly numbered or not counted.
    """
    if flag_value is not None:
        return _parse(flag_value)
    for names in _ARRAYS:
        if environ.get(names[0], "").isdigit():  # "undefined" outside of an array
            return _of_array(environ, names)
    for name in _UNCOUNTED:
        if name in environ:
            raise InputError(f"{name} is set, but not how many tasks there are; give --share=I/N, from 1/N to N/N")
    return 0, 1


def _parse(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise InputError(f"--share={text}: give I/N with I from 1 to N, such as --share=1/4 for the first of four")
    return int(number) - 1, int(count)


def _of_array(environ: Mapping[str, str], names: tuple[str, str, str, str]) -> tuple[int, int]:
    try:
        task, first, last, step = (int(environ[name]) for name in names)
        index, count = (task - first) // step, (last - first) // step + 1
        even = task == first + index * step and 0 <= index < count == int(environ.get(_TASKS, count))
    except (KeyError, ValueError, ZeroDivisionError):
        even = False
    if not even:
        told = ", ".join(f"{name}={environ.get(name, '')}" for name in (*names, _TASKS) if name in environ)
        raise InputError(
            f"the job array's tasks are not evenly numbered ({told}); number them like 0-9, or give --share=I/N"
        )
    return index, count
