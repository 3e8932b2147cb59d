"""How loud an estimate is where its stem is silent, in dB; smaller is better."""

import functools

import jax

from diffvs_jax.metrics.ratios import decibels, median
from diffvs_jax.metrics.sums import Array, frame_sums

SILENCE_DB = -60.0


@functools.partial(jax.jit, static_argnums=(3, 4))
def leakage(
    reference: Array, estimate: Array, mixture: Array, sample_rate: int, silence_db: float = SILENCE_DB
) -> jax.Array:
    """Level of the estimate beside the mixture's, in the median second in which the stem is silent.

    SDR says nothing of such seconds. Schulze-Forster et al. ("Weakly informed audio source
    separation", WASPAA 2019) report the energy predicted at silence, in dB and by itself; here it is
    relative to the mixture, ``10 log10(sum e^2 / sum m^2)``, so that 0 dB is the mixture left as it
    is, however loud the record. A second counts where the reference lies ``silence_db`` or more
    below the mixture, which itself is above ``silence_db`` of full scale (mean square of all
    samples, 0 dB for 1). A tail under one second is dropped.

    Args:
      reference: ``[..., samples, channels]``, 1 is full scale.
      estimate: like ``reference``.
      mixture: like ``reference``.
      sample_rate: samples per second.
      silence_db: what is taken for silent, negative dB.

    Returns:
      ``[...]`` in dB; -inf for a silent estimate, NaN without a second that counts.
    """
    whole = reference.shape[-2] // sample_rate * sample_rate
    reference, estimate, mixture = (x[..., :whole, :] for x in (reference, estimate, mixture))
    sums, total = frame_sums(reference, estimate, sample_rate), frame_sums(mixture, mixture, sample_rate)
    values = sample_rate * reference.shape[-1]
    return leakage_of_frames(sums.signal, sums.estimate, total.signal, values, silence_db)


def leakage_of_frames(
    signal: Array, estimate: Array, mixture: Array, values: int, silence_db: float = SILENCE_DB
) -> Array:
    """``leakage`` from energies ``[..., frames]`` of whole seconds that hold ``values`` numbers each."""
    xp = mixture.__array_namespace__()
    silence = 10 ** (silence_db / 10)
    counts = (signal <= silence * mixture) & (mixture > silence * values)
    return median(xp.where(counts, decibels(estimate, xp.where(counts, mixture, 1)), float("nan")))
