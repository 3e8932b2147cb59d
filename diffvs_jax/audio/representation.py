"""Waveform chunk to network tensor and back (Diff-VS, section "input representation").

``encode_mixture`` and ``encode_targets`` take waveforms ``[B, samples, channels]`` to tensors
``[B, T, F, C]``: STFT, amplitude transform, band split into channels, one constant per band.
``decode`` inverts all of it. Everything is per example, float32, and knows no model.

Axes: B batch, N samples, A audio channels, T frames, F frequency bins of one band,
S targets, C network channels. C is ordered band, audio channel, (re, im) for the condition
and target, band, audio channel, (re, im) for the targets.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.audio.stft import hann, istft, stft
from diffvs_jax.errors import InputError

BAND_NORMS = ("dataset", "chunk", "none")
_QUIETEST_BAND = 0.01  # a chunk's empty band is raised by at most 40 dB over the training set's usual


@dataclasses.dataclass(frozen=True)
class SignalPath:
    """Every setting of the path from waveform to tensor, checked once at the start."""

    sample_rate: int  # Hz
    num_channels: int  # audio channels the model sees: 1 or 2
    n_fft: int
    hop_length: int
    num_frames: int  # frames per chunk
    num_bands: int  # equal contiguous bands stacked into channels
    peak_norm: bool  # divide mixture and targets by the mixture chunk's peak
    peak_floor: float  # a mixture peak under this separates to zeros
    alpha: float  # exponent of the amplitude transform; 1 leaves amplitudes alone
    amplitude_scale: float  # its constant factor c
    epsilon: float  # added to |z|^2, so that nothing divides by zero
    band_norm: str  # one of BAND_NORMS
    sigma_data: float  # standard deviation wanted in every band

    def __post_init__(self):
        if self.n_fft % self.hop_length or self.n_fft < 2 * self.hop_length:
            raise InputError(
                f"audio.n_fft {self.n_fft} must be a multiple of audio.hop_length {self.hop_length}, and at least "
                "twice it: less overlap has no inverse"
            )
        if self.chunk_samples <= self.n_fft // 2:
            raise InputError(
                f"audio.num_frames {self.num_frames} gives {self.chunk_samples} samples; reflect padding "
                f"needs more than n_fft / 2 = {self.n_fft // 2}"
            )
        if self.num_bins % self.num_bands:
            raise InputError(f"audio.num_bands {self.num_bands} does not divide {self.num_bins} frequency bins")
        if self.num_channels not in (1, 2):
            raise InputError(f"audio.num_channels is {self.num_channels}; models see 1 or 2 channels")
        if self.band_norm not in BAND_NORMS:
            raise InputError(f"audio.band_norm {self.band_norm!r} is none of {BAND_NORMS}")

    @classmethod
    def from_config(cls, config: Any) -> "SignalPath":
        """Settings from a whole config: its ``audio`` section and ``edm.sigma_data``."""
        return cls(**config.audio, sigma_data=config.edm.sigma_data)

    @property
    def chunk_samples(self) -> int:
        """Samples per chunk: one hop fewer than frames, since frames are centred."""
        return (self.num_frames - 1) * self.hop_length

    @property
    def num_bins(self) -> int:
        """Frequency bins kept: DC is, Nyquist is not."""
        return self.n_fft // 2

    @property
    def band_bins(self) -> int:
        """F, the height of the network's tensor."""
        return self.num_bins // self.num_bands

    @property
    def condition_channels(self) -> int:
        """Network channels of one waveform: bands x audio channels x (re, im)."""
        return self.num_bands * self.num_channels * 2


class BandStats(NamedTuple):
    """Standard deviations of the transformed spectra in the training set, per band."""

    mixture: jax.Array | np.ndarray  # [bands]
    targets: jax.Array | np.ndarray  # [S, bands]

    @classmethod
    def ones(cls, num_targets: int, num_bands: int) -> "BandStats":
        """Neutral statistics."""
        return cls(np.ones(num_bands, np.float32), np.ones((num_targets, num_bands), np.float32))


class Context(NamedTuple):
    """What ``decode`` must know of the mixture it undoes."""

    peak: jax.Array  # [B]
    silent: jax.Array  # [B] bool: the mixture's peak is under the floor
    target_std: jax.Array  # [B or 1, S, bands]


