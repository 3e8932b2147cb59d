"""The form of procedural songs: excerpts, sections, who plays in them."""

import dataclasses

import numpy as np
import pytest

from diffvs_jax.data.synthetic import arrangement, drums, melody, structure, vocals
from diffvs_jax.data.synthetic.frame import Frame, Section, Studio
from diffvs_jax.data.synthetic.singer import draw_singer

STUDIO = Studio(4 * 8000, 8000, 1)


def frames(count, seconds):
    return [structure.draw_frame(np.random.default_rng(seed), seconds) for seed in range(count)]


def visible_shares(frame):
    """Share of the excerpt that each rendered bar fills."""
    edges = frame.start + frame.bar * np.arange(len(frame.degrees) + 1)
    return np.diff(np.clip(edges, 0, frame.seconds)) / frame.seconds


def verse_and_chorus(**changes):
    """Four bars of a second each: two of a verse, two of a chorus."""
    verse, chorus = Section("verse", 0.5, True, False, 0, 2), Section("chorus", 1.0, False, True, 2, 2)
    scale = (0, 2, 4, 5, 7, 9, 11)
    sections = (verse, verse, chorus, chorus)
    frame = Frame(0.25, 0.0, 0, scale, (0, 3, 4, 0), 0.0, 4.0, sections, (0, 0, 2, 2))
    return dataclasses.replace(frame, **changes)


@pytest.mark.parametrize("seconds", [1.2, 10.0])
def test_the_bars_cover_the_excerpt_and_know_their_section(seconds):
    for frame in frames(60, seconds):
        assert len(frame.sections) == len(frame.degrees) == len(frame.lifts)
        assert frame.start <= 0
        np.testing.assert_allclose(visible_shares(frame).sum(), 1.0, atol=1e-9)
        for bar, section in enumerate(frame.sections):
            assert section.first <= bar < section.first + section.bars


def test_somebody_sings_in_nearly_every_excerpt_and_the_band_plays():
    sung, rested = [], []
    for frame in frames(200, 10.0):
        weights = visible_shares(frame)
        sung.append(weights @ [section.sung for section in frame.sections])
        rested.append(weights @ [section.energy < 0.1 for section in frame.sections])
    assert np.mean(np.array(sung) > 0.25) > 0.97
    assert np.mean(np.array(sung) < 0.8) > 0.1
    assert 0 < np.mean(rested) < 0.15


def test_excerpts_come_from_anywhere_in_the_song():
    names = [frame.sections[0].name for frame in frames(300, 10.0)]
    assert {"verse", "chorus", "break", "bridge", "breakdown", "intro"} <= set(names)
    assert max(names.count(name) for name in set(names)) < 0.5 * len(names)


def test_a_long_song_goes_through_its_form():
    for frame in frames(10, 240.0):
        assert len({section.name for section in frame.sections}) >= 3
        starts = [bar for bar, section in enumerate(frame.sections) if section.first == bar]
        assert len(starts) >= 5


def test_keys_tempi_and_scales_are_many():
    drawn = frames(200, 10.0)
    tempi = [60 / frame.beat for frame in drawn]
    assert min(tempi) < 75
    assert max(tempi) > 145
    assert {frame.tonic for frame in drawn} == set(range(12))
    assert len({frame.scale for frame in drawn}) >= 6
    assert 0 < sum(len(set(frame.lifts)) > 1 for frame in drawn) < 20


def test_a_bar_in_a_higher_key_is_higher():
    frame = verse_and_chorus()
    assert [frame.pitch(28, bar) - frame.pitch(28) for bar in range(4)] == [0, 0, 2, 2]


def test_instruments_play_alike_in_sections_of_one_name_and_not_where_nobody_does():
    silent = Section("unaccompanied", 0.0, True, False, 4, 2)
    again = [dataclasses.replace(each, first=each.first + 6) for each in verse_and_chorus().sections]
    sections = (*verse_and_chorus().sections, silent, silent, *again)
    frame = verse_and_chorus(sections=sections, degrees=(0,) * 10, lifts=(0,) * 10)
    patterns = set()
    for seed in range(40):
        plays = arrangement.draw_presence(np.random.default_rng(seed), frame, eagerness=1.0)
        assert not plays[4:6].any()
        assert plays[2:4].all()
        plays = arrangement.draw_presence(np.random.default_rng(seed), frame)
        assert not plays[4:6].any()
        np.testing.assert_array_equal(plays[:4], plays[6:])
        patterns.add(tuple(plays))
    assert len(patterns) > 2


def test_a_gate_is_open_where_the_instrument_plays_and_closed_in_stops():
    frame = verse_and_chorus(stops=((2.5, 3.0),))
    gain = arrangement.gate(frame, STUDIO, np.array([True, False, True, True]))[:, 0]
    at = (np.array([0.5, 1.5, 2.25, 2.75, 3.5]) * 8000).astype(int)
    np.testing.assert_allclose(gain[at], [1, 0, 1, 0, 1], atol=1e-3)
    gain = arrangement.gate(frame, STUDIO, np.array([True, False, True, True]), stops=False)[:, 0]
    np.testing.assert_allclose(gain[at], [1, 0, 1, 1, 1], atol=1e-3)


def test_pumping_ducks_after_kicks_only():
    kicks = np.array([1.0, 2.0])
    gain = arrangement.pumping(np.random.default_rng(0), verse_and_chorus(), STUDIO, kicks)[:, 0]
    assert gain[: int(0.99 * 8000)].min() > 0.99
    assert gain[int(1.01 * 8000)] < 0.75
    assert gain[int(1.9 * 8000)] > gain[int(1.01 * 8000)]


def test_melodies_begin_in_the_bars_that_are_sung():
    frame = verse_and_chorus(seconds=4.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sings = np.array([False, False, True, False])
        words = melody.write_melody(rng, frame, draw_singer(rng), sings, 0.7)
        firsts = [each.start for each in words if each.first]
        # An upbeat of half a beat is allowed.
        assert firsts
        assert all(1.85 < start < 3.0 for start in firsts)


def test_a_duet_leaves_no_word_unsung():
    rng = np.random.default_rng(3)
    words = melody.write_melody(rng, verse_and_chorus(), draw_singer(rng), np.ones(4, bool), 0.9)
    both = 0
    for seed in range(20):
        sides = vocals._take_turns(np.random.default_rng(seed), words)
        sung = {id(each) for side in sides for each in side}
        assert sung == {id(each) for each in words}
        both += sum(map(len, sides)) > len(words)
    assert 0 < both < 20


def test_a_machine_roll_grows_and_fills_come_at_sections_ends():
    frame = verse_and_chorus()
    pattern = drums.Pattern((0,), (), (), (), shaken=False, rolls=False, filled=1.0)
    for seed in range(10):
        ends = [len(drums._strokes(np.random.default_rng(seed), frame, pattern, bar)) for bar in (0, 1)]
        assert ends[0] <= 2
        assert ends[1] >= 5


def test_drums_rest_where_nobody_plays():
    silent = Section("unaccompanied", 0.0, True, False, 0, 2)
    frame = verse_and_chorus(sections=(silent, silent, *verse_and_chorus().sections[2:]))
    for seed in range(5):
        stem, kicks = drums.render_drums(np.random.default_rng(seed), frame, STUDIO)
        assert np.abs(stem[: int(1.95 * 8000)]).max() == 0
        assert all(kicks >= 2)
