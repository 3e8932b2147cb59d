"""The training set's loudness per band, measured before the first step and kept in the checkpoint."""

from collections.abc import Iterator

import jax
import numpy as np

from diffvs_jax.audio.representation import BandStats, SignalPath, band_power
from diffvs_jax.errors import InputError
from diffvs_jax.training.step import split_stems


def measure_band_stats(batches: Iterator[np.ndarray], num_batches: int, path: SignalPath) -> BandStats:
    """Standard deviations per band over ``num_batches`` training batches ``[B, S + 1, N, A]``.

    Raises:
      InputError: a target or the mixture is silent in some band throughout.
    """

    @jax.jit
    def power(stems):
        return band_power(*split_stems(stems), path)

    powers = [jax.device_get(power(next(batches))) for _ in range(num_batches)]
    stats = BandStats(*(np.sqrt(np.mean(parts, axis=0)) for parts in zip(*powers, strict=True)))
    for name, std in (("mixture", stats.mixture), ("target", stats.targets)):
        if not np.all(std > 0):
            raise InputError(
                f"a {name} is silent in some band of {num_batches} training batches (std {std.tolist()}); "
                "check the stems, or measure more with data.stats_batches"
            )
    return stats
