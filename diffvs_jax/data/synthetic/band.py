"""The band of the procedural songs: bass and harmony instruments.

Its sounds differ from a voice in the way real ones do: steady pitch, struck or gated onsets, spectra
that decay but whose resonances stay where they are.
"""

import numpy as np

from diffvs_jax.data.synthetic import sound
from diffvs_jax.data.synthetic.sound import CONTROL_RATE, Frame, Studio
from diffvs_jax.data.synthetic.tones import Note, Timbre, partial_levels, play

_BASS_RHYTHMS = (
    ((0, 4),),
    ((0, 1.5), (1.5, 0.5), (2, 2)),
    tuple((half / 2, 0.5) for half in range(8)),
    ((0, 1), (1, 1), (2, 1), (3, 1)),
    tuple((0.5 + beat, 0.5) for beat in range(4)),
    ((0, 0.75), (0.75, 0.75), (1.5, 1), (2.5, 0.5), (3, 1)),
)


def render_bass(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Bass line on the chords' roots, ``[samples, channels]``."""
    if rng.random() < 0.06:
        return studio.silence()
    timbre = (
        Timbre(slope=2.5, corner=400, attack=0.008),
        Timbre(slope=1.0, corner=rng.uniform(250, 900), decay=0.8, damping=0.05),
        Timbre(slope=1.0, even=0.1, corner=rng.uniform(300, 1200)),
        Timbre(slope=1.2, corner=1800, decay=0.7, damping=0.25, comb=0.13),
        Timbre(slope=1.0, corner=700, voices=3, detune=0.12),
        Timbre(slope=2.0, corner=600, decay=0.9, drive=1.2),
    )[rng.integers(6)]
    rhythm = _BASS_RHYTHMS[rng.integers(len(_BASS_RHYTHMS))]
    busy = rng.random() < 0.4
    short = rng.uniform(0.6, 0.98)
    notes = []
    for bar, degree in enumerate(frame.degrees):
        for beats, length in rhythm:
            step = degree + (int(rng.choice([0, 0, 4, 7])) if busy else 0)
            pitch = frame.pitch(step) + 24
            pitch += 12 * (pitch < 28) - 12 * (pitch > 48)
            notes.append(Note(frame.time(bar, beats), length * frame.beat * short, pitch, rng.uniform(0.85, 1.0)))
    return play(rng, timbre, notes, studio)


# Other instruments --------------------------------------------------------------------------------


def _voicing(rng: np.random.Generator, frame: Frame, degree: int, low: float) -> list[int]:
    """Three to four notes of a chord above ``low`` (MIDI), close position."""
    steps = [0, 2, 4] + ([6] if rng.random() < 0.3 else [])
    pitches = []
    for step in steps:
        pitch = frame.pitch(degree + step) % 12
        pitches.append(pitch + 12 * int(np.ceil((low - pitch) / 12)))
    return sorted(pitches)


def _chord_notes(rng: np.random.Generator, frame: Frame, low: float, rhythm, strum: float, hold: float) -> list[Note]:
    notes = []
    voicings = {degree: _voicing(rng, frame, degree, low) for degree in sorted(set(frame.degrees))}
    # The same pattern in every bar, some of its hits left out.
    rhythm = [each for each in rhythm if rng.random() < 0.85] or rhythm
    for bar, degree in enumerate(frame.degrees):
        for beats, length in rhythm:
            for number, pitch in enumerate(voicings[degree]):
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


def _pad(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    timbre = Timbre(
        slope=rng.uniform(0.8, 1.6),
        corner=float(np.exp(rng.uniform(np.log(600), np.log(5000)))),
        attack=rng.uniform(0.05, 0.4),
        release=0.3,
        voices=3,
        detune=rng.uniform(0.05, 0.2),
    )
    return play(rng, timbre, _chord_notes(rng, frame, rng.uniform(48, 62), ((0, 4),), 0, 0.95), studio)


def _guitar(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
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
    return play(rng, timbre, _chord_notes(rng, frame, low, rhythm, strum, hold), studio, rng.uniform(-0.7, 0.7))


def _keys(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
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


def _supersaw(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    timbre = Timbre(slope=1.0, corner=rng.uniform(2000, 7000), voices=5, detune=rng.uniform(0.1, 0.3), release=0.1)
    rhythm = _CHORD_RHYTHMS[rng.integers(2, len(_CHORD_RHYTHMS))]
    return play(rng, timbre, _chord_notes(rng, frame, rng.uniform(52, 66), rhythm, 0, rng.uniform(0.4, 0.95)), studio)


def _arpeggio(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
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
    for bar, degree in enumerate(frame.degrees):
        voicing = _voicing(rng, frame, degree, low)
        for number, beats in enumerate(np.arange(0, 4, step)):
            member = order[number % 8]
            pitch = voicing[member % len(voicing)] + 12 * (member // len(voicing))
            notes.append(Note(frame.time(bar, beats), step * frame.beat * 0.9, pitch, rng.uniform(0.7, 1)))
    return play(rng, timbre, notes, studio, rng.uniform(-0.6, 0.6))


def _section(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Strings or brass: many players, slow attacks, the fixed resonances of their bodies."""
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


def _lead(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """A monophonic melody which phrases like a singer (glides, vibrato) with formants that stand still."""
    pitch, gate, bright = _lead_tracks(rng, frame)
    hertz = sound.midi_to_hz(pitch)
    order = np.arange(1, max(int(0.45 * studio.sample_rate / hertz.max()), 1) + 1)
    timbre = Timbre(
        slope=rng.uniform(0.6, 2.0),
        even=rng.choice([0.05, 1.0]),
        corner=rng.uniform(2000, 8000),
        resonances=((rng.uniform(400, 1500), rng.uniform(1, 5)),) if rng.random() < 0.5 else (),
    )
    levels = partial_levels(timbre, float(np.median(hertz)) * order, order)
    levels = levels * np.exp(2j * np.pi * rng.random(len(order)))
    times = np.arange(studio.num_samples) * (CONTROL_RATE / studio.sample_rate)
    phase = np.cumsum(np.interp(times, np.arange(len(hertz)), hertz)) / studio.sample_rate
    gate, bright = (sound.upsample(each, studio.num_samples, studio.sample_rate) for each in (gate, bright))
    # A synthesiser's filter closes after each attack: two waveforms, faded from bright to dull.
    tone = bright * sound.wavetable(levels, phase) + (1 - bright) * sound.wavetable(levels / order, phase)
    return sound.pan(gate * tone, rng.uniform(-0.4, 0.4), studio.num_channels)


def _lead_tracks(rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitch (MIDI), loudness and brightness (0..1) of a lead, ``[frames]`` at ``CONTROL_RATE``."""
    num_frames = int(frame.seconds * CONTROL_RATE) + 4
    pitch, gate, bright = np.zeros(num_frames), np.zeros(num_frames), np.zeros(num_frames)
    degree = int(rng.integers(28, 42))
    pitch[:] = frame.pitch(degree)
    closing = rng.choice([0.1, 0.3, 10.0])
    now = frame.start
    phrase_end = now + rng.uniform(1, 5)
    while now < frame.seconds:
        length = frame.beat * float(rng.choice([0.25, 0.5, 0.5, 1, 1, 2]))
        degree = int(np.clip(degree + rng.choice([-3, -2, -1, -1, 1, 1, 2, 3]), 26, 44))
        first, last = (max(round(each * CONTROL_RATE), 0) for each in (now, now + 0.93 * length))
        pitch[first:] = frame.pitch(degree)
        if rng.random() < 0.9:
            gate[first:last] = rng.uniform(0.7, 1.0)
            bright[first:] = np.exp(-np.arange(num_frames - min(first, num_frames)) / (closing * CONTROL_RATE))
        now += length
        if now > phrase_end:
            now += frame.beat * float(rng.choice([0, 1, 2, 4]))
            phrase_end = now + rng.uniform(1, 5)
    vibrato = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * np.arange(num_frames) / CONTROL_RATE)
    depth = rng.choice([0.0, 0.0, 0.15, 0.4])
    glide = rng.choice([0.001, 0.004, 0.03])
    return sound.smooth(pitch, glide) + depth * vibrato, sound.smooth(gate, rng.uniform(0.004, 0.02)), bright


def _ambience(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Noise that swells: risers, sea, vinyl."""
    low = float(np.exp(rng.uniform(np.log(300), np.log(5000))))
    noise = sound.shaped_noise(rng, studio.num_samples, studio.sample_rate, low, low * rng.uniform(1.5, 4))
    time = np.arange(studio.num_samples) / studio.sample_rate
    period = frame.beat * rng.choice([4, 8, 16])
    swell = ((time - frame.start) / period) % 1.0
    return sound.pan((noise * swell**2).astype(np.float32), 0, studio.num_channels)


_PLAYERS = (_pad, _guitar, _keys, _supersaw, _arpeggio, _section, _lead, _ambience)
_CHANCES = np.array([0.3, 0.4, 0.35, 0.2, 0.3, 0.2, 0.5, 0.15])
# Records carve the room for the voice out of the instruments' low middle and keep their top.
_OTHER_GAINS_DB = np.array([0.0, 0, -1, -3, -3, -0.5, 1, 1.5, 1.5, 1])


def render_other(rng: np.random.Generator, frame: Frame, studio: Studio, kicks: np.ndarray) -> np.ndarray:
    """Two or more of pad, guitar, keys, synthesisers, strings and a lead, ``[samples, channels]``.

    ``kicks`` are the times in seconds at which a pumping compressor ducks.
    """
    playing = rng.random(len(_PLAYERS)) < _CHANCES
    playing[rng.choice(6, 2, replace=False)] = True
    mix = studio.silence()
    chosen = np.flatnonzero(playing)
    for number, (player, part_rng) in enumerate(zip(chosen, rng.spawn(len(chosen)), strict=True)):
        level = rng.normal(0, 4) - (14 if _PLAYERS[player] is _ambience else 0)
        gains = sound.random_equaliser(rng, 3.0) + _OTHER_GAINS_DB
        low = rng.uniform(30, 200)
        part = sound.process(_PLAYERS[player](part_rng, frame, studio), studio.sample_rate, gains, low=low)
        loud = np.sqrt(np.mean(part**2)) + 1e-9
        part *= np.float32(10 ** (level / 20) / loud)
        if number and rng.random() < 0.4:
            part *= _entries(rng, frame, studio)
        mix += part
    if len(kicks) and rng.random() < 0.25:
        mix *= _pumping(rng, frame, studio, kicks)
    return mix


def _entries(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Gain ``[samples, 1]`` of an instrument that rests for some bars."""
    span = int(rng.choice([1, 2, 4]))
    plays = np.repeat(rng.random(len(frame.degrees) // span + 1) < 0.6, span)
    control = np.arange(int(frame.seconds * CONTROL_RATE) + 4) / CONTROL_RATE
    bars = np.clip((control - frame.start) / (4 * frame.beat), 0, len(plays) - 1).astype(int)
    gain = sound.smooth(plays[bars].astype(float), 0.01)
    return sound.upsample(gain, studio.num_samples, studio.sample_rate)[:, None]


def _pumping(rng: np.random.Generator, frame: Frame, studio: Studio, kicks: np.ndarray) -> np.ndarray:
    """Gain ``[samples, 1]`` of a compressor that ducks under the kick."""
    control = np.arange(int(frame.seconds * CONTROL_RATE) + 4) / CONTROL_RATE
    since = control - kicks[np.maximum(np.searchsorted(kicks, control, side="right") - 1, 0)]
    duck = 1 - rng.uniform(0.3, 0.8) * np.exp(-np.maximum(since, 0) / (0.4 * frame.beat))
    return sound.upsample(duck, studio.num_samples, studio.sample_rate)[:, None]
