"""Signal-to-distortion ratios in dB, pure functions of waveforms ``[..., samples, channels]``; larger is better.

Three definitions that must never share a column:

- cSDR: museval's BSS-eval v4 image SDR per one-second frame, median over frames (SiSEC 2018).
- uSDR: one ratio over the whole track (MDX 2021 and SDX 2023 challenges).
- SI-SDR: invariant to the estimate's gain (Le Roux et al. 2019).

They compile once for every length; ``metrics.track`` scores tracks of any length with one program.
Silence at the end changes neither uSDR nor SI-SDR.
"""

import functools

import jax

from diffvs_jax.metrics.ratios import decibels, median
from diffvs_jax.metrics.sums import Array, Sums, frame_sums

_USDR_EPSILON = 1e-7  # the challenges' own
_FRAME = 8192  # samples that are summed at a time: keeps long sums exact in float32


@functools.partial(jax.jit, static_argnums=2)
def framewise_sdr(references: Array, estimates: Array, sample_rate: int) -> jax.Array:
    """Image SDR of every source in every second, as museval 0.4.1 computes it (Stöter, Liutkus and Ito 2018).

    Per frame it is ``10 log10(sum s^2 / sum (e - s)^2)`` with all channels pooled: BSS-eval's
    distortion filters cancel in the SDR. A frame is NaN for all sources when any reference or
    estimate sums over channels to silence in it; a tail under one second is dropped.

    Args:
      references: ``[..., sources, samples, channels]``; score a target together with the rest of the mixture.
      estimates: like ``references``.
      sample_rate: samples per second, the frame and the hop.

    Returns:
      ``[..., sources, frames]`` in dB; infinite where an estimate is exact.

    Raises:
      ValueError: the shapes differ, or lack an axis.
    """
    if references.shape != estimates.shape or references.ndim < 3:
        raise ValueError(f"need [..., sources, samples, channels] twice, got {references.shape}, {estimates.shape}")
    whole = references.shape[-2] // sample_rate * sample_rate
    return sdr_of_frames(frame_sums(references[..., :whole, :], estimates[..., :whole, :], sample_rate))


@functools.partial(jax.jit, static_argnums=2)
def csdr(references: Array, estimates: Array, sample_rate: int) -> jax.Array:
    """Median over the frames of ``framewise_sdr`` that are not NaN, ``[..., sources]`` in dB; NaN without any."""
    return median(framewise_sdr(references, estimates, sample_rate))


@jax.jit
def usdr(reference: Array, estimate: Array) -> jax.Array:
    """SDR of the whole track (Mitsufuji et al. 2022; Fabbro et al. 2024), ``[...]`` in dB, always finite.

    ``10 log10((sum s^2 + 1e-7) / (sum (e - s)^2 + 1e-7))``, with samples and channels pooled.
    """
    return usdr_of_track(frame_sums(reference, estimate, _FRAME))


@jax.jit
def si_sdr(reference: Array, estimate: Array) -> jax.Array:
    """Scale-invariant SDR of the whole track (Le Roux et al. 2019, equation 5), ``[...]`` in dB.

    ``10 log10(|a s|^2 / |e - a s|^2)`` with ``a = <e, s> / |s|^2``. No mean is removed, and all
    channels make one vector, with one a. NaN for a silent reference, infinite for a scaled copy,
    which rounding may turn into a number above 100.
    """
    return si_sdr_of_track(frame_sums(reference, estimate, _FRAME))


def sdr_of_frames(sums: Sums) -> Array:
    """``framewise_sdr`` from sums ``[..., sources, frames]`` of whole seconds."""
    xp = sums.signal.__array_namespace__()
    silent = xp.any(sums.silent, axis=-2, keepdims=True)
    return xp.where(silent, float("nan"), decibels(sums.signal, sums.error))


def usdr_of_track(sums: Sums) -> Array:
    """``usdr`` from the sums of all its frames, ``[..., frames]``."""
    return decibels(sums.signal.sum(axis=-1) + _USDR_EPSILON, sums.error.sum(axis=-1) + _USDR_EPSILON)


def si_sdr_of_track(sums: Sums) -> Array:
    """``si_sdr`` from the sums of all its frames, ``[..., frames]``.

    The track's own gain a differs from that of a frame, a_k, so ``sum (e - a s)^2`` is the frames'
    ``sum (e - a_k s)^2 + 2 (a_k - a) sum (e - a_k s) s + (a_k - a)^2 sum s^2``: no two large terms cancel.
    """
    signal = sums.signal.sum(axis=-1)
    gain = (sums.gain * sums.signal + sums.cross).sum(axis=-1) / signal
    off = sums.gain - gain[..., None]
    error = (sums.residual + 2 * off * sums.cross + off * off * sums.signal).sum(axis=-1)
    xp = signal.__array_namespace__()
    return decibels(gain * gain * signal, xp.maximum(error, 0.0))  # rounding may leave less than nothing of no error