def encode_mixture(mixture_BNA: jax.Array, stats: BandStats, path: SignalPath) -> tuple[jax.Array, Context]:
    """Mixture chunks to the network's condition.

    Args:
      mixture_BNA: ``[B, chunk_samples, channels]`` waveform.
      stats: per-band statistics of the training set.
      path: the settings.

    Returns:
      condition ``[B, T, F, condition_channels]`` with a standard deviation near
      ``sigma_data`` in every band, and the context that ``encode_targets`` and ``decode`` need.
    """
    _, silent, peak = _peak(mixture_BNA, path)
    features = _transform(mixture_BNA / peak[:, None, None], path)  # [B, T, F, bands, A * 2]
    mixture_std, target_std = _band_std(features, stats, path)
    condition = features * (path.sigma_data / mixture_std)[:, None, None, :, None]
    return _flatten(condition, 2), Context(peak, silent, target_std)


def encode_targets(targets_BSNA: jax.Array, context: Context, path: SignalPath) -> jax.Array:
    """Target chunks ``[B, S, chunk_samples, channels]`` to ``[B, T, F, S * condition_channels]``."""
    features = _transform(targets_BSNA / context.peak[:, None, None, None], path)  # [B, S, T, F, bands, A * 2]
    features = features * (path.sigma_data / context.target_std)[:, :, None, None, :, None]
    return _flatten(jnp.moveaxis(features, 1, 3), 3)


def decode(x_BTFC: jax.Array, context: Context, path: SignalPath) -> jax.Array:
    """Inverse of ``encode_targets``: ``[B, S, chunk_samples, channels]``; zeros where the mixture was silent."""
    batch, frames = x_BTFC.shape[:2]
    num_targets = context.target_std.shape[1]
    shape = (batch, frames, path.band_bins, num_targets, path.num_bands, path.num_channels * 2)
    features = jnp.moveaxis(x_BTFC.reshape(shape), 3, 1)
    features = features * (context.target_std / path.sigma_data)[:, :, None, None, :, None]
    audio = _inverse_transform(features, path) * context.peak[:, None, None, None]
    return jnp.where(context.silent[:, None, None, None], 0.0, audio)


def units(context: Context, path: SignalPath) -> jax.Array:
    """How much one is in each channel of ``encode_targets``, ``[B, C]``, in the amplitude transform's own units.

    Chunks of one track differ in it by their peaks: multiplied by it, their tensors can be compared.
    """
    std = jnp.repeat(context.target_std, path.num_channels * 2, axis=-1)  # [B or 1, S, C of a target]
    return context.peak[:, None] ** path.alpha * std.reshape(std.shape[0], -1)


class FrameMoments(NamedTuple):
    """Frame by frame, what the training set's statistics are summed from; rows R: the mixture, then the targets."""

    mean: jax.Array  # [B, R, T, bands], of the numbers that a frame has in a band
    variance: jax.Array  # [B, R, T, bands], about that mean
    level: jax.Array  # [B, R, T], root mean square of a frame's samples; 1 is the mixture chunk's peak
    silent: jax.Array  # [B] bool, as in Context


def frame_moments(mixture_BNA: jax.Array, targets_BSNA: jax.Array, path: SignalPath) -> FrameMoments:
    """Moments of what ``encode_mixture`` and ``encode_targets`` are given, before any division by statistics.

    Each is of ``band_bins * num_channels * 2`` numbers, few enough for float32; the host sums up frames in float64.
    """
    peak, silent, divisor = _peak(mixture_BNA, path)
    audio = jnp.concatenate([mixture_BNA[:, None], targets_BSNA], axis=1) / divisor[:, None, None, None]
    spectrum = _spectrum(audio, path)  # [B, R, A, T, bins]
    features = _features(spectrum, path)  # [B, R, T, F, bands, A * 2]
    # Parseval: a frame's power is its spectrum's over n_fft and the window's; each bin stands for two.
    power = jnp.sum(jnp.square(spectrum.real) + jnp.square(spectrum.imag), axis=-1).mean(axis=2)
    power *= 2 / (path.n_fft * np.sum(np.square(hann(path.n_fft))))
    level = jnp.sqrt(power) * (divisor / jnp.maximum(peak, path.peak_floor))[:, None, None]
    return FrameMoments(jnp.mean(features, axis=(3, 5)), jnp.var(features, axis=(3, 5)), level, silent)


def compress(z: jax.Array, alpha: float, scale: float, epsilon: float) -> jax.Array:
    """Amplitude transform of complex ``z``: ``scale * |z|^alpha`` with the phase kept (SGMSE+, eq. 4).

    Written as a real factor ``(re^2 + im^2 + epsilon)^((alpha - 1) / 2)``: no angle, no root at zero.
    """
    power = jnp.square(z.real) + jnp.square(z.imag) + epsilon
    factor = scale * power ** ((alpha - 1) / 2)
    return z * jax.lax.optimization_barrier(factor)  # or XLA computes it once for re and once for im


