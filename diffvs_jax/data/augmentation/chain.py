"""All augmentations in turn."""

import math
from collections.abc import Callable

import numpy as np

from diffvs_jax.data.augmentation.dynamics import random_compression, random_soft_clip
from diffvs_jax.data.augmentation.equaliser import random_equaliser
from diffvs_jax.data.augmentation.mix import draw_mix, scale_and_swap, to_mono
from diffvs_jax.data.augmentation.reverb import random_reverb
from diffvs_jax.data.augmentation.settings import Augmentation
from diffvs_jax.data.augmentation.shift import shift
from diffvs_jax.data.bandwidth import limit_bandwidth

# What was done, for people: pairs (row, or None for the whole example; a few words).
Trace = list[tuple[int | None, str]]

Effect = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, str]]


def augment(
    stems: np.ndarray,
    num_targets: int,
    augmentation: Augmentation,
    sample_rate: int,
    rng: np.random.Generator,
    bandwidth: float = math.inf,
    trace: Trace | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """One example with everything done to it that the dice ask for.

    In this order: pitch and tempo, one draw for all stems, which stay in tune with each other;
    equaliser, compression, soft clipping and reverb, stem by stem, so that the target is the voice
    as processed; the band limit and mono, for all stems alike; gain, channel swap, sign flip and
    silence, stem by stem. Each effect's dice are its own: switching one on or off leaves the draws
    of all others as they are. Nothing brings a stem back to the loudness it had.

    The band limit is the lower one of ``bandwidth`` and what is drawn. It comes after all that makes
    new overtones, and moves with the pitch: in no stem is there anything that another could not have.

    Args:
      stems: float32 ``[num_stems, samples, channels]``; not touched.
      num_targets: rows that are targets, from the first on; the others are never dropped.
      augmentation: what to do.
      sample_rate: in Hz.
      rng: drawn from once, whatever ``augmentation`` says.
      bandwidth: Hz; the lowest frequency at which a source of this example is known to end.
      trace: a list that what happens is appended to.
      out: where to put the result; None: a new array.

    Returns:
      ``out``, float32 ``[num_stems, samples, channels]``.
    """
    a = augmentation
    trace = [] if trace is None else trace
    shift_seed, band_seed, mono_seed, mix_seed, *stem_seeds = rng.integers(2**63, size=4 + len(stems)).tolist()
    if dice := _dice(a.shift_probability, shift_seed):
        stems, bandwidth = _shift(stems, a, sample_rate, dice, bandwidth, trace)
    stems = _process_stems(stems, a, sample_rate, stem_seeds, trace)
    if dice := _dice(a.band_limit_probability, band_seed):
        bandwidth = min(bandwidth, math.exp(dice.uniform(*np.log(a.band_limit_hz))))
    limited = limit_bandwidth(stems, bandwidth, sample_rate)
    if limited is not stems:
        stems = limited
        trace.append((None, f"up to {bandwidth / 1000:.1f} kHz"))
    if _dice(a.mono_probability, mono_seed):
        stems = to_mono(stems)
        trace.append((None, "mono"))
    return _mix(stems, num_targets, a, np.random.default_rng(mix_seed), trace, out)


def _dice(probability: float, *seed: int) -> np.random.Generator | None:
    """An effect's own generator where the effect takes place."""
    if probability == 0:
        return None
    rng = np.random.default_rng(seed)
    return rng if rng.random() < probability else None


def _shift(
    stems: np.ndarray, a: Augmentation, sample_rate: int, rng: np.random.Generator, bandwidth: float, trace: Trace
) -> tuple[np.ndarray, float]:
    """Shifted stems, and the bandwidth that they have then: where a source ends moves with the pitch."""
    semitones, tempo = rng.uniform(*a.shift_semitones), rng.uniform(*a.shift_tempo)
    trace.append((None, f"{semitones:+.1f} semitones, tempo {tempo:.2f}"))
    return shift(stems, semitones, tempo, sample_rate), min(bandwidth, sample_rate / 2) * 2 ** (semitones / 12)


def _process_stems(stems: np.ndarray, a: Augmentation, sample_rate: int, seeds: list[int], trace: Trace) -> np.ndarray:
    """Effects on single stems, in this order; silent stems have nothing to process."""
    effects: tuple[tuple[float, Effect], ...] = (
        (a.equaliser_probability, lambda stem, dice: random_equaliser(stem, a.equaliser_decibels, sample_rate, dice)),
        (
            a.compression_probability,
            lambda stem, dice: random_compression(stem, a.compression_ratio, a.compression_decibels, sample_rate, dice),
        ),
        (a.soft_clip_probability, lambda stem, dice: random_soft_clip(stem, a.soft_clip_decibels, dice)),
        (
            a.reverb_probability,
            lambda stem, dice: random_reverb(stem, a.reverb_seconds, a.reverb_decibels, sample_rate, dice),
        ),
    )
    processed = stems
    for row, seed in enumerate(seeds):
        for place, (probability, effect) in enumerate(effects):
            dice = _dice(probability, seed, place)
            if dice and processed[row].any():
                processed = stems.copy() if processed is stems else processed
                processed[row], words = effect(processed[row], dice)
                trace.append((row, words))
    return processed


def _mix(
    stems: np.ndarray,
    num_targets: int,
    a: Augmentation,
    rng: np.random.Generator,
    trace: Trace,
    out: np.ndarray | None,
) -> np.ndarray:
    probabilities = (a.channel_swap_probability, a.sign_flip_probability, a.drop_target_probability)
    factors, swapped = draw_mix(len(stems), num_targets, a.gain_range, *probabilities, rng)
    for row, (factor, swap) in enumerate(zip(factors.tolist(), swapped.tolist(), strict=True)):
        if factor != 1:
            trace.append((row, f"x {factor:.2f}" if factor else "silenced"))
        if swap and stems.shape[2] > 1:
            trace.append((row, "swapped"))
    return scale_and_swap(stems, factors, swapped, out)
