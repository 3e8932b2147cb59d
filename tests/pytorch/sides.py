"""The training steps that the benchmark compares, each in a process of its own."""

import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from diffvs_jax import cli


class Side(NamedTuple):
    """A training step on this process's device, warmed up by nobody yet."""

    description: str  # version, device, threads and type of numbers
    run: Callable[[], None]  # dispatches one step
    wait: Callable[[], None]  # until all that was dispatched is done


def serve(name: str, config: Any, stems: np.ndarray, connection: Connection) -> None:
    """Builds a side, warms it up and takes as many steps as each message asks for.

    Sends (description, seconds that warming up took), then the seconds per step of every request;
    where the side cannot run here, one line that says why. Ends when the other end is closed.
    """
    cli.keep_freed_memory()  # as the train command does; it serves both alike
    start = time.perf_counter()
    try:
        side = SIDES[name](config, stems)
        for _ in range(2):
            side.run()
            side.wait()
    except RuntimeError as error:  # no C++ compiler for torch.compile, or too little memory
        connection.send(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return
    connection.send((side.description, time.perf_counter() - start))
    while True:
        try:
            count = connection.recv()
        except EOFError:
            return
        start = time.perf_counter()
        for _ in range(count):
            side.run()
        side.wait()
        connection.send((time.perf_counter() - start) / count)


def jax_side(config: Any, stems: np.ndarray) -> Side:
    """The package's own training step, on one device."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # PyTorch's processes need memory, too
    import jax

    from diffvs_jax.model.denoiser import build_network

    step, state, batch = _jax_step(config, stems)
    metrics: Any = None

    def run() -> None:
        nonlocal state, metrics
        state, metrics = step(state, *batch)

    device = jax.devices()[0]
    dtype = build_network(config).settings.activation_dtype
    return Side(
        f"JAX {jax.__version__} on {device.device_kind} ({device.platform}), {num_threads()} threads, {dtype}",
        run,
        lambda: jax.block_until_ready((state, metrics)),
    )


def _jax_step(config: Any, stems: np.ndarray) -> tuple[Callable, Any, tuple]:
    """All that this benchmark calls in ``diffvs_jax.training``: the step, a state, and what it takes besides."""
    import jax

    from diffvs_jax.audio.representation import BandStats
    from diffvs_jax.training.sharding import put_batch, state_sharding
    from diffvs_jax.training.state import init_state
    from diffvs_jax.training.step import make_train_step

    auto = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh((1, 1), ("data", "fsdp"), axis_types=auto, devices=jax.devices()[:1])
    shardings = state_sharding(jax.eval_shape(lambda: init_state(config)), mesh)
    state = jax.jit(lambda: init_state(config), out_shardings=shardings)()
    stats = jax.device_put(BandStats.ones(len(config.data.targets), config.audio.num_bands))
    wishes = put_batch(np.zeros(1, np.int32), mesh)
    return make_train_step(config, mesh, shardings), state, (put_batch(stems, mesh), stats, wishes)


def torch_side(config: Any, stems: np.ndarray, compiled: bool = False) -> Side:
    """The PyTorch training step, eager or through torch.compile."""
    import torch

    from tests.pytorch.step import TrainStep, make_unet

    torch.set_num_threads(num_threads())
    torch.set_float32_matmul_precision("high")  # as JAX's default
    torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ones = np.ones((len(config.data.targets) + 1, config.audio.num_bands), np.float32)
    step = TrainStep(config, make_unet(config), ones[0], ones[1:], device, compiled)
    batch = torch.from_numpy(stems).to(device)
    name = torch.cuda.get_device_name() if device == "cuda" else device
    dtype = "bfloat16 under autocast" if step.half else "float32"
    return Side(
        f"PyTorch {torch.__version__} on {name}, {torch.get_num_threads()} threads, {dtype}",
        lambda: step(batch),
        torch.cuda.synchronize if device == "cuda" else lambda: None,
    )


def compiled_torch_side(config: Any, stems: np.ndarray) -> Side:
    """``torch_side`` through torch.compile."""
    return torch_side(config, stems, compiled=True)


def num_threads() -> int:
    """The CPUs this process may use: as many threads XLA starts, and PyTorch is told to."""
    return len(os.sched_getaffinity(0))


SIDES = {"JAX": jax_side, "PyTorch": torch_side, "torch.compile": compiled_torch_side}
