"""Chunks of many tracks packed into calls of one program, whose number of slots is fixed.

Tracks follow each other without a gap, so only the last call of a whole library is not full. Where
chunks are solved jointly, a track that goes on beyond a call is cut there: the last chunks of that
call lack a neighbour, so they are solved again in the next one, which also begins with some that
are known already. Both are context.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """One chunk of one group of a track's channels."""

    track: Hashable
    group: int
    index: int  # of the chunk on its track
    final: int  # samples of the track that are settled once this chunk is
    audio: np.ndarray | None  # [chunk_samples, channels] as the model takes them; None where there is silence
    error: Exception | None = None  # why the track ends here


class Call(NamedTuple):
    """What one call of the program solves, and which pieces are passed on after it, silent ones between others."""

    solved: list[Piece]
    told: list[tuple[Piece, int | None]]  # with the place among ``solved``; None: nothing to solve

    def before(self) -> np.ndarray:
        """Of each piece that is solved the place of the chunk before on its track, int32; -1: not here."""
        places = {_key(piece): place for place, piece in enumerate(self.solved)}
        earlier = [(piece.track, piece.group, piece.index - 1) for piece in self.solved]
        return np.array([places.get(key, -1) for key in earlier], np.int32)


def pack(pieces: Iterable[Piece], slots: int, context: int = 0, patience: int = 64) -> Iterator[Call]:
    """Packs pieces, which come track by track and chunk by chunk, into calls of at most ``slots``.

    Every piece is told once, in the order of ``pieces``.

    Args:
      pieces: of all tracks.
      slots: of a call.
      context: chunks of a track on either side of a cut that are solved on both.
      patience: how many pieces may wait for a call to be full; long silences would pile up.
    """
    window: list[Piece] = []  # to be solved in the next call, context first
    waiting: list[Piece] = []  # not told yet, in order
    for piece in pieces:
        if window and (len(window) == slots or len(waiting) >= max(patience, 2 * slots)):
            window, waiting = yield from _call(window, waiting, _cut(window, piece, context))
        elif not window and len(waiting) >= patience:
            yield Call([], [(quiet, None) for quiet in waiting])
            waiting = []
        waiting.append(piece)
        if piece.audio is not None:
            window.append(piece)
    if waiting:
        yield from _call(window, waiting, (len(window), len(window)))


def _call(window, waiting, cut):
    """Gives one call; what is left of the window and of the pieces that wait comes back."""
    known, restart = cut
    places = {_key(piece): place for place, piece in enumerate(window)}
    held = _key(window[known]) if known < len(window) else None
    keys = [_key(piece) for piece in waiting]
    count = keys.index(held) if held in keys else len(waiting)
    yield Call(window, [(piece, places.get(_key(piece))) for piece in waiting[:count]])
    return window[restart:], waiting[count:]


def _cut(window: list[Piece], coming: Piece, context: int) -> tuple[int, int]:
    """How many of the window are settled by this call, and from where on the next one takes them again."""
    everything = (len(window), len(window))
    if context == 0 or window[-1].track != coming.track or coming.index - window[-1].index > 1:
        return everything

    def first(index: int) -> int:
        return next(
            place for place, piece in enumerate(window) if piece.track == coming.track and piece.index >= index
        )

    known, restart = first(coming.index - context), first(coming.index - 2 * context)
    return (known, restart) if restart > 0 else everything


def _key(piece: Piece) -> tuple:
    return piece.track, piece.group, piece.index
