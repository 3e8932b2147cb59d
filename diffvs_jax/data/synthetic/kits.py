"""Drum kits of the procedural songs: single strokes, played by bands or by machines."""

import dataclasses

import numpy as np

from diffvs_jax.data.synthetic import sound
from diffvs_jax.data.synthetic.frame import Studio


@dataclasses.dataclass(frozen=True)
class Kit:
    """One stroke of each drum, float32 ``[samples, channels]``."""

    kick: np.ndarray
    snare: np.ndarray
    hat: np.ndarray
    open_hat: np.ndarray
    shaker: np.ndarray
    rim: np.ndarray
    toms: tuple[np.ndarray, ...]
    crash: np.ndarray


def draw_kit(rng: np.random.Generator, studio: Studio) -> Kit:
    """A random kit."""
    return Kit(
        kick=_kick(rng, studio),
        snare=_blast(rng, studio) if rng.random() < 0.35 else _snare(rng, studio),
        hat=_hat(rng, studio, 1.0),
        open_hat=_hat(rng, studio, 5.0),
        shaker=_hat(rng, studio, 1.5),
        rim=_rim(rng, studio),
        toms=tuple(_tom(rng, studio, hertz) for hertz in (220, 160, 110)),
        crash=_cymbal(rng, studio),
    )


def _decay(studio: Studio, seconds: float, length: float = 5.0) -> np.ndarray:
    """Exponential decay which falls by e in ``seconds``, ``[samples]``."""
    time = np.arange(studio.count(length * seconds)) / studio.sample_rate
    return np.exp(-time / seconds) * np.minimum(1, (time[-1] - time) / (0.2 * time[-1] + 1e-9))


def _kick(rng: np.random.Generator, studio: Studio) -> np.ndarray:
    envelope = _decay(studio, rng.choice([0.07, 0.12, 0.25, 0.4]))
    time = np.arange(len(envelope)) / studio.sample_rate
    base, sweep = rng.uniform(42, 62), rng.uniform(80, 300)
    speed = rng.uniform(0.01, 0.04)
    phase = base * time + sweep * speed * (1 - np.exp(-time / speed))
    body = np.sin(2 * np.pi * phase) * envelope
    click = sound.shaped_noise(rng, len(time), studio.sample_rate, 800, 5000) * np.exp(-time / 0.004)
    shaped = np.tanh(rng.uniform(1, 5) * body) + rng.uniform(0.02, 0.3) * click
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


def _rim(rng: np.random.Generator, studio: Studio) -> np.ndarray:
    """Rim shot, wood block or cowbell: two or three modes, quickly over."""
    modes = rng.uniform(450, 1900) * np.array([1.0, rng.uniform(1.3, 1.6), rng.uniform(2.0, 2.9)])
    decay = rng.uniform(20, 90)
    tone = sound.decaying_partials(
        modes, np.array([-1j, -0.7j, -0.4j]), decay * np.ones(3), studio.count(0.2), studio.sample_rate
    )
    return sound.pan((0.35 * tone).astype(np.float32), rng.uniform(-0.5, 0.5), studio.num_channels)


def _blast(rng: np.random.Generator, studio: Studio) -> np.ndarray:
    """An electronic snare: a burst of noise that a gate cuts off, with a falling tone."""
    count = studio.count(rng.uniform(0.15, 0.4))
    time = np.arange(count) / studio.sample_rate
    noise = sound.shaped_noise(rng, count, studio.sample_rate, rng.uniform(300, 1500), 9000)
    body = np.sin(2 * np.pi * (180 * time + rng.uniform(2, 8) * (1 - np.exp(-time / 0.03))))
    envelope = np.exp(-time / rng.uniform(0.06, 0.3)) * np.minimum(1, (time[-1] - time) / 0.004)
    hit = envelope * (noise + rng.uniform(0, 1.0) * body)
    return sound.pan((0.4 * hit).astype(np.float32), 0, studio.num_channels)


def _tom(rng: np.random.Generator, studio: Studio, hertz: float) -> np.ndarray:
    envelope = _decay(studio, 0.12)
    time = np.arange(len(envelope)) / studio.sample_rate
    phase = hertz * (0.8 * time + 0.01 * (1 - np.exp(-time / 0.03)))
    tone = np.sin(2 * np.pi * phase * rng.uniform(0.9, 1.1)) * envelope
    return sound.pan(tone.astype(np.float32), rng.uniform(-0.6, 0.6), studio.num_channels)
