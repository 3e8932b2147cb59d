"""A run's band statistics: read from beside the data or measured, shown, and checked on other chunks."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.data.tracks import Track
from diffvs_jax.training.band_stats import Measurement, check_band_stats, measure_band_stats
from diffvs_jax.training.batches import common_batches
from diffvs_jax.training.stats_cache import StatsCache

Log = Callable[[str], None]

_CHECK_CHUNKS = 128  # or as many as were measured, if that is fewer


def find_band_stats(config: ConfigDict, workdir: Path, tracks: Sequence[Track], log: Log) -> BandStats:
    """Statistics of the training set, from the cache or from ``data.stats_batches`` global batches.

    Every process measures the same chunks, on a device of its own, and all go on with what the first
    one has; that one alone writes the cache. Training then starts at its own first batch.

    Raises:
      InputError: a target or the mixture is silent in some band throughout.
    """
    start = time.perf_counter()
    cache = StatsCache(config, workdir, tracks)
    found = cache.read(log)
    if found:
        file, measurement = found
        log(f"band statistics from {file}: {_amount(config, measurement)}")
        remedy = f"delete {file} to measure anew, or raise data.stats_batches from {config.data.stats_batches}"
    else:
        num_batches = config.data.stats_batches * jax.process_count()
        batches = common_batches(config, tracks, config.seed)
        measurement = measure_band_stats(batches, num_batches, SignalPath.from_config(config))
        written = cache.write(measurement) if jax.process_index() == 0 else None
        kept = f", kept in {written}" if written else ""
        log(f"band statistics of {_amount(config, measurement)}, in {time.perf_counter() - start:.1f} s{kept}")
        remedy = f"raise data.stats_batches from {config.data.stats_batches}"
    stats = measurement.stats
    if jax.process_count() > 1:  # they may have measured on unlike devices, or one of them have read a file
        stats = jax.device_get(multihost_utils.broadcast_one_to_all(stats))
    log(f"standard deviation per band: {_rows(config, [stats.mixture, *stats.targets])}")
    check_sigma_data(config, stats, tracks, log, remedy)
    return stats


def check_sigma_data(config: ConfigDict, stats: BandStats, tracks: Sequence[Track], log: Log, remedy: str) -> None:
    """Shows what the statistics make of chunks that nothing was measured on, with a warning where it is not sigma_data.

    Where bands are not divided by the training set's statistics alone (``audio.band_norm``), no
    deviation is promised, and nothing is checked.

    Args:
      config: a whole config.
      stats: to check.
      tracks: to draw chunks from, with a seed that is not training's.
      log: told of it.
      remedy: what to do about a warning.
    """
    path = SignalPath.from_config(config)
    if path.band_norm != "dataset":
        return
    batch_size = config.train.batch_size // jax.process_count()
    num_batches = math.ceil(min(_CHECK_CHUNKS, config.data.stats_batches * config.train.batch_size) / batch_size)
    batches = common_batches(config, tracks, (config.seed + 1) % 2**32)
    check = check_band_stats(batches, num_batches, stats, path)
    log(f"after normalisation, in {check.chunks} other chunks: {_rows(config, check.std)}")
    names = ["mixture", *config.data.targets]
    for row, band in check.misses(path.sigma_data):
        log(
            f"warning: {names[row]}, band {band + 1} of {path.num_bands}: standard deviation "
            f"{check.std[row, band]:.2g} where edm.sigma_data {path.sigma_data:g} is assumed; {remedy}"
        )


def _amount(config: ConfigDict, measurement: Measurement) -> str:
    """Such as "778 s of audio (vocals in 560 s)"."""
    heard = zip(config.data.targets, measurement.active_seconds, strict=True)
    parts = ", ".join(f"{name} in {seconds:.0f} s" for name, seconds in heard)
    return f"{measurement.seconds:.0f} s of audio ({parts})"


def _rows(config: ConfigDict, values) -> str:
    names = ["mixture", *config.data.targets]
    return "; ".join(
        f"{name} {' '.join(f'{value:.3g}' for value in row)}" for name, row in zip(names, values, strict=True)
    )
