"""Chunks of many tracks packed into calls of one program, whose number of slots is fixed.

Chunks that are solved jointly form a run, which lies in one call. A longer track is several runs:
the last chunks of each lack a neighbour, so the next solves them again, beginning with some that
are settled already. Both are context. Where a track is cut depends on the track alone, so what
comes of it does not depend on the others. Runs of many tracks share calls, so that only the end of
a whole library waits for nobody.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """One chunk of one group of a track's channels."""

    track: Hashable
    group: int
    num_groups: int
    number: int  # of the chunk on its track
    final: int  # samples of the track that are settled once this chunk is
    audio: np.ndarray | None  # [chunk_samples, channels] as the model takes them; None where there is silence
    error: Exception | None = None  # why the track ends here


Told = list[tuple[Piece, int | None]]


class Call(NamedTuple):
    """What a run, or one call of the program, solves, and which pieces are passed on after it."""

    solved: list[Piece]
    before: list[int]  # of each that is solved, the place of the chunk before in its run; -1: none there
    told: Told  # in the pieces' order, with the place among ``solved``; None: silence, nothing to solve


def runs(pieces: Iterable[Piece], together: int, context: int) -> Iterator[Call]:
    """Cuts tracks into runs of at most ``together`` pieces; of one each, where a single chunk has as many.

    Args:
      pieces: of all tracks, track by track and chunk by chunk.
      together: pieces of a run.
      context: chunks on either side of a cut that the runs on both sides solve, where there is room.
    """
    window: list[Piece] = []  # of the run, context first
    told = 0  # of the window, by the run before
    for piece in pieces:
        if window and piece.track != window[0].track:
            yield _run(window, told, len(window))
            window, told = [], 0
        if piece.num_groups >= together:
            yield _run([piece], 0, 1)
            continue
        length = together // piece.num_groups  # chunks of a run
        if window and piece.number - window[0].number == length:
            around = min(context, (length - 1) // 2)
            known = (length - around) * piece.num_groups
            yield _run(window, told, known)
            restart = (length - 2 * around) * piece.num_groups
            window, told = window[restart:], known - restart
        window.append(piece)
    if window:
        yield _run(window, told, len(window))


def pack(runs: Iterable[Call], slots: int, patience: int) -> Iterator[Call]:
    """Joins runs into calls.

    Args:
      runs: each tells what it solves, and silence.
      slots: of a call, at least as many as pieces in a run.
      patience: how many pieces may wait for a call to be full; long silences would pile up.
    """
    call = Call([], [], [])
    for run in runs:
        if call.told and (len(call.solved) + len(run.solved) > slots or len(call.told) >= patience):
            yield call
            call = Call([], [], [])
        first = len(call.solved)
        call.solved.extend(run.solved)
        call.before.extend(-1 if place < 0 else place + first for place in run.before)
        call.told.extend((piece, None if place is None else place + first) for piece, place in run.told)
    if call.told:
        yield call


def _run(window: list[Piece], told: int, known: int) -> Call:
    """The window as a run that tells its pieces from ``told`` to ``known``."""
    solved = [piece for piece in window if piece.audio is not None]
    places = {(piece.group, piece.number): place for place, piece in enumerate(solved)}
    before = [places.get((piece.group, piece.number - 1), -1) for piece in solved]
    all_told: Told = [(piece, None if piece.audio is None else places[piece.group, piece.number]) for piece in window]
    return Call(solved, before, all_told[told:known])
