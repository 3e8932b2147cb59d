"""Leads of the procedural songs: melodies of one voice that is not a voice.

What a separator takes for singing: glides, vibrato, phrases that breathe, formants that move. What gives
these away is that their sources are too regular, that they speak no consonants, and that their formants
stand still or move by a wheel.
"""

import dataclasses
import itertools

import numpy as np

from diffvs_jax.data.synthetic import filters, sound, soundfont
from diffvs_jax.data.synthetic.frame import Frame, Note, Studio
from diffvs_jax.data.synthetic.phonemes import VOWELS
from diffvs_jax.data.synthetic.sound import CONTROL_RATE
from diffvs_jax.data.synthetic.tones import Timbre, partial_levels


@dataclasses.dataclass(frozen=True)
class Line:
    """Control tracks of a melody, ``[frames]`` at ``CONTROL_RATE``.

    Attributes:
      pitch: MIDI semitones.
      gate: loudness, 0..1.
      bright: how far a filter is open, 0..1; it closes after each attack.
      word: number of the note, counted up.
    """

    pitch: np.ndarray
    gate: np.ndarray
    bright: np.ndarray
    word: np.ndarray


@dataclasses.dataclass(frozen=True)
class Habit:
    """How an instrument plays: degrees of its lowest and highest note, vibrato (semitones), times (s)."""

    low: int
    high: int
    vibrato: float
    glide: float
    attack: float
    closing: float


def write_line(rng: np.random.Generator, frame: Frame, habit: Habit) -> Line:
    """A melody in phrases of one to five seconds with rests, often a motif over and over."""
    num_frames = int(frame.seconds * CONTROL_RATE) + 4
    pitch, gate, bright, word = (np.zeros(num_frames) for _ in range(4))
    degree = int(rng.integers(habit.low, habit.high))
    motif = [
        (float(rng.choice([0.25, 0.5, 0.5, 1, 1, 2])), int(rng.choice([-3, -2, -1, -1, 1, 1, 2, 3]))) for _ in range(6)
    ]
    repeating = rng.random() < 0.5
    pitch[:] = frame.pitch(degree)
    now, number = frame.start, 0
    phrase_end = now + rng.uniform(1, 5)
    while now < frame.seconds:
        beats, step = motif[number % 6 if repeating else rng.integers(6)]
        degree = degree + step
        if not habit.low <= degree <= habit.high:
            degree -= 2 * step
        first, last = (max(round(each * CONTROL_RATE), 0) for each in (now, now + 0.93 * beats * frame.beat))
        pitch[first:] = frame.pitch(degree, int(frame.bar_at(now)))
        word[first:] = number
        if rng.random() < 0.9:
            gate[first:last] = rng.uniform(0.7, 1.0)
            bright[first:] = np.exp(-np.arange(num_frames - min(first, num_frames)) / (habit.closing * CONTROL_RATE))
        now += beats * frame.beat
        number += 1
        if now > phrase_end:
            now += frame.beat * float(rng.choice([0, 1, 2, 4]))
            phrase_end = now + rng.uniform(1, 5)
    late = sound.smooth((gate > 0).astype(float), 0.1) ** 2
    rate = rng.uniform(4.5, 6.5) * (1 + 0.05 * sound.wander(rng, num_frames, 0.5))
    swing = habit.vibrato * late * np.sin(2 * np.pi * np.cumsum(rate) / CONTROL_RATE)
    return Line(sound.smooth(pitch, habit.glide) + swing, sound.smooth(gate, habit.attack), bright, word)


