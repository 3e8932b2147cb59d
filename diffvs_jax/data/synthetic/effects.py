"""Effects of the procedural songs: rooms, compressors, and what producers do to voices."""

import numpy as np

from diffvs_jax.data.synthetic import sound
from diffvs_jax.data.synthetic.frame import Frame, Studio


def room(rng: np.random.Generator, studio: Studio, decibels: float) -> np.ndarray:
    """Impulse response ``[samples, channels]`` of a random room at a level below the direct sound."""
    seconds = float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))
    return sound.reverberation(rng, studio.sample_rate, studio.num_channels, seconds, 10 ** (decibels / 20))


def compress(audio: np.ndarray, sample_rate: int, amount: float) -> np.ndarray:
    """Evens out the loudness over about 50 ms, as vocals are mixed; ``amount`` 0 (none) .. 1 (flat)."""
    hop = max(sample_rate // 100, 1)
    power = np.add.reduceat(np.mean(audio**2, axis=1), np.arange(0, len(audio), hop)) / hop
    power = sound.smooth(power, 0.05)
    floor = np.mean(power) * 0.05 + 1e-12
    gain = (power + floor) ** (-amount / 2)
    positions = np.arange(len(audio)) / hop
    return audio * np.interp(positions, np.arange(len(gain)), gain).astype(np.float32)[:, None]


def saturate(audio: np.ndarray, drive: float) -> np.ndarray:
    """Soft clipping; ``drive`` is the input's loudness in units of the clipping level."""
    loud = np.sqrt(np.mean(audio**2)) + 1e-9
    return np.tanh(audio * np.float32(drive / loud))


def chorus(rng: np.random.Generator, audio: np.ndarray, studio: Studio) -> np.ndarray:
    """A copy whose delay swings, another swing in each channel: chorus, or flanger where it is short."""
    time = np.arange(len(audio)) / studio.sample_rate
    delay, depth = (0.012, 0.004) if rng.random() < 0.7 else (0.003, 0.0025)
    rate, level = rng.uniform(0.15, 1.2), rng.uniform(0.4, 1.0)
    copies = []
    for channel, track in enumerate(audio.T):
        late = delay + depth * np.sin(2 * np.pi * (rate * time + rng.random()) + channel)
        copies.append(np.interp(time - late, time, track).astype(np.float32))
    return audio + np.float32(level) * np.stack(copies, axis=1)


def telephone(rng: np.random.Generator, audio: np.ndarray, studio: Studio) -> np.ndarray:
    """A narrow band, overdriven."""
    band = np.interp(np.arange(10), [0, 3, 4, 6, 7, 9], [-30, -14, 0, 0, rng.uniform(-20, -6), -36])
    return sound.process(saturate(audio, rng.uniform(0.3, 1.5)), studio.sample_rate, band, low=300)


def crush(rng: np.random.Generator, audio: np.ndarray, studio: Studio) -> np.ndarray:
    """Sample and hold at a lower rate: its aliases are the effect."""
    step = max(round(studio.sample_rate / rng.uniform(2000, 9000)), 2)
    return np.repeat(audio[::step], step, axis=0)[: len(audio)]


def chop(rng: np.random.Generator, audio: np.ndarray, frame: Frame, studio: Studio) -> np.ndarray:
    """A gate in sixteenths or eighths opens and closes in a pattern."""
    pattern = np.append(1.0, rng.random(7) < 0.6)
    step = frame.beat * float(rng.choice([0.25, 0.5]))
    control = np.arange(int(frame.seconds * sound.CONTROL_RATE) + 4) / sound.CONTROL_RATE
    steps = np.floor((control - frame.start) / step).astype(int)
    gain = sound.smooth(pattern[steps % 8], 0.006)
    return audio * sound.upsample(gain, studio.num_samples, studio.sample_rate)[:, None]


def swell(rng: np.random.Generator, audio: np.ndarray, studio: Studio) -> np.ndarray:
    """A room heard backwards: every syllable is announced by its own echo."""
    response = room(rng, studio, rng.uniform(-14, -4))
    return sound.process(audio[::-1], studio.sample_rate, np.zeros(10), [response])[::-1]


def treat_voice(
    rng: np.random.Generator, frame: Frame, studio: Studio, audio: np.ndarray, bold: float, wet: tuple[float, float]
) -> np.ndarray:
    """A voice as records have it, ``[samples, channels]``.

    Args:
      rng: source of every choice.
      frame: the song.
      studio: its form.
      audio: the dry voice, ``[samples, channels]``.
      bold: chance of an effect that nobody overhears.
      wet: range of the room's level in dB.
    """
    audio = compress(audio, studio.sample_rate, rng.uniform(0.0, 0.6))
    if rng.random() < 0.2:
        audio = saturate(audio, rng.uniform(0.3, 1.0))
    if rng.random() < 0.2:
        audio = chorus(rng, audio, studio)
    if rng.random() < bold:
        audio = (
            lambda: telephone(rng, audio, studio),
            lambda: crush(rng, audio, studio),
            lambda: chop(rng, audio, frame, studio),
            lambda: swell(rng, audio, studio),
        )[rng.integers(4)]()
    gains, low = sound.random_equaliser(rng, 2.0), rng.uniform(40, 110)
    responses = []
    if rng.random() < 0.25:
        step = frame.beat * rng.choice([0.5, 0.75, 1.0])
        level, feedback = 10 ** (rng.uniform(-20, -8) / 20), rng.uniform(0.2, 0.6)
        responses.append(sound.echoes(studio.sample_rate, studio.num_channels, step, level, feedback))
    responses.append(room(rng, studio, rng.uniform(*wet)))
    return sound.process(audio, studio.sample_rate, gains, responses, low=low)
