"""What tests share: two CPU devices, strict shapes, a nano model and a small data set."""

import os
import signal
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import pytest
from absl import flags
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.source import open_tracks
from diffvs_jax.training.loop import train
from diffvs_jax.training.state import TrainState
from tests.helpers import write_song
from tests.nano import get_config

# Compiling takes most of the time: each program compiles once per session and is hardly optimised,
# here, in the other workers of pytest-xdist and in the commands that tests start.
_CACHE = None
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers have the cache, and the flags, of who started them
    _CACHE = tempfile.TemporaryDirectory(prefix="diffvs-jax-tests-")
    if jax.__version_info__ < (0, 11):  # XLA's older code for fusions compiles in two thirds of the time
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"
SETTINGS = {
    "jax_compilation_cache_dir": _CACHE.name if _CACHE else os.environ["JAX_COMPILATION_CACHE_DIR"],
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_disable_most_optimizations": True,
    "jax_num_cpu_devices": 2,  # for sharding; what does not shard runs on the first
    "jax_platforms": os.environ.get("JAX_PLATFORMS", "cpu"),
}
for name, value in SETTINGS.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)
jax.config.update("jax_numpy_rank_promotion", "raise")
flags.FLAGS.mark_as_parsed()  # grain reads flags that only a command would parse


class Run(NamedTuple):
    """A finished training run."""

    config: ConfigDict
    workdir: Path
    state: TrainState
    stats: BandStats
    log: list[str]


def pytest_configure(config):
    # An entry that another worker is about to write, read half, is compiled anew.
    config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache entry")


def pytest_unconfigure():
    if _CACHE:
        _CACHE.cleanup()


@pytest.fixture
def ctrl_c_is_heard():
    """A shell that starts tests in the background has them, and all that they start, ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
    result = train(config, workdir, open_tracks(config, "train", workdir), log.append)
    return Run(config, workdir, result.state, result.stats, log)
