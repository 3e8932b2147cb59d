"""What tests share: two CPU devices, strict shapes, a nano model and a small data set."""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

# Compiling takes most of the time: programs compile once per session, also those of commands that
# tests start, and are hardly optimised. JAX reads these when it is imported.
_CACHE = tempfile.TemporaryDirectory(prefix="diffvs-jax-tests-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pytest
import soundfile
from absl import flags
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.source import open_tracks
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.training.loop import train
from diffvs_jax.training.state import TrainState
from tests.nano import get_config

jax.config.update("jax_num_cpu_devices", 2)  # for sharding; what does not shard runs on the first
jax.config.update("jax_numpy_rank_promotion", "raise")
flags.FLAGS.mark_as_parsed()  # grain reads flags that only a command would parse

RATE = 8000


class Run(NamedTuple):
    """A finished training run."""

    config: ConfigDict
    workdir: Path
    state: TrainState
    stats: BandStats
    log: list[str]


def pytest_unconfigure():
    _CACHE.cleanup()


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


def random_separator(config, seed=0):
    """A separator with random weights and statistics that differ from band to band."""
    bands, targets = config.audio.num_bands, len(config.data.targets)
    stats = BandStats(
        np.linspace(1.0, 0.5, bands, dtype=np.float32),
        np.linspace(0.8, 0.3, targets * bands, dtype=np.float32).reshape(targets, bands),
    )
    return Separator(random_params(config), stats, config, seed=seed)


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


@pytest.fixture
def nano_config():
    return get_config()


@pytest.fixture(scope="session")
def musdb_folder(tmp_path_factory):
    """Three training songs and two test songs, one of them with a mixture of its own."""
    root = tmp_path_factory.mktemp("musdb")
    for index in range(3):
        write_song(root / "train" / f"song {index}", index)
    write_song(root / "test" / "held out", 3)
    write_song(root / "test" / "mixed", 4, mixture=True)
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory, musdb_folder):
    """Six steps of the nano model, checkpoints at 3 and 6. Leave it as it is; copy what you change."""
    config = get_config()
    config.data.root = str(musdb_folder)
    workdir = tmp_path_factory.mktemp("run")
    log: list[str] = []
    state, stats = train(config, workdir, open_tracks(config, "train", workdir), log.append)
    return Run(config, workdir, state, stats, log)
