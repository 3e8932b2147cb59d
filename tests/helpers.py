"""What several tests build: separators with random weights, and songs on disk."""

import jax
import numpy as np
import soundfile

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.model.weights import Model

RATE = 8000  # Hz, of the nano model and of the songs


def random_params(config, seed=0):
    """Parameters that all matter: a fresh network's output layers are nearly zero, and hide what is wrong."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        values = rng.standard_normal(leaf.shape)
        if leaf.ndim > 1:
            values /= np.sqrt(leaf.size / leaf.shape[-1])
        elif path[-1].key == "scale":
            values = 1 + 0.1 * values
        return values.astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, abstract_params(config))


def random_stats(config):
    """Statistics that differ from band to band."""
    bands, targets = config.audio.num_bands, len(config.data.targets)
    return BandStats(
        np.linspace(1.0, 0.5, bands, dtype=np.float32),
        np.linspace(0.8, 0.3, targets * bands, dtype=np.float32).reshape(targets, bands),
    )


def random_separator(config, seed=0):
    """A separator with random weights and statistics."""
    return Separator(random_params(config), random_stats(config), config, seed=seed)


def random_model(config, step=3):
    """What ``random_separator`` separates with, as if it had been read from disk."""
    return Model(random_params(config), random_stats(config)._asdict(), config, step)


def write_song(folder, seed, *, stems=("vocals", "drums", "other"), seconds=1.3, channels=2, mixture=False):
    """Seeded noise under a tone per stem, in MUSDB18's layout."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    time = np.arange(round(seconds * RATE)) / RATE
    total = np.zeros((len(time), channels), np.float32)
    for stem in stems:
        tone = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 2000) * time)[:, None]
        audio = (tone + 0.03 * rng.standard_normal((len(time), channels))).astype(np.float32)
        soundfile.write(folder / f"{stem}.wav", audio, RATE, subtype="FLOAT")
        total += audio
    if mixture:
        soundfile.write(folder / "mixture.wav", total, RATE, subtype="FLOAT")
    return folder
