"""Harmony instruments of the procedural songs: pads, guitars, keys, synthesisers, strings and brass.

They differ from a voice in the way real ones do: steady pitch, struck or gated onsets, and spectra that
decay but whose resonances stay where they are.
"""

import numpy as np

from diffvs_jax.data.synthetic import filters, sound
from diffvs_jax.data.synthetic.frame import Frame, Note, Studio
from diffvs_jax.data.synthetic.tones import Timbre, play


def _voicing(rng: np.random.Generator, frame: Frame, bar: int, low: float) -> list[int]:
    """Three to four notes of a bar's chord above ``low`` (MIDI), close position."""
    steps = [0, 2, 4] + ([6] if rng.random() < 0.3 else [])
    pitches = []
    for step in steps:
        pitch = frame.pitch(frame.degrees[bar] + step, bar) % 12
        pitches.append(pitch + 12 * int(np.ceil((low - pitch) / 12)))
    return sorted(pitches)


def _chord_notes(rng: np.random.Generator, frame: Frame, low: float, rhythm, strum: float, hold: float) -> list[Note]:
    notes = []
    # A chord that comes again is played as before.
    voicings = {}
    for bar, chord in enumerate(zip(frame.degrees, frame.lifts, strict=True)):
        if chord not in voicings:
            voicings[chord] = _voicing(rng, frame, bar, low)
    if rng.random() < 0.4:
        # A left hand, or the low strings: the root an octave below.
        for degree, lift in voicings:
            root = (frame.pitch(degree) + lift) % 12
            voicings[degree, lift] = [root + 12 * int(np.ceil((low - 12 - root) / 12)), *voicings[degree, lift]]
    # The same pattern in every bar, some of its hits left out.
    rhythm = [each for each in rhythm if rng.random() < 0.85] or rhythm
    for bar, chord in enumerate(zip(frame.degrees, frame.lifts, strict=True)):
        for beats, length in rhythm:
            for number, pitch in enumerate(voicings[chord]):
                start = frame.time(bar, beats) + number * strum
                notes.append(Note(start, length * frame.beat * hold, pitch, rng.uniform(0.7, 1.0)))
    return notes


_CHORD_RHYTHMS = (
    ((0, 4),),
    ((0, 2), (2, 2)),
    ((0, 1), (1, 1), (2, 1), (3, 1)),
    tuple((half / 2, 0.5) for half in range(8)),
    ((0, 1), (1, 0.5), (1.5, 1), (2.5, 0.5), (3, 0.5), (3.5, 0.5)),
    tuple((0.5 + beat, 0.5) for beat in range(4)),
    ((0, 1.5), (1.5, 1.5), (3, 1)),
)


