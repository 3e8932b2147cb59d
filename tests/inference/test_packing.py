import itertools
import random

import numpy as np
import pytest

from diffvs_jax.inference.packing import Piece, pack, runs

AUDIO = np.zeros((4, 2), np.float32)


def pieces_of(track, num_chunks, groups=1, silent=()):
    for index in range(num_chunks):
        for group in range(groups):
            yield Piece(track, group, groups, index, 10 * (index + 1), None if index in silent else AUDIO)


def names(pieces):
    return [(piece.track, piece.number) for piece in pieces]


def calls_of(pieces, slots, together=1, context=0, patience=256):
    return list(pack(runs(pieces, together, context), slots, patience))


def test_chunks_that_are_solved_alone_fill_calls_without_a_gap():
    calls = calls_of(itertools.chain(pieces_of("a", 3), pieces_of("b", 2), pieces_of("c", 4)), slots=4)
    assert [names(call.solved) for call in calls] == [
        [("a", 0), ("a", 1), ("a", 2), ("b", 0)],
        [("b", 1), ("c", 0), ("c", 1), ("c", 2)],
        [("c", 3)],
    ]


def test_a_long_track_is_cut_with_context_on_either_side():
    calls = calls_of(pieces_of("a", 10), slots=5, together=5, context=1)
    assert [names(call.solved) for call in calls] == [
        [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("a", 4)],
        [("a", 3), ("a", 4), ("a", 5), ("a", 6), ("a", 7)],
        [("a", 6), ("a", 7), ("a", 8), ("a", 9)],
    ]
    told = [[(piece.number, place) for piece, place in call.told] for call in calls]
    assert told == [[(0, 0), (1, 1), (2, 2), (3, 3)], [(4, 1), (5, 2), (6, 3)], [(7, 1), (8, 2), (9, 3)]]


def test_a_track_that_just_fits_is_not_cut():
    calls = calls_of(itertools.chain(pieces_of("a", 4), pieces_of("b", 4)), slots=4, together=4, context=1)
    assert [names(call.solved) for call in calls] == [[("a", i) for i in range(4)], [("b", i) for i in range(4)]]


def test_neighbours_are_found_among_other_tracks_and_channels():
    mixed = itertools.chain(pieces_of("a", 2, groups=2), pieces_of("b", 3, silent=[1]))
    (call,) = calls_of(mixed, slots=8, together=8)
    assert names(call.solved) == [("a", 0), ("a", 0), ("a", 1), ("a", 1), ("b", 0), ("b", 2)]
    assert call.before == [-1, -1, 0, 1, -1, -1]


def test_long_silence_does_not_pile_up():
    calls = calls_of(pieces_of("a", 500, silent=range(1, 500)), slots=4, together=4, patience=20)
    assert max(len(call.told) for call in calls) <= 24
    assert [names(call.solved) for call in calls if call.solved] == [[("a", 0)]]


def random_pieces(seed):
    """Tracks of any length, channels and silences."""
    draw = random.Random(seed)
    for track in range(6):
        silent = {index for index in range(60) if draw.random() < draw.choice([0, 0.2, 0.9])}
        yield from pieces_of(track, draw.randrange(1, 60), draw.choice([1, 1, 2, 4]), silent)


@pytest.mark.parametrize("context", [0, 1, 2])
@pytest.mark.parametrize("together", [1, 4, 7, 16])
@pytest.mark.parametrize("seed", range(5))
def test_every_piece_is_told_once_in_order_with_its_own_estimate(seed, together, context):
    expected = list(random_pieces(seed))
    calls = calls_of(iter(expected), together + 3, together, context, patience=10)
    told = [result for call in calls for result in call.told]
    assert [piece for piece, _ in told] == expected
    for call in calls:
        assert len(call.solved) <= together + 3
        for piece, place in call.told:
            assert (place is None) == (piece.audio is None)
            assert place is None or call.solved[place] is piece


@pytest.mark.parametrize("seed", range(5))
def test_with_context_every_piece_that_is_told_has_its_neighbours(seed):
    expected = list(random_pieces(seed))
    heard = {(piece.track, piece.group, piece.number) for piece in expected if piece.audio is not None}
    for call in calls_of(iter(expected), slots=24, together=24, context=2):
        here = {(piece.track, piece.group, piece.number) for piece in call.solved}
        for piece, place in call.told:
            near = {(piece.track, piece.group, piece.number + offset) for offset in (-2, -1, 0, 1, 2)}
            assert place is None or near & heard <= here


def test_where_a_track_is_cut_depends_on_it_alone():
    def neighbourhoods(calls):
        for call in calls:
            alone = [piece.number for piece in call.solved if piece.track == "long"]
            yield from ((piece.number, tuple(alone)) for piece, _ in call.told if piece.track == "long")

    alone = calls_of(pieces_of("long", 50), slots=16, together=8, context=1)
    mixed = itertools.chain(pieces_of("before", 5), pieces_of("long", 50), pieces_of("after", 5))
    among_others = dict(neighbourhoods(calls_of(mixed, slots=8, together=8, context=1)))
    of_runs = dict(neighbourhoods(runs(pieces_of("long", 50), 8, 1)))
    assert among_others == of_runs
    assert len(alone) < len(of_runs)  # several runs share a call


def test_runs_of_one_track_in_one_call_know_nothing_of_each_other():
    (call,) = calls_of(pieces_of("a", 10), slots=16, together=4, context=1)
    assert [piece.number for piece in call.solved] == [0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9]
    assert call.before == [-1, 0, 1, 2, -1, 4, 5, 6, -1, 8, 9, 10, -1, 12, 13, 14]


@pytest.mark.parametrize("seed", range(5))
def test_no_chunk_has_two_successors(seed):
    for call in calls_of(random_pieces(seed), slots=32, together=8, context=2):
        known = [place for place in call.before if place >= 0]
        assert len(set(known)) == len(known)
        for piece, place in zip(call.solved, call.before, strict=True):
            earlier = call.solved[place]
            expected = piece.track, piece.group, piece.number - 1
            assert place < 0 or (earlier.track, earlier.group, earlier.number) == expected
