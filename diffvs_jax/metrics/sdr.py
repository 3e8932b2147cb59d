"""Signal-to-distortion ratios, in dB, of waveforms ``[samples, channels]``; float64 on the host.

Three definitions that must never share a column:

- cSDR: museval's BSS-eval v4 image SDR per one-second frame, median over frames (SiSEC 2018).
- uSDR: one ratio over the whole track (MDX 2021 and SDX 2023 challenges).
- SI-SDR: invariant to the estimate's gain (Le Roux et al. 2019).
"""

import numpy as np

_USDR_EPSILON = 1e-7  # the challenges' own


def framewise_sdr(references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> np.ndarray:
    """Image SDR of every source in every second, as museval 0.4.1 computes it.

    Per frame it is ``10 log10(sum s^2 / sum (s_hat - s)^2)`` with both channels pooled: BSS-eval's
    distortion filters cancel in the SDR. A frame is NaN for all sources when any reference or
    estimate sums over channels to silence in it; a tail under one second is dropped.

    Args:
      references: ``[sources, samples, channels]``; score a target together with the rest of the mixture.
      estimates: like ``references``.
      sample_rate: samples per second, the frame and the hop.

    Returns:
      float64 ``[sources, frames]``; infinite where an estimate is exact.
    """
    if references.shape != estimates.shape or references.ndim != 3:
        raise ValueError(f"need [sources, samples, channels] twice, got {references.shape}, {estimates.shape}")
    frames = references.shape[1] // sample_rate
    shape = (references.shape[0], frames, sample_rate, references.shape[2])
    s = references[:, : frames * sample_rate].reshape(shape).astype(np.float64)
    e = estimates[:, : frames * sample_rate].reshape(shape).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        sdr = 10 * np.log10(np.sum(s**2, axis=(2, 3)) / np.sum((s - e) ** 2, axis=(2, 3)))
    silent = np.any(~np.any(s.sum(axis=3), axis=2) | ~np.any(e.sum(axis=3), axis=2), axis=0)
    sdr[:, silent] = np.nan
    return sdr


def csdr(references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> np.ndarray:
    """Median over the finite-or-infinite frames of ``framewise_sdr``, ``[sources]``; NaN without any."""
    sdr = framewise_sdr(references, estimates, sample_rate)
    scored = sdr[:, ~np.isnan(sdr).any(axis=0)]
    return np.median(scored, axis=1) if scored.shape[1] else np.full(sdr.shape[0], np.nan)


def usdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """``10 log10((sum s^2 + 1e-7) / (sum (s - s_hat)^2 + 1e-7))`` over the whole track, channels pooled."""
    s, e = reference.astype(np.float64), estimate.astype(np.float64)
    return float(10 * np.log10((np.sum(s**2) + _USDR_EPSILON) / (np.sum((s - e) ** 2) + _USDR_EPSILON)))


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant SDR over the whole track: no mean removed, channels pooled into one vector.

    ``10 log10(|a s|^2 / |a s - s_hat|^2)`` with ``a = <s_hat, s> / |s|^2``. NaN for a silent
    reference, infinite for a scaled copy.
    """
    s, e = reference.astype(np.float64).ravel(), estimate.astype(np.float64).ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        projection = s * (np.dot(e, s) / np.dot(s, s))
        return float(10 * np.log10(np.sum(projection**2) / np.sum((projection - e) ** 2)))