def pad(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Held chords of detuned waves, ``[samples, channels]``."""
    timbre = Timbre(
        slope=rng.uniform(0.8, 1.6),
        corner=float(np.exp(rng.uniform(np.log(600), np.log(5000)))),
        attack=rng.uniform(0.05, 0.4),
        release=0.3,
        voices=3,
        detune=rng.uniform(0.05, 0.2),
    )
    return play(rng, timbre, _chord_notes(rng, frame, rng.uniform(48, 62), ((0, 4),), 0, 0.95), studio)


def guitar(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Strummed or picked, acoustic or electric, some through a wah pedal, ``[samples, channels]``."""
    electric = rng.random() < 0.4
    timbre = Timbre(
        slope=rng.uniform(0.7, 1.1),
        decay=rng.uniform(0.4, 1.5),
        damping=rng.uniform(0.08, 0.3),
        stretch=2e-5,
        comb=rng.uniform(0.08, 0.3),
        corner=rng.uniform(2500, 6000),
        drive=rng.choice([0.0, 1.0, 3.0]) if electric else 0.0,
        resonances=() if electric else ((110, 1.5), (220, 1.5), (430, 0.8)),
    )
    rhythm = _CHORD_RHYTHMS[rng.integers(1, len(_CHORD_RHYTHMS))]
    low, strum = rng.uniform(43, 57), rng.uniform(0, 0.02)
    hold = rng.choice([0.25, 0.6, 1.0])
    position, wah = rng.uniform(-0.7, 0.7), rng.random() < 0.2
    notes = _chord_notes(rng, frame, low, rhythm, strum, hold)
    part = play(rng, timbre, notes, studio, 0.0 if wah else position)
    return _wah(rng, frame, studio, part[:, 0], position) if wah else part


def _wah(rng: np.random.Generator, frame: Frame, studio: Studio, mono: np.ndarray, position: float) -> np.ndarray:
    """A pedal that sweeps a resonance over the vowels' range in time with the beat, ``[samples, channels]``."""
    num_frames = int(frame.seconds * sound.CONTROL_RATE) + 4
    beats = (np.arange(num_frames) / sound.CONTROL_RATE - frame.start) / frame.beat
    foot = 0.5 - 0.5 * np.cos(2 * np.pi * beats / float(rng.choice([0.5, 1, 2])))
    if rng.random() < 0.3:
        foot = np.clip(0.5 + 0.4 * sound.wander(rng, num_frames, 0.4), 0, 1)
    center = (rng.uniform(350, 500) * (rng.uniform(3, 6) ** foot))[:, None]

    def response(at: np.ndarray, f: np.ndarray):
        peak = filters.resonances(center[at], (12.0,), (150.0,), f)
        return (peak / 6 * sound.band(f, 250, 2500),)

    swept = filters.moving_filter([mono.astype(np.float32)], studio.sample_rate, num_frames, response)
    return sound.pan(swept, position, studio.num_channels)


def keys(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Piano, electric piano, organ, square waves or plucks, ``[samples, channels]``."""
    timbre = (
        Timbre(slope=1.3, decay=1.2, damping=0.25, stretch=3e-4, corner=5000, release=0.1),
        Timbre(slope=2.2, decay=1.5, damping=0.6, even=0.5, corner=4000, release=0.1),
        Timbre(slope=0.6, even=1.0, corner=2500, attack=0.01, release=0.03),
        Timbre(slope=1.0, even=0.15, corner=3000, attack=0.005),
        Timbre(slope=1.0, decay=0.3, damping=0.1, corner=4000),
    )[rng.integers(5)]
    rhythm = _CHORD_RHYTHMS[rng.integers(len(_CHORD_RHYTHMS))]
    notes = _chord_notes(rng, frame, rng.uniform(50, 66), rhythm, 0.0, rng.uniform(0.5, 0.98))
    return play(rng, timbre, notes, studio, rng.uniform(-0.5, 0.5))


def supersaw(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Chords of many detuned sawtooth waves, ``[samples, channels]``."""
    timbre = Timbre(slope=1.0, corner=rng.uniform(2000, 7000), voices=5, detune=rng.uniform(0.1, 0.3), release=0.1)
    rhythm = _CHORD_RHYTHMS[rng.integers(2, len(_CHORD_RHYTHMS))]
    return play(rng, timbre, _chord_notes(rng, frame, rng.uniform(52, 66), rhythm, 0, rng.uniform(0.4, 0.95)), studio)


def arpeggio(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """The chords' notes one after another, ``[samples, channels]``."""
    timbre = Timbre(
        slope=rng.uniform(0.8, 2.0),
        even=rng.choice([0.1, 1.0]),
        decay=rng.uniform(0.1, 0.6),
        damping=rng.uniform(0, 0.3),
        corner=rng.uniform(1500, 8000),
    )
    low = rng.uniform(55, 74)
    order = rng.permutation(np.arange(8)) % 4 if rng.random() < 0.5 else np.array([0, 1, 2, 3, 2, 1, 0, 1])
    step = rng.choice([0.25, 0.5])
    notes = []
    for bar in range(len(frame.degrees)):
        voicing = _voicing(rng, frame, bar, low)
        for number, beats in enumerate(np.arange(0, 4, step)):
            member = order[number % 8]
            pitch = voicing[member % len(voicing)] + 12 * (member // len(voicing))
            notes.append(Note(frame.time(bar, beats), step * frame.beat * 0.9, pitch, rng.uniform(0.7, 1)))
    return play(rng, timbre, notes, studio, rng.uniform(-0.6, 0.6))


def ensemble(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Strings or brass: many players, slow attacks, fixed resonances of their bodies, ``[samples, channels]``."""
    brass = rng.random() < 0.4
    timbre = Timbre(
        slope=rng.uniform(0.7, 1.0),
        corner=rng.uniform(1500, 3500),
        attack=0.03 if brass else rng.uniform(0.06, 0.2),
        release=0.06 if brass else 0.2,
        voices=4,
        detune=rng.uniform(0.05, 0.15),
        resonances=((500, 1.5), (1200, 1.5)) if brass else ((300, 1.0), (700, 1.0), (3000, 1.5)),
    )
    rhythm = _CHORD_RHYTHMS[rng.choice([0, 1, 6])]
    hold = rng.uniform(0.3, 0.6) if brass else 0.95
    return play(rng, timbre, _chord_notes(rng, frame, rng.uniform(50, 64), rhythm, 0, hold), studio)
