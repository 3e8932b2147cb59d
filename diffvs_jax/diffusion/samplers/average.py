"""The mean of several seeded samples: towards the posterior mean, which is what SDR rewards."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def average(sample: Callable[[jax.Array], jax.Array], num_samples: int) -> jax.Array:
    """Mean of ``sample(k)`` for k in 0 ... num_samples - 1, one after the other in one copy of the program.

    What is averaged is up to ``sample``: decoded waveforms, since their mean minimises the squared
    error that a score measures, while a mean of compressed spectra does not.
    """
    if num_samples == 1:
        return sample(jnp.uint32(0))
    return jax.lax.map(sample, jnp.arange(num_samples, dtype=jnp.uint32)).mean(axis=0)
