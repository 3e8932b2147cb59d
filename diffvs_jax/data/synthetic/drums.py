"""The drums of the procedural songs: a kit drawn by chance, a pattern, fills."""

import numpy as np

from diffvs_jax.data.synthetic import sound
from diffvs_jax.data.synthetic.sound import Frame, Studio

# Sixteenths of a bar.
_KICKS = (
    (0, 4, 8, 12),
    (0, 8),
    (0, 8, 10),
    (0, 6, 10),
    (0, 7, 8),
    (0, 3, 8, 11),
    (0, 10),
    (0, 2, 8, 10, 11),
)
_SNARES = ((4, 12), (4, 12), (4, 12), (8,), (4, 12, 15), (4, 7, 12), ())
_HATS = (tuple(range(0, 16, 2)), tuple(range(16)), (2, 6, 10, 14), (0, 4, 8, 12), (0, 3, 6, 8, 11, 14), ())


def render_drums(rng: np.random.Generator, frame: Frame, studio: Studio) -> tuple[np.ndarray, np.ndarray]:
    """Drums ``[samples, channels]`` (silent in some songs) and the times of the kicks in seconds."""
    mix = studio.silence()
    if rng.random() < 0.07:
        return mix, np.zeros(0)
    kicks = _KICKS[rng.integers(len(_KICKS))]
    snares = _SNARES[rng.integers(len(_SNARES))]
    hats = _HATS[rng.integers(len(_HATS))]
    human = rng.choice([0.0, 0.004, 0.008])
    shaken = rng.random() < 0.3
    kit_rng = rng.spawn(1)[0]
    kick, snare = _kick(kit_rng, studio), _snare(kit_rng, studio)
    hat, open_hat, shaker = (_hat(kit_rng, studio, longer) for longer in (1.0, 5.0, 1.5))
    toms = [_tom(kit_rng, studio, hertz) for hertz in (220, 160, 110)]
    crash = _cymbal(kit_rng, studio)
    kick_times = []

    def hit(one_shot, bar, sixteenth, level):
        start = frame.time(bar, sixteenth / 4) + rng.normal(0, human)
        sound.add_at(mix, one_shot * np.float32(level), round(start * studio.sample_rate))

    for bar in range(len(frame.degrees)):
        fill = bar % 4 == 3 and rng.random() < 0.5
        for sixteenth in kicks:
            hit(kick, bar, sixteenth, rng.uniform(0.85, 1.1))
            kick_times.append(frame.time(bar, sixteenth / 4))
        for sixteenth in snares:
            hit(snare, bar, sixteenth, rng.uniform(0.75, 1.0))
        for sixteenth in hats:
            accent = 1.0 if sixteenth % 4 == 0 else 0.65
            hit(open_hat if sixteenth == 14 and rng.random() < 0.3 else hat, bar, sixteenth, accent)
        for sixteenth in range(16) if shaken else ():
            hit(shaker, bar, sixteenth, 0.3 + 0.3 * (sixteenth % 4 == 2))
        for sixteenth in range(12, 16) if fill else ():
            hit([snare, *toms][rng.integers(4)], bar, sixteenth, rng.uniform(0.5, 0.9))
        if bar % 8 == 0 and rng.random() < 0.5:
            hit(crash, bar, 0, 0.7)
    return mix, np.array(kick_times)


def _decay(studio: Studio, seconds: float, length: float = 5.0) -> np.ndarray:
    """Exponential decay which falls by e in ``seconds``, ``[samples]``."""
    time = np.arange(studio.count(length * seconds)) / studio.sample_rate
    return np.exp(-time / seconds) * np.minimum(1, (time[-1] - time) / (0.2 * time[-1] + 1e-9))


def _kick(rng: np.random.Generator, studio: Studio) -> np.ndarray:
    envelope = _decay(studio, rng.choice([0.07, 0.12, 0.25]))
    time = np.arange(len(envelope)) / studio.sample_rate
    base, sweep = rng.uniform(42, 62), rng.uniform(80, 300)
    speed = rng.uniform(0.01, 0.04)
    phase = base * time + sweep * speed * (1 - np.exp(-time / speed))
    body = np.sin(2 * np.pi * phase) * envelope
    click = sound.shaped_noise(rng, len(time), studio.sample_rate, 800, 5000) * np.exp(-time / 0.004)
    shaped = np.tanh(rng.uniform(1, 3) * body) + rng.uniform(0.02, 0.3) * click
    return sound.pan(shaped.astype(np.float32), 0, studio.num_channels)


def _snare(rng: np.random.Generator, studio: Studio) -> np.ndarray:
    envelope = _decay(studio, rng.uniform(0.04, 0.12))
    count, rate = len(envelope), studio.sample_rate
    noise = sound.shaped_noise(rng, count, rate, rng.uniform(500, 1800), rng.uniform(5e3, 12e3))
    if rng.random() < 0.35:
        # A clap: several bursts within 30 ms.
        time = np.arange(count) / rate
        bursts = [(time >= late) * np.exp(-np.abs(time - late) / 0.006) for late in (0, 0.01, 0.02)]
        hit = noise * (0.6 * np.sum(bursts, axis=0) + envelope * (time > 0.025))
    else:
        modes = np.array([1, 1.6, 2.2]) * rng.uniform(150, 260)
        levels, decays = np.array([-1j, -0.6j, -0.3j]), np.array([18.0, 25, 35])
        body = sound.decaying_partials(modes, levels, decays, count, rate)
        hit = noise * envelope + rng.uniform(0.4, 2.0) * body
    return sound.pan((0.45 * hit).astype(np.float32), 0, studio.num_channels)


def _hat(rng: np.random.Generator, studio: Studio, longer: float = 1.0) -> np.ndarray:
    envelope = _decay(studio, longer * rng.uniform(0.012, 0.05))
    noise = sound.shaped_noise(rng, len(envelope), studio.sample_rate, rng.uniform(5e3, 9e3), 14_000)
    return sound.pan(0.22 * noise * envelope, rng.uniform(-0.5, 0.5), studio.num_channels).astype(np.float32)


def _cymbal(rng: np.random.Generator, studio: Studio) -> np.ndarray:
    envelope = _decay(studio, rng.uniform(0.3, 0.8), 3.0)
    noise = sound.shaped_noise(rng, len(envelope), studio.sample_rate, rng.uniform(2e3, 5e3), 12_000)
    return sound.pan(0.25 * noise * envelope, rng.uniform(-0.6, 0.6), studio.num_channels).astype(np.float32)


def _tom(rng: np.random.Generator, studio: Studio, hertz: float) -> np.ndarray:
    envelope = _decay(studio, 0.12)
    time = np.arange(len(envelope)) / studio.sample_rate
    phase = hertz * (0.8 * time + 0.01 * (1 - np.exp(-time / 0.03)))
    tone = np.sin(2 * np.pi * phase * rng.uniform(0.9, 1.1)) * envelope
    return sound.pan(tone.astype(np.float32), rng.uniform(-0.6, 0.6), studio.num_channels)
