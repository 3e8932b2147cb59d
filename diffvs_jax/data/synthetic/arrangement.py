"""Who plays when: the gains with which a song's sections let instruments in and out."""

import numpy as np

from diffvs_jax.data.synthetic import sound
from diffvs_jax.data.synthetic.frame import Frame, Studio
from diffvs_jax.data.synthetic.sound import CONTROL_RATE


def draw_presence(rng: np.random.Generator, frame: Frame, eagerness: float = 0.0) -> np.ndarray:
    """In which bars an instrument plays, bool ``[bars]``; alike in sections of one name.

    Args:
      rng: source of the choice.
      frame: the song.
      eagerness: added to every section's energy, which is the chance to play; nobody plays where it is 0.
    """
    names = sorted({section.name for section in frame.sections})
    luck = dict(zip(names, rng.random(len(names)), strict=True))
    # Some enter in the middle of sections.
    late = rng.random() < 0.15 and eagerness < 1
    plays = []
    for bar, section in enumerate(frame.sections):
        on = section.energy > 0 and luck[section.name] < section.energy + eagerness
        plays.append(on and not (late and 2 * (bar - section.first) < section.bars))
    return np.array(plays)


def gate(frame: Frame, studio: Studio, plays: np.ndarray, stops: bool = True) -> np.ndarray:
    """Gain ``[samples, 1]`` that lets an instrument through in the bars in which it plays."""
    control = np.arange(int(frame.seconds * CONTROL_RATE) + 4) / CONTROL_RATE
    gain = plays[frame.bar_at(control)].astype(float)
    for start, end in frame.stops if stops else ():
        gain[(control >= start) & (control < end)] = 0.0
    return sound.upsample(sound.smooth(gain, 0.008), studio.num_samples, studio.sample_rate)[:, None]


def pumping(rng: np.random.Generator, frame: Frame, studio: Studio, kicks: np.ndarray) -> np.ndarray:
    """Gain ``[samples, 1]`` of a compressor that ducks under kicks at these times in seconds."""
    control = np.arange(int(frame.seconds * CONTROL_RATE) + 4) / CONTROL_RATE
    since = control - kicks[np.maximum(np.searchsorted(kicks, control, side="right") - 1, 0)]
    since = np.where(since < 0, 1e3, since)
    duck = 1 - rng.uniform(0.3, 0.95) * np.exp(-since / (rng.uniform(0.2, 0.5) * frame.beat))
    return sound.upsample(duck, studio.num_samples, studio.sample_rate)[:, None]


def sweep(rng: np.random.Generator, frame: Frame, studio: Studio, audio: np.ndarray) -> np.ndarray:
    """``[samples, channels]`` whose filter opens over a section, or over and over, as a disc jockey's does."""
    dull = -9.0 * np.maximum(np.arange(10) - rng.integers(3, 5), 0)
    closed = sound.process(audio, studio.sample_rate, dull if rng.random() < 0.7 else dull[::-1])
    control = np.arange(int(frame.seconds * CONTROL_RATE) + 4) / CONTROL_RATE
    bars = (control - frame.start) / frame.bar
    if rng.random() < 0.5:
        span = float(rng.choice([0.5, 1, 2, 4]))
        opened = 0.5 - 0.5 * np.cos(2 * np.pi * bars / span)
    else:
        sections = [frame.sections[bar] for bar in frame.bar_at(control)]
        first, length = (np.array([getattr(each, name) for each in sections]) for name in ("first", "bars"))
        opened = np.clip((bars - first) / length, 0, 1)
    mix = sound.upsample(opened, studio.num_samples, studio.sample_rate)[:, None]
    return mix * audio + (1 - mix) * closed
