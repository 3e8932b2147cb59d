"""Who sings in the procedural songs: registers, vocal tracts, habits."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Singer:
    """A voice: its register, tract and habits.

    Attributes:
      center: middle of its range, MIDI semitones.
      formant_scale: factor on the formants of an adult male.
      breath: level of the breath in a vowel, 1 is as strong as the pulses below 1 kHz.
      tilt_corner: Hz above which the glottal source falls.
      tilt_order: how steeply, 1 is 6 dB/octave.
      resonance: exponent on the strength of all formants.
      presence: factor on the strength of the third to fifth formant.
      vibrato_rate: Hz.
      vibrato_depth: semitones.
      glide: seconds within which the pitch moves between notes.
      jitter: random deviation of the pitch, semitones.
      scoop: semitones below the note at which phrases begin, at most.
      consonants: factor on the noise of consonants.
      rasp: depth of the modulation at half the pitch of a rough voice.
      dynamics: standard deviation in dB of the loudness between syllables.
      spoken: raps or speaks; the pitch glides.
      warmth: how much the lowest harmonics exceed the tilt, as a share.
      runs: chance that a long note ends in a run.
      whispers: no pulses, breath alone.
    """

    center: float
    formant_scale: float
    breath: float
    tilt_corner: float
    tilt_order: float
    resonance: float
    presence: float
    vibrato_rate: float
    vibrato_depth: float
    glide: float
    jitter: float
    scoop: float
    consonants: float
    rasp: float
    dynamics: float
    spoken: bool
    warmth: float = 0.0
    runs: float = 0.0
    whispers: bool = False


def draw_singer(rng: np.random.Generator) -> Singer:
    """A random singer: man, woman or child; sometimes rapping, with a corrected pitch, or breathy and close."""
    kind = rng.random()
    spoken = rng.random() < 0.12
    tuned = not spoken and rng.random() < 0.3
    close = rng.random() < 0.15
    if kind < 0.52:
        center, scale = rng.uniform(43, 58), rng.uniform(0.86, 1.08)
    elif kind < 0.95:
        center, scale = rng.uniform(55, 69), rng.uniform(1.04, 1.25)
    else:
        center, scale = rng.uniform(62, 74), rng.uniform(1.2, 1.4)
    breath = float(np.exp(rng.uniform(np.log(0.02), np.log(0.3))))
    return Singer(
        center=center - (5 if spoken else 0),
        formant_scale=scale,
        breath=rng.uniform(0.3, 0.8) if close else breath,
        tilt_corner=rng.uniform(180, 700),
        tilt_order=rng.uniform(1.2, 1.9) if close else rng.uniform(0.8, 1.5),
        resonance=rng.uniform(0.6, 1.2),
        presence=rng.uniform(0.3, 1.0),
        vibrato_rate=rng.uniform(4.6, 6.6),
        vibrato_depth=0.03 if tuned else float(rng.choice([0.05, 0.15, 0.3, 0.5, 0.8])),
        glide=rng.choice([0.002, 0.006, 0.012]) if tuned else rng.uniform(0.015, 0.07),
        jitter=0.02 if tuned else rng.uniform(0.03, 0.12),
        scoop=0.0 if tuned else rng.uniform(0, 2.5),
        consonants=float(np.exp(rng.normal(0, 0.4))),
        rasp=rng.uniform(0.1, 0.5) if rng.random() < 0.2 else 0.0,
        dynamics=rng.uniform(0.8, 3.5),
        spoken=spoken,
        warmth=rng.uniform(0.5, 3.5),
        runs=float(rng.choice([0.0, 0.15, 0.5], p=[0.5, 0.3, 0.2])),
        whispers=bool(rng.random() < 0.01),
    )
