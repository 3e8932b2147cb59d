import itertools
import random

import numpy as np
import pytest

from diffvs_jax.inference.packing import Piece, pack

AUDIO = np.zeros((4, 2), np.float32)


def pieces_of(track, num_chunks, groups=1, silent=()):
    for index in range(num_chunks):
        for group in range(groups):
            yield Piece(track, group, index, 10 * (index + 1), None if index in silent else AUDIO)


def names(pieces):
    return [(piece.track, piece.index) for piece in pieces]


def test_tracks_share_calls_without_a_gap():
    calls = list(pack(itertools.chain(pieces_of("a", 3), pieces_of("b", 2), pieces_of("c", 4)), slots=4))
    assert [names(call.solved) for call in calls] == [
        [("a", 0), ("a", 1), ("a", 2), ("b", 0)],
        [("b", 1), ("c", 0), ("c", 1), ("c", 2)],
        [("c", 3)],
    ]


def test_a_long_track_is_cut_with_context_on_either_side():
    calls = list(pack(pieces_of("a", 10), slots=5, context=1))
    assert [names(call.solved) for call in calls] == [
        [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("a", 4)],
        [("a", 3), ("a", 4), ("a", 5), ("a", 6), ("a", 7)],
        [("a", 6), ("a", 7), ("a", 8), ("a", 9)],
    ]
    told = [[(piece.index, place) for piece, place in call.told] for call in calls]
    assert told == [[(0, 0), (1, 1), (2, 2), (3, 3)], [(4, 1), (5, 2), (6, 3)], [(7, 1), (8, 2), (9, 3)]]


def test_a_track_that_ends_with_a_call_has_no_context():
    calls = list(pack(itertools.chain(pieces_of("a", 4), pieces_of("b", 4)), slots=4, context=1))
    assert [names(call.solved) for call in calls] == [[("a", i) for i in range(4)], [("b", i) for i in range(4)]]


def test_neighbours_are_found_among_other_tracks_and_channels():
    mixed = itertools.chain(pieces_of("a", 2, groups=2), pieces_of("b", 3, silent=[1]))
    (call,) = pack(mixed, slots=8)
    assert names(call.solved) == [("a", 0), ("a", 0), ("a", 1), ("a", 1), ("b", 0), ("b", 2)]
    np.testing.assert_array_equal(call.before(), [-1, -1, 0, 1, -1, -1])


def test_long_silence_does_not_pile_up():
    calls = list(pack(pieces_of("a", 500, silent=range(1, 500)), slots=4, patience=20))
    assert max(len(call.told) for call in calls) <= 20
    assert [names(call.solved) for call in calls if call.solved] == [[("a", 0)]]


def random_pieces(seed):
    """Tracks of any length, channels and silences."""
    draw = random.Random(seed)
    for track in range(6):
        silent = {index for index in range(60) if draw.random() < draw.choice([0, 0.2, 0.9])}
        yield from pieces_of(track, draw.randrange(1, 60), draw.choice([1, 1, 2, 4]), silent)


@pytest.mark.parametrize("context", [0, 1, 2])
@pytest.mark.parametrize("slots", [1, 4, 7, 16])
@pytest.mark.parametrize("seed", range(5))
def test_every_piece_is_told_once_in_order_with_its_own_estimate(seed, slots, context):
    expected = list(random_pieces(seed))
    calls = list(pack(iter(expected), slots, context, patience=10))
    told = [result for call in calls for result in call.told]
    assert [piece for piece, _ in told] == expected
    for call in calls:
        assert len(call.solved) <= slots
        for piece, place in call.told:
            assert (place is None) == (piece.audio is None)
            assert place is None or call.solved[place] is piece


@pytest.mark.parametrize("seed", range(5))
def test_with_context_every_piece_that_is_told_has_its_neighbours(seed):
    expected = list(random_pieces(seed))
    heard = {(piece.track, piece.group, piece.index) for piece in expected if piece.audio is not None}
    for call in pack(iter(expected), slots=24, context=2, patience=1000):
        here = {(piece.track, piece.group, piece.index) for piece in call.solved}
        for piece, place in call.told:
            near = {(piece.track, piece.group, piece.index + offset) for offset in (-2, -1, 0, 1, 2)}
            assert place is None or near & heard <= here
