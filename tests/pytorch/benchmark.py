"""Times the whole training step against PyTorch's: ``python -m tests.pytorch.benchmark --config=configs/small.py``.

From stems on the device to new parameters: encoding, noise, loss, gradient, clipping, AdamW and
averages; reading songs is left out. JAX, PyTorch and torch.compile run in processes of their own,
with equally many threads, and take turns, so that what else the machine does meets all of them.
"""

import contextlib
import multiprocessing
import statistics
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from absl import flags
from ml_collections import config_flags

from diffvs_jax import cli
from diffvs_jax.errors import InputError
from diffvs_jax.table import table
from tests.pytorch.sides import SIDES, serve

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file.", lock_config=True)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 2, "Examples per step.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each side has its turn.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 3, "Steps in a turn.", lower_bound=1)
_SIDES = flags.DEFINE_list("sides", list(SIDES), "What to compare.")


def main(arguments: list[str]) -> None:
    """Starts the sides, lets them take turns and prints the table."""
    cli.no_arguments(arguments)
    config, names = _CONFIG.value, _SIDES.value
    if unknown := [name for name in names if name not in SIDES]:
        raise InputError(f"--sides={unknown[0]}: choose from {', '.join(SIDES)}")
    cli.say(f"{config.name}: batches of {_BATCH_SIZE.value}, {_ROUNDS.value} turns of {_STEPS.value} steps each")
    with contextlib.ExitStack() as stack:
        sides = {}
        for name in names:  # one after the other: warming up takes all cores
            connection = stack.enter_context(_process(name, config, _stems(config)))
            answer = connection.recv()
            if isinstance(answer, str):
                cli.say(f"{name} does not run here: {answer}")
                continue
            sides[name] = connection
            cli.say(f"{name}: {answer[0]}; compiled and warmed up in {answer[1]:.1f} s")
        seconds = {name: [] for name in sides}
        for _ in range(_ROUNDS.value):
            for name, connection in sides.items():
                connection.send(_STEPS.value)
                seconds[name].append(connection.recv())
    if seconds:
        cli.say("\n" + _report(seconds, _BATCH_SIZE.value))


@contextlib.contextmanager
def _process(name: str, config: Any, stems: np.ndarray) -> Iterator[Connection]:
    """A side in a process of its own, which ends when the block does."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(name, config, stems, theirs))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join()


def _stems(config: Any) -> np.ndarray:
    """Noise ``[B, S + 1, samples, channels]`` for music."""
    audio = config.audio
    samples = (audio.num_frames - 1) * audio.hop_length
    shape = (_BATCH_SIZE.value, len(config.data.targets) + 1, samples, audio.num_channels)
    return 0.1 * np.random.default_rng(0).standard_normal(shape, np.float32)


def _report(seconds: dict[str, list[float]], batch_size: int) -> str:
    """Best and median turn of every side, and how many times as many examples the first takes."""
    first, *_ = seconds
    medians = {name: statistics.median(turns) for name, turns in seconds.items()}
    rows = []
    for name, turns in seconds.items():
        times = [f"{value:.4f}" for value in (min(turns), medians[name], max(turns))]
        ratios = [min(turns) / min(seconds[first]), medians[name] / medians[first]]
        rows.append([name, *times, batch_size / medians[name], *ratios])
    header = ["seconds per step", "best turn", "median", "worst", "examples/s", f"{first} is faster: best", "median"]
    return table(header, rows)


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main)
