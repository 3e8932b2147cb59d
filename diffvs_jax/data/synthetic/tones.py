"""Pitched sounds of the procedural songs: struck, plucked or held notes made of partials."""

import dataclasses

import numpy as np

from diffvs_jax.data.synthetic import sound, soundfont
from diffvs_jax.data.synthetic.frame import Note, Studio


@dataclasses.dataclass(frozen=True)
class Timbre:
    """A struck, plucked or held sound made of partials.

    Attributes:
      slope: amplitude of partial n is ``n ** -slope``.
      even: level of the even partials.
      decay: seconds in which the fundamental falls by e.
      damping: how much faster high partials decay: the rate grows by this share per partial.
      stretch: inharmonicity of a stiff string.
      attack: seconds.
      release: seconds.
      voices: detuned copies.
      detune: spread of the copies in semitones.
      corner: Hz of a low-pass of 12 dB/octave.
      comb: position at which a string is plucked, share of its length; 0 for none.
      drive: distortion, 0 for none.
      resonances: fixed resonances (Hz, gain) of a body.
    """

    slope: float = 1.0
    even: float = 1.0
    decay: float = 1e3
    damping: float = 0.0
    stretch: float = 0.0
    attack: float = 0.003
    release: float = 0.05
    voices: int = 1
    detune: float = 0.0
    corner: float = 12_000.0
    comb: float = 0.0
    drive: float = 0.0
    resonances: tuple[tuple[float, float], ...] = ()


def partial_levels(timbre: Timbre, hertz: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Amplitudes of partials of numbers ``order`` at frequencies ``hertz``, both ``[partials]``."""
    levels = order**-timbre.slope * np.where(order % 2 == 0, timbre.even, 1.0)
    if timbre.comb:
        levels = levels * np.sin(np.pi * order * timbre.comb)
    for center, gain in timbre.resonances:
        levels = levels * (1 + gain * np.exp(-8 * np.log2(hertz / center) ** 2))
    return levels / (1 + (hertz / timbre.corner) ** 2)


def play_note(rng: np.random.Generator, timbre: Timbre, pitch: float, length: float, studio: Studio) -> np.ndarray:
    """One note of a timbre, ``[samples, channels]``; channels differ in phase where copies are detuned."""
    count = studio.count(length + timbre.release)
    fundamental = float(sound.midi_to_hz(pitch))
    top = min(0.45 * studio.sample_rate, 5 * timbre.corner)
    order = np.arange(1, max(min(int(top / fundamental), 120), 1) + 1)
    offsets = np.linspace(-1, 1, timbre.voices) * timbre.detune if timbre.voices > 1 else np.zeros(1)
    ratios = 2 ** (offsets / 12)
    hertz = fundamental * order * np.sqrt(1 + timbre.stretch * order**2)
    levels = np.tile(partial_levels(timbre, hertz, order), timbre.voices) / np.sqrt(timbre.voices)
    frequencies = (ratios[:, None] * hertz).reshape(-1)
    decays = np.tile((1 + timbre.damping * (order - 1)) / timbre.decay, timbre.voices)
    wide = timbre.voices > 1 and studio.num_channels > 1
    channels = []
    for _ in range(studio.num_channels if wide else 1):
        phases = np.exp(2j * np.pi * rng.random(len(frequencies)))
        channels.append(sound.decaying_partials(frequencies, levels * phases, decays, count, studio.sample_rate))
    note = np.stack(channels, axis=1)
    time = np.arange(count) / studio.sample_rate
    envelope = np.minimum(1, time / timbre.attack) * np.clip((time[-1] - time) / timbre.release, 0, 1)
    return note * envelope.astype(np.float32)[:, None]


def play(rng: np.random.Generator, timbre: Timbre, notes: list[Note], studio: Studio, position=0.0) -> np.ndarray:
    """All notes of an instrument, ``[samples, channels]``; equal notes are rendered once, or a soundfont plays all."""
    if studio.program is not None:
        return soundfont.play(notes, studio, position)
    mix = studio.silence()
    cache: dict[tuple[float, int], np.ndarray] = {}
    for note in notes:
        key = (note.pitch, round(note.length * 50))
        if key not in cache:
            tone = play_note(rng, timbre, note.pitch, note.length, studio)
            if tone.shape[1] < studio.num_channels:
                tone = sound.pan(tone[:, 0], position, studio.num_channels)
            cache[key] = tone.astype(np.float32)
        sound.add_at(mix, cache[key] * np.float32(note.level), round(note.start * studio.sample_rate))
    if timbre.drive:
        loud = np.sqrt(np.mean(mix**2)) + 1e-9
        mix = np.tanh(mix * (timbre.drive / loud)).astype(np.float32)
    return mix
