"""What ``train --dry_run`` prints: everything about a config that can be known without training it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from diffvs_jax.model.denoiser import build_network
from diffvs_jax.model.unet import REMAT
from diffvs_jax.profiling import cost
from diffvs_jax.profiling.chips import ACCELERATORS, peak_flops
from diffvs_jax.table import table

_SHARE_OF_PEAK = 0.4  # assumed, not measured
_NUMBERS = (1, 4, 8, 16)  # of accelerators


def print_costs(config: Any, batch_sizes: Sequence[int], say: Callable[[str], None]) -> None:
    """Tables of parameters per part, FLOPs, hours of training, and memory per batch size and remat policy."""
    parts = cost.parameters_by_part(config)
    total = sum(parts.values())
    rows = [[name, f"{count:,}", f"{100 * count / total:.1f} %"] for name, count in parts.items()]
    say(table(["part", "parameters", "share"], [*rows, ["all", f"{total:,}", ""]]))

    flops, evaluations = cost.evaluation_flops(config), cost.evaluations_per_chunk(config)
    per_chunk, seconds = flops * evaluations, cost.seconds_per_chunk(config)
    chunk_seconds = (config.audio.num_frames - 1) * config.audio.hop_length / config.audio.sample_rate
    per_example = {remat: cost.training_flops(config, remat) for remat in REMAT}
    rows = [
        [f"one evaluation of a {chunk_seconds:.2f}-s chunk", _tera(flops)],
        [f"one chunk: {evaluations} evaluations, {config.sampler.name}", _tera(per_chunk)],
        [f"one second of music: a chunk every {seconds:.2f} s", _tera(per_chunk / seconds)],
        *([f"one training example, remat {r}", _tera(per_example[r])] for r in REMAT),
    ]
    say("\n" + table(["work", "TFLOP"], rows))

    steps, batch_size, remat = config.train.num_steps, config.train.batch_size, config.model.remat
    say(
        f"\nhours for {steps:,} steps of {batch_size} examples, remat {remat}, if {_SHARE_OF_PEAK:.0%} "
        "of the peak in bfloat16 were reached, which is an assumption"
    )
    say(table(["accelerators", *map(str, _NUMBERS)], hours(steps * batch_size * per_example[remat])))

    say(f"\nparameters, optimiser and averages: {_gib(cost.state_bytes(config))} GiB")
    dtype = build_network(config).settings.activation_dtype.name
    say(f"activations of a training step in {dtype}, GiB; the config says remat {config.model.remat!r}")
    header = ["remat", *(f"kept, batch {b}" for b in batch_sizes), *(f"XLA, batch {b}" for b in batch_sizes)]
    rows = []
    for remat in REMAT:
        kept = [_gib(cost.kept_bytes(config, remat, b)) for b in batch_sizes]
        rows.append([remat, *kept, *(_gib(cost.temporary_bytes(config, remat, b)) for b in batch_sizes)])
    say(table(header, rows))
    say(
        "kept: what the forward pass keeps for the backward pass, by shapes and types; "
        f"XLA: all temporaries of the program it compiles for this {jax.default_backend()}"
    )


def hours(flops: float) -> list[list[str]]:
    """For each kind of accelerator its name, and the hours that so many FLOPs take on 1, 4, 8 and 16 of them."""
    rows = []
    for name in ACCELERATORS:
        peak = peak_flops(name)
        assert peak is not None
        rows.append([name, *(f"{flops / (peak * _SHARE_OF_PEAK * number) / 3600:.1f}" for number in _NUMBERS)])
    return rows


def _tera(flops: float) -> str:
    return f"{flops / 1e12:.4f}" if flops < 1e11 else f"{flops / 1e12:.2f}"


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.2f}"
