"""The bass of the procedural songs: strings, synthesisers, and the long kicks that electronic songs call 808."""

import numpy as np

from diffvs_jax.data.synthetic import arrangement, sound
from diffvs_jax.data.synthetic.frame import Frame, Note, Studio
from diffvs_jax.data.synthetic.sound import CONTROL_RATE
from diffvs_jax.data.synthetic.tones import Timbre, play

_RHYTHMS = (
    ((0, 4),),
    ((0, 1.5), (1.5, 0.5), (2, 2)),
    tuple((half / 2, 0.5) for half in range(8)),
    ((0, 1), (1, 1), (2, 1), (3, 1)),
    tuple((0.5 + beat, 0.5) for beat in range(4)),
    ((0, 0.75), (0.75, 0.75), (1.5, 1), (2.5, 0.5), (3, 1)),
    ((0, 2.5), (2.5, 1.5)),
    tuple((quarter / 4, 0.25) for quarter in range(16) if quarter % 4),
)


def render_bass(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Bass line on the chords' roots, ``[samples, channels]``; silent in some songs and sections."""
    if rng.random() < 0.1:
        return studio.silence()
    plays = arrangement.draw_presence(rng, frame, 0.25)
    notes = _write_line(rng, frame)
    if rng.random() < 0.25:
        stem = _sub(rng, frame, studio, notes)
    else:
        timbre = (
            Timbre(slope=2.5, corner=400, attack=0.008),
            Timbre(slope=1.0, corner=rng.uniform(250, 900), decay=0.8, damping=0.05),
            Timbre(slope=1.0, even=0.1, corner=rng.uniform(300, 1200)),
            Timbre(slope=1.2, corner=1800, decay=0.7, damping=0.25, comb=0.13),
            Timbre(slope=1.0, corner=700, voices=3, detune=0.12),
            Timbre(slope=2.0, corner=600, decay=0.9, drive=1.2),
            Timbre(slope=0.9, corner=rng.uniform(1200, 3000), voices=3, detune=0.25, drive=2.0),
        )[rng.integers(7)]
        stem = play(rng, timbre, notes, studio)
    if rng.random() < 0.15:
        stem = _wobble(rng, frame, studio, stem)
    return stem * arrangement.gate(frame, studio, plays)


def _write_line(rng: np.random.Generator, frame: Frame) -> list[Note]:
    rhythm = _RHYTHMS[rng.integers(len(_RHYTHMS))]
    busy = rng.random() < 0.4
    short = rng.uniform(0.6, 0.98)
    notes = []
    for bar, degree in enumerate(frame.degrees):
        for beats, length in rhythm:
            step = degree + (int(rng.choice([0, 0, 4, 7])) if busy else 0)
            pitch = frame.pitch(step, bar) + 24
            pitch += 12 * (pitch < 28) - 12 * (pitch > 48)
            notes.append(Note(frame.time(bar, beats), length * frame.beat * short, pitch, rng.uniform(0.85, 1.0)))
    return notes


def _sub(rng: np.random.Generator, frame: Frame, studio: Studio, notes: list[Note]) -> np.ndarray:
    """A sine that falls into its note, glides, rings out and is overdriven, ``[samples, channels]``."""
    num_frames = int(frame.seconds * CONTROL_RATE) + 4
    pitch, level = np.full(num_frames, notes[0].pitch, float), np.zeros(num_frames)
    ring = float(rng.choice([0.3, 0.8, 2.0]))
    for note in notes:
        first = max(round(note.start * CONTROL_RATE), 0)
        pitch[first:] = note.pitch
        time = np.arange(num_frames - min(first, num_frames)) / CONTROL_RATE
        level[first:] = note.level * np.exp(-time / ring)
        pitch[first:] += rng.uniform(4, 14) * np.exp(-time / 0.02)
    hertz = sound.midi_to_hz(sound.smooth(pitch, float(rng.choice([0.002, 0.03]))))
    times = np.arange(studio.num_samples) * (CONTROL_RATE / studio.sample_rate)
    phase = np.cumsum(np.interp(times, np.arange(num_frames), hertz)) / studio.sample_rate
    tone = np.sin(2 * np.pi * phase) * sound.upsample(
        sound.smooth(level, 0.004), studio.num_samples, studio.sample_rate
    )
    return sound.pan(np.tanh(rng.uniform(0.8, 4.0) * tone).astype(np.float32), 0.0, studio.num_channels)


def _wobble(rng: np.random.Generator, frame: Frame, studio: Studio, stem: np.ndarray) -> np.ndarray:
    """A filter that opens and closes in time."""
    dull = sound.process(stem, studio.sample_rate, np.interp(np.arange(10), [0, 2, 3, 9], [0, 0, -9, -60]))
    time = np.arange(studio.num_samples) / studio.sample_rate - frame.start
    opened = 0.5 - 0.5 * np.cos(2 * np.pi * time / (frame.beat * float(rng.choice([1 / 3, 0.5, 1, 2]))))
    opened = opened[:, None].astype(np.float32)
    return opened * stem + (1 - opened) * dull