def expand(z: jax.Array, alpha: float, scale: float, epsilon: float) -> jax.Array:
    """Inverse of ``compress``: ``(|z| / scale)^(1 / alpha)`` with the phase kept."""
    z = z / scale
    power = jnp.square(z.real) + jnp.square(z.imag) + epsilon * epsilon  # only keeps 0 ** 0 out of gradients
    return z * power ** ((1 / alpha - 1) / 2)


def _peak(mixture_BNA: jax.Array, path: SignalPath) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Peak ``[B]``, whether that is silence ``[B]``, and what to divide by ``[B]``."""
    peak = jnp.max(jnp.abs(mixture_BNA), axis=(1, 2))
    silent = peak < path.peak_floor
    return peak, silent, jnp.where(silent | (not path.peak_norm), 1.0, peak)


def _transform(audio: jax.Array, path: SignalPath) -> jax.Array:
    """``[..., N, A]`` to compressed ``[..., T, F, bands, A * 2]``, band-major in frequency."""
    return _features(_spectrum(audio, path), path)


def _spectrum(audio: jax.Array, path: SignalPath) -> jax.Array:
    """``[..., N, A]`` to complex ``[..., A, T, bins]``, Nyquist dropped."""
    return stft(jnp.moveaxis(audio, -1, -2), path.n_fft, path.hop_length)[..., : path.num_bins]


def _features(spectrum: jax.Array, path: SignalPath) -> jax.Array:
    """Complex ``[..., A, T, bins]`` to compressed ``[..., T, F, bands, A * 2]``."""
    z = compress(spectrum, path.alpha, path.amplitude_scale, path.epsilon)  # [..., A, T, bins]
    parts = jnp.stack([z.real, _without_dc(z.imag)], axis=-1)  # [..., A, T, bins, 2]
    parts = parts.reshape(*parts.shape[:-2], path.num_bands, path.band_bins, 2)
    lead = tuple(range(parts.ndim - 5))
    a, t, band, f, part = range(parts.ndim - 5, parts.ndim)
    parts = parts.transpose(*lead, t, f, band, a, part)
    return parts.reshape(*parts.shape[:-2], path.num_channels * 2)


def _inverse_transform(features: jax.Array, path: SignalPath) -> jax.Array:
    """Compressed ``[..., T, F, bands, A * 2]`` to waveforms ``[..., N, A]``."""
    parts = features.reshape(*features.shape[:-1], path.num_channels, 2)
    lead = tuple(range(parts.ndim - 5))
    t, f, band, a, part = range(parts.ndim - 5, parts.ndim)
    parts = parts.transpose(*lead, a, t, band, f, part)
    parts = parts.reshape(*parts.shape[:-3], path.num_bins, 2)
    z = jax.lax.complex(parts[..., 0], _without_dc(parts[..., 1]))
    spectrum = expand(z, path.alpha, path.amplitude_scale, path.epsilon)
    nyquist = [(0, 0)] * (spectrum.ndim - 1) + [(0, 1)]
    audio = istft(jnp.pad(spectrum, nyquist), path.n_fft, path.hop_length)
    return jnp.moveaxis(audio, -2, -1)


def _without_dc(imag: jax.Array) -> jax.Array:
    """Zeroes bin 0: a real signal has no imaginary part there, and the inverse would ignore it."""
    return imag.at[..., 0].set(0.0)


def _band_std(features: jax.Array, stats: BandStats, path: SignalPath) -> tuple[jax.Array, jax.Array]:
    """Standard deviations to divide by: mixture ``[B or 1, bands]``, targets ``[B or 1, S, bands]``."""
    mixture, targets = jnp.asarray(stats.mixture), jnp.asarray(stats.targets)
    if path.band_norm == "none":  # one constant for all bands keeps EDM's sigma_data true on average
        mixture = jnp.broadcast_to(jnp.sqrt(jnp.mean(jnp.square(mixture))), mixture.shape)
        rms = jnp.sqrt(jnp.mean(jnp.square(targets), axis=-1, keepdims=True))
        targets = jnp.broadcast_to(rms, targets.shape)
    if path.band_norm == "chunk":  # the mixture's own loudness, which is known when separating, scales both
        chunk = jnp.sqrt(jnp.mean(jnp.square(features), axis=(1, 2, 4)))
        chunk = jnp.maximum(chunk, _QUIETEST_BAND * mixture[None])
        return chunk, chunk[:, None] * (targets / mixture[None])[None]
    return mixture[None], targets[None]


def _flatten(features: jax.Array, num_axes: int) -> jax.Array:
    """Joins the last ``num_axes`` axes into network channels."""
    return features.reshape(*features.shape[:-num_axes], -1)
