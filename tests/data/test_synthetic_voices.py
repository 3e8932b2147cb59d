"""Singers, choirs, vocal effects, and the leads that imitate them."""

import dataclasses
import itertools

import numpy as np
import pytest

from diffvs_jax.data.synthetic import band, effects, filters, leads, melody, sound, structure, vocals, voice
from diffvs_jax.data.synthetic.frame import Studio
from diffvs_jax.data.synthetic.phonemes import CONSONANTS, Syllable
from diffvs_jax.data.synthetic.singer import draw_singer

RATE = 8000
STUDIO = Studio(2 * RATE, RATE, 2)


def steady_singer(**changes):
    """No vibrato, no drift beyond the voice's own, little breath."""
    plain = {"vibrato_depth": 0.0, "jitter": 0.0, "scoop": 0.0, "breath": 0.01, "rasp": 0.0}
    plain |= {"spoken": False, "whispers": False}
    return dataclasses.replace(draw_singer(np.random.default_rng(1)), **{**plain, **changes})


def sing_ah(singer, others=()):
    words = [Syllable(0.0, 2.0, 50.0, (0, 0), "", "", 1.0, False)]
    tracks = voice.make_tracks(np.random.default_rng(2), singer, words, 2.0)
    tracks.pitch[:] = 50.0
    pitches = [np.full(len(tracks.pitch), pitch) for pitch in others]
    return voice.sing(np.random.default_rng(3), singer, tracks, 2 * RATE, RATE, pitches)


