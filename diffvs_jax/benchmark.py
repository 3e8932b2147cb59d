"""Measures a config on this machine: ``python -m diffvs_jax.benchmark --config=configs/small.py``.

Random weights and noise for music: it needs no data and no checkpoint. Prints the time and FLOP/s
of one network evaluation and where that time goes, the real-time factor of separation, the compile
times of both program forms, cold and from the cache, and, where asked, the loss and its gradient
per batch size and remat policy.
"""

import tempfile
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags

from diffvs_jax import cli
from diffvs_jax.compilation import use_cache
from diffvs_jax.errors import InputError
from diffvs_jax.inference.separator import separation_plan
from diffvs_jax.model.unet import REMAT
from diffvs_jax.profiling import cost, measure
from diffvs_jax.profiling.chips import peak_flops
from diffvs_jax.table import table
from diffvs_jax.training.check import check_config

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file.", lock_config=True)
_PARTS = flags.DEFINE_list("parts", ["evaluation", "separation", "compilation"], "What to measure; also 'training'.")
_SECONDS = flags.DEFINE_float("seconds", 30.0, "Length of the song to separate.")
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["1", "4"], "Batch sizes of evaluations and training steps.")
_REMAT = flags.DEFINE_list("remat", list(REMAT), "Remat policies of training steps.")
flags.mark_flag_as_required("config")


def main(arguments: list[str]) -> None:
    """Measures the parts asked for, one after the other."""
    cli.no_arguments(arguments)
    config = _CONFIG.value
    check_config(config)
    separation_plan(config)
    cli.positive_seconds("seconds", _SECONDS.value, least=1.0)
    wrong = [remat for remat in _REMAT.value if remat not in REMAT]
    if wrong:
        raise InputError(f"--remat={wrong[0]}: choose from {', '.join(REMAT)}")
    batch_sizes = cli.positive_numbers("batch_sizes", _BATCH_SIZES.value)
    measures = {
        "evaluation": lambda: _evaluation(config, batch_sizes),
        "separation": lambda: _separation(config),
        "compilation": lambda: _compilation(config),
        "training": lambda: _training(config, batch_sizes),
    }
    unknown = [part for part in _PARTS.value if part not in measures]
    if unknown or not _PARTS.value:
        raise InputError(f"--parts={','.join(_PARTS.value)}: choose from {', '.join(measures)}")
    cli.announce_device()
    parameters = sum(cost.parameters_by_part(config).values())
    gigaflops = cost.evaluation_flops(config) / 1e9
    cli.say(f"{config.name}: {parameters / 1e6:.2f} M parameters, {gigaflops:.1f} GFLOP per evaluation of a chunk")
    for part in _PARTS.value:
        measures[part]()


def _evaluation(config: Any, batch_sizes: Sequence[int]) -> None:
    rows, shares, evaluations = [], dict[str, float](), cost.evaluations_per_chunk(config)
    for batch_size in batch_sizes:
        seconds, shares = measure.evaluation(config, batch_size)
        rate = batch_size * cost.evaluation_flops(config) / seconds
        real_time = evaluations * seconds / batch_size / cost.seconds_per_chunk(config)
        cells = [f"{seconds / batch_size:.4f}", f"{rate / 1e9:.1f}", _utilisation(rate), f"{real_time:.2f}"]
        rows.append([f"batch {batch_size}", *cells])
    header = [
        "one evaluation",
        "seconds per chunk",
        "GFLOP/s",
        "of the peak",
        f"real-time factor, {evaluations} evaluations",
    ]
    cli.say("\n" + table(header, rows))
    kinds = [[kind, f"{100 * share:.1f} %"] for kind, share in shares.items()]
    cli.say("\n" + table(["kind of operation", "share of time"], kinds))


def _separation(config: Any) -> None:
    use_cache(config.compilation_cache)
    seconds, compiled = measure.separation(config, _SECONDS.value)
    rate = cost.evaluation_flops(config) * cost.evaluations_per_chunk(config) / cost.seconds_per_chunk(config)
    cli.say(
        f"\nseparation of {_SECONDS.value:.0f} s: {seconds:.1f} s, real-time factor {seconds / _SECONDS.value:.2f} "
        f"(below 1 is faster than real time), at least {rate * _SECONDS.value / seconds / 1e9:.1f} GFLOP/s; "
        f"compiled in {compiled}"
    )


def _compilation(config: Any) -> None:
    rows = []
    for loop in ("unrolled", "scanned"):
        with tempfile.TemporaryDirectory(prefix="diffvs-jax-cache-") as folder:
            cold, warm = measure.compilation(config, loop, folder)
        rows.append([loop, f"{cold.seconds:.1f}", f"{warm.seconds:.1f}"])
    header = [f"compiling {config.sampler.num_steps} steps", "cold, seconds", "from the cache, seconds"]
    cli.say("\n" + table(header, rows))


def _training(config: Any, batch_sizes: Sequence[int]) -> None:
    rows = []
    flops = cost.training_flops(config, "none")  # work that had to be done; what remat repeats does not count
    for remat in _REMAT.value:
        for batch_size in batch_sizes:
            try:
                seconds, planned = measure.gradient(config, remat, batch_size)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                rows.append([remat, batch_size, "out of memory", "", "", ""])
                continue
            rate = batch_size * flops / seconds
            cells = [f"{seconds:.3f}", f"{rate / 1e12:.3f}", _utilisation(rate), f"{planned / 2**30:.2f}"]
            rows.append([remat, batch_size, *cells])
    header = ["loss and gradient: remat", "batch", "seconds", "TFLOP/s", "of the peak", "GiB as XLA plans"]
    cli.say("\n" + table(header, rows))


def _utilisation(rate: float) -> str:
    peak = peak_flops(jax.devices()[0].device_kind)
    return f"{100 * rate / peak:.1f} %" if peak else "unknown"


if __name__ == "__main__":
    cli.run(main)