def _waves(
    rng: np.random.Generator, line: Line, timbre: Timbre, studio: Studio
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A timbre along a line: as it is, duller, ``[samples]`` each, and the line's gate."""
    hertz = sound.midi_to_hz(line.pitch)
    order = np.arange(1, min(max(int(0.45 * studio.sample_rate / hertz.max()), 1), 250) + 1)
    levels = partial_levels(timbre, float(np.median(hertz)) * order, order)
    levels = levels * np.exp(2j * np.pi * rng.random(len(order)))
    times = np.arange(studio.num_samples) * (CONTROL_RATE / studio.sample_rate)
    phase = np.cumsum(np.interp(times, np.arange(len(hertz)), hertz)) / studio.sample_rate
    gate = sound.upsample(line.gate, studio.num_samples, studio.sample_rate)
    return sound.wavetable(levels, phase), sound.wavetable(levels / order, phase), gate


def _sampled(line: Line, position: float, studio: Studio) -> np.ndarray:
    """A line's notes as the studio's soundfont plays them, glides and vibrato included, ``[samples, channels]``."""
    sounds = np.where(line.gate > 0.35, line.word + 1, 0)
    edges = np.flatnonzero(np.diff(sounds, prepend=0, append=0))
    notes, wheel = [], np.zeros(len(sounds))
    for first, last in itertools.pairwise(edges):
        if sounds[first]:
            pitch = round(float(np.median(line.pitch[first:last])))
            times = first / CONTROL_RATE, (last - first) / CONTROL_RATE
            notes.append(Note(*times, pitch, float(line.gate[first:last].max())))
            wheel[first:] = line.pitch[first:] - pitch
    return soundfont.play(notes, studio, position, wheel)


def synthesiser(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """A synthesiser's lead: sawtooth or square, glides, a filter that closes after each attack."""
    habit = Habit(
        low=int(rng.choice([20, 26])),
        high=44,
        vibrato=float(rng.choice([0.0, 0.15, 0.4, 0.8])),
        glide=float(rng.choice([0.001, 0.004, 0.03])),
        attack=rng.uniform(0.004, 0.02),
        closing=float(rng.choice([0.1, 0.3, 10.0])),
    )
    timbre = Timbre(
        slope=rng.uniform(0.6, 2.0),
        even=rng.choice([0.05, 1.0]),
        corner=rng.uniform(2000, 8000),
        resonances=((rng.uniform(400, 1500), rng.uniform(1, 5)),) if rng.random() < 0.5 else (),
    )
    line = write_line(rng, frame, habit)
    if studio.program is not None:
        return _sampled(line, rng.uniform(-0.4, 0.4), studio)
    clear, dull, gate = _waves(rng, line, timbre, studio)
    bright = sound.upsample(line.bright, studio.num_samples, studio.sample_rate)
    return sound.pan(gate * (bright * clear + (1 - bright) * dull), rng.uniform(-0.4, 0.4), studio.num_channels)


def soloist(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Flute, violin, saxophone, clarinet, theremin, a guitar that sings: with vibrato, breath or overdrive."""
    violin = ((450, 2), (1100, 2), (2800, 2))
    # Timbre, degrees of the range, vibrato, glide, attack, breath, drive.
    timbre, low, high, vibrato, glide, attack, breath, drive = (
        (Timbre(slope=2.2, corner=4000), 33, 46, 0.2, 0.01, 0.04, 0.3, 0.0),
        (Timbre(slope=1.0, corner=4500, resonances=violin), 28, 45, 0.35, 0.03, 0.05, 0.04, 0.0),
        (Timbre(slope=0.8, corner=2500, resonances=((700, 3), (1500, 2))), 24, 39, 0.3, 0.02, 0.03, 0.1, 1.0),
        (Timbre(slope=1.1, even=0.1, corner=2500), 26, 42, 0.1, 0.006, 0.03, 0.05, 0.0),
        (Timbre(slope=3.0, corner=3000), 30, 46, 0.7, 0.08, 0.06, 0.0, 0.0),
        (Timbre(slope=1.0, corner=2500, comb=0.2), 26, 43, 0.4, 0.03, 0.008, 0.0, 4.0),
    )[rng.integers(6)]  # fmt: skip
    habit = Habit(low, high, vibrato * rng.uniform(0.3, 1.5), glide, attack, 10.0)
    line = write_line(rng, frame, habit)
    if studio.program is not None:
        return _sampled(line, rng.uniform(-0.5, 0.5), studio)
    tone, _, gate = _waves(rng, line, timbre, studio)
    tone /= np.sqrt(np.mean(tone**2)) + 1e-9
    if drive:
        tone = np.tanh(drive * tone)
    air = sound.shaped_noise(rng, studio.num_samples, studio.sample_rate, 800, 5000)
    return sound.pan(gate * (tone + breath * air), rng.uniform(-0.5, 0.5), studio.num_channels).astype(np.float32)


def talk_box(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """A buzzing source through a vowel's formants, which change from note to note or swing with a wheel."""
    habit = Habit(
        low=20,
        high=40,
        vibrato=float(rng.choice([0.0, 0.2, 0.5])),
        glide=float(rng.choice([0.002, 0.02, 0.05])),
        attack=rng.uniform(0.004, 0.04),
        closing=10.0,
    )
    line = write_line(rng, frame, habit)
    timbre = Timbre(slope=rng.uniform(0.7, 1.4), even=rng.choice([0.1, 1.0]), corner=5000)
    buzz, _, gate = _waves(rng, line, timbre, studio)
    vowels = VOWELS[rng.integers(0, len(VOWELS), 4)][:, :3]
    num_frames = len(line.pitch)
    if rng.random() < 0.5:
        place = line.word % 4
    else:
        beats = (np.arange(num_frames) / CONTROL_RATE - frame.start) / frame.beat
        place = 1.5 - 1.5 * np.cos(2 * np.pi * beats / float(rng.choice([1, 2, 4, 8])))
    place = sound.smooth(place, 0.02)
    scale = rng.uniform(0.85, 1.3)
    formants = scale * np.stack([np.interp(place, np.arange(4), vowels[:, each]) for each in range(3)], axis=1)
    peaks = np.array([8.0, 6.0, 4.0]) ** rng.uniform(0.7, 1.2)

    def response(at: np.ndarray, f: np.ndarray):
        return (filters.resonances(formants[at], peaks, (90.0, 110.0, 150.0), f) / np.sqrt(1 + (f / 1500) ** 2),)

    mono = filters.moving_filter([(gate * buzz).astype(np.float32)], studio.sample_rate, num_frames, response)
    return sound.pan(mono, rng.uniform(-0.4, 0.4), studio.num_channels)