def power_at(audio, hertz):
    """Power within 3 Hz of a frequency, as a share of all power."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    frequencies = np.fft.rfftfreq(len(audio), 1 / RATE)
    return power[np.abs(frequencies - hertz) < 3].sum() / power.sum()


@pytest.fixture(scope="module")
def frame():
    return structure.draw_frame(np.random.default_rng(5), 2.0)


def test_a_cluster_is_its_consonants_one_after_another():
    singer = steady_singer(consonants=1.0)
    words = [Syllable(0.5, 1.5, 50.0, (0, 0), "st", "", 1.0, False)]
    tracks = voice.make_tracks(np.random.default_rng(0), singer, words, 2.0)
    noisy = tracks.noise > 0.05
    centers = tracks.noise_center[noisy]
    assert len(centers) > 10
    # The hiss of s comes before the lower burst of t.
    assert centers[0] > 1.2 * centers[-1]
    closed = np.flatnonzero(noisy)
    assert np.diff(closed).max() > 2, "t closes between the two noises"


def test_hiss_beyond_the_recorded_band_is_softened_not_lost():
    words = [Syllable(0.5, 1.5, 50.0, (0, 0), "s", "", 1.0, False)]
    tracks = voice.make_tracks(np.random.default_rng(0), steady_singer(), words, 2.0)
    hiss, at = np.array([int(0.5 * sound.CONTROL_RATE) - 4]), np.linspace(20, 4000, 400)
    narrow, wide = (voice._friction_band(tracks, hiss, at * rate / RATE, rate).max() for rate in (RATE, 44_100))
    per_hertz = np.sqrt(44_100 / RATE)
    assert 0.2 < narrow / wide * per_hertz < 0.7


def test_clusters_fit_into_their_syllable():
    lengths = voice._spread("str", 1.5, 0.1)
    np.testing.assert_allclose(sum(lengths), 0.1)
    assert all(length > 0 for length in lengths)
    assert voice._spread("", 1.0, 0.1) == []
    assert sum(voice._spread("str", 1.0, 9.0)) < sum(CONSONANTS[letter].seconds for letter in "str")


def test_runs_are_quick_notes_on_one_vowel(frame):
    note = Syllable(0.0, 1.5, 55.0, (3, 5), "b", "n", 1.0, True)
    for seed in range(10):
        notes = melody._run(np.random.default_rng(seed), frame, note, 30)
        assert len(notes) >= 3
        assert notes[0].onset == "b"
        assert [each.coda for each in notes] == [""] * (len(notes) - 1) + ["n"]
        assert {each.vowels for each in notes[1:]} == {(5, 5)}
        for before, after in itertools.pairwise(notes):
            np.testing.assert_allclose(before.end, after.start)
        assert all(each.end - each.start < 0.2 for each in notes[1:])
        assert all(before.pitch != after.pitch for before, after in itertools.pairwise(notes[1:]))
        np.testing.assert_allclose(notes[-1].end, 1.5)


def test_a_whisper_has_no_pitch():
    def harmonics(singer):
        hertz = float(sound.midi_to_hz(50.0))
        return sum(power_at(sing_ah(singer), number * hertz) for number in range(1, 5))

    assert harmonics(steady_singer()) > 5 * harmonics(steady_singer(whispers=True))


def test_a_choir_sings_all_its_notes():
    low, high = (float(sound.midi_to_hz(pitch)) for pitch in (50.0, 57.0))
    alone, choir = sing_ah(steady_singer()), sing_ah(steady_singer(), others=[57.0])
    assert power_at(choir, high) > 20 * power_at(alone, high)
    assert power_at(choir, low) > 0.1 * power_at(alone, low)


def test_chords_of_a_choir_are_the_songs(frame):
    voices = melody.write_chords(np.random.default_rng(0), frame, 55.0, np.ones(len(frame.degrees), bool))
    for bar, degree in enumerate(frame.degrees):
        wanted = {frame.pitch(degree + step, bar) % 12 for step in (0, 2, 4)}
        start = frame.time(bar, 0)
        sung = {round(each.pitch) % 12 for line in voices for each in line if abs(each.start - start) < 1e-6}
        assert sung == wanted


@pytest.mark.parametrize("player", band._PLAYERS, ids=lambda player: player.__name__)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_every_player_plays(frame, player, num_channels):
    studio = Studio(2 * RATE, RATE, num_channels)
    for seed in range(3):
        part = player(np.random.default_rng(seed), frame, studio)
        assert part.shape == (2 * RATE, num_channels)
        assert np.isfinite(part).all()
        assert np.abs(part).max() > 0
        again = player(np.random.default_rng(seed), frame, studio)
        assert part.tobytes() == again.tobytes()


def test_a_talk_box_moves_its_formants(monkeypatch):
    centers = []

    def listen(formants, *rest):
        centers.append(formants)
        return original(formants, *rest)

    original = filters.resonances
    monkeypatch.setattr(leads.filters, "resonances", listen)
    frame = structure.draw_frame(np.random.default_rng(0), 4.0)
    for seed in range(4):
        leads.talk_box(np.random.default_rng(seed), frame, Studio(4 * RATE, RATE, 1))
    moved = [np.ptp(np.log2(each[:, 1])) for each in centers]
    assert np.median(moved) > 0.25  # octaves of the second formant


def test_a_filter_that_does_nothing_gives_its_source_back():
    source = np.random.default_rng(0).standard_normal(3001).astype(np.float32)
    same = filters.moving_filter([source], RATE, 100, lambda at, f: (np.ones(len(f), np.float32),))
    np.testing.assert_allclose(same, source, atol=1e-5)


def test_resonances_have_their_gain_at_their_center():
    f = np.linspace(0, 4000, 401)
    response = np.abs(filters.resonances(np.array([[500.0, 1500.0]]), (8.0, 4.0), (80.0, 100.0), f))[0]
    np.testing.assert_allclose(response[[50, 150]], [8.0, 4.0], rtol=0.15)
    np.testing.assert_allclose(response[[0, 400]], 1.0, atol=0.1)


def test_effects_keep_shape_and_do_what_they_say(frame):
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal(STUDIO.silence().shape)).astype(np.float32)
    for effect in (effects.chorus, effects.telephone, effects.crush, effects.swell):
        changed = effect(np.random.default_rng(1), audio, STUDIO)
        assert changed.shape == audio.shape
        assert np.isfinite(changed).all()
        assert np.abs(changed - audio).max() > 0.01
    spectrum = np.abs(np.fft.rfft(effects.telephone(rng, audio, STUDIO)[:, 0])) ** 2
    assert spectrum[1600:3000].mean() > 10 * spectrum[100:300].mean()  # 0.5 Hz bins: 1 kHz against 100 Hz
    held = effects.crush(rng, audio, STUDIO)
    assert np.mean(np.diff(held[:, 0]) == 0) > 0.1
    chopped = effects.chop(rng, np.ones_like(audio), frame, STUDIO)
    assert chopped.max() > 0.95
    for seed in range(20):
        gain = effects.chop(np.random.default_rng(seed), np.ones_like(audio), frame, STUDIO)
        if gain.min() < 0.05:
            return
    pytest.fail("the gate never closed")


def test_a_swell_comes_before_its_sound():
    click = STUDIO.silence()
    click[RATE] = 1.0
    swelled = effects.swell(np.random.default_rng(0), click, STUDIO)
    assert np.abs(swelled[: RATE - 10]).max() > 10 * np.abs(swelled[RATE + 10 :]).max()


def test_samples_of_the_voice_are_struck_where_it_rests():
    drawn = (structure.draw_frame(np.random.default_rng(seed), 4.0) for seed in range(400))
    frame = next(
        each for each in drawn if each.sections[0].sung and not each.section_at(3.9).sung and each.section_at(1.0).sung
        and each.section_at(1.0).name not in ("drop", "chorus")
    )  # fmt: skip
    studio = Studio(4 * RATE, RATE, 1)
    words = [Syllable(0.2, 0.9, 55.0, (0, 0), "d", "", 1.0, True)]
    dry = np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    struck = vocals._samples(np.random.default_rng(1), frame, studio, dry, words)
    assert not struck[:RATE].any()
    assert struck.any()
