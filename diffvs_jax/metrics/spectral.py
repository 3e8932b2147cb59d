"""Log-spectral distance in dB, pure functions of waveforms; smaller is better."""

import functools

import jax
import jax.numpy as jnp

from diffvs_jax.audio.stft import stft
from diffvs_jax.metrics.sums import Array

N_FFT = 2048
HOP = 512
FLOOR_DB = -100.0


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def log_spectral_distance(
    reference: Array, estimate: Array, n_fft: int = N_FFT, hop: int = HOP, floor_db: float = FLOOR_DB
) -> jax.Array:
    """How far apart the spectra's levels are: root mean square over bins, then mean over frames and channels.

    ``sqrt(mean_f (10 log10 P(f) - 10 log10 Q(f))^2)`` is the rms log spectral distance d2 of Gray and
    Markel ("Distance measures for speech processing", IEEE Trans. ASSP 24, 1976) for the power
    spectra P and Q of a frame. Its mean over frames is what papers on bandwidth extension report
    since Kuleshov et al. 2017, most of them without the factor 10. Phases do not matter.

    Frames have a Hann window and are all that touch the signal, silence being around it. Powers
    below ``floor_db`` of a full-scale sine's count as that: what cannot be heard does not differ.
    A frame and channel in which both lie below it everywhere holds nothing to compare and is left
    out, so silence at the end changes nothing.

    Args:
      reference: ``[..., samples, channels]``, 1 is full scale.
      estimate: like ``reference``.
      n_fft: samples of a frame, a multiple of ``hop``.
      hop: samples from frame to frame.
      floor_db: in dB of a full-scale sine.

    Returns:
      ``[...]`` in dB; 0 for an exact estimate, NaN where both are silent.
    """
    around = [(0, 0)] * (reference.ndim - 2) + [(n_fft, n_fft), (0, 0)]
    own, other = (levels(jnp.pad(audio, around), n_fft, hop, floor_db) for audio in (reference, estimate))
    return jnp.nanmean(frame_distances(own, other, floor_db), axis=(-2, -1))


def levels(audio: Array, n_fft: int = N_FFT, hop: int = HOP, floor_db: float = FLOOR_DB) -> jax.Array:
    """Of ``[..., samples, channels]`` the frames that lie inside: ``[..., channels, frames, bins]`` in dB."""
    edge = n_fft // hop // 2  # frames centred nearer to an end reach beyond it
    spectrum = stft(jnp.swapaxes(audio, -1, -2), n_fft, hop)[..., edge:-edge, :]
    power = (jnp.square(spectrum.real) + jnp.square(spectrum.imag)) / (n_fft / 4) ** 2  # 1 for a full-scale sine
    return jnp.maximum(10 * jnp.log10(power), floor_db)


def frame_distances(reference: Array, estimate: Array, floor_db: float = FLOOR_DB) -> jax.Array:
    """Distance of levels ``[..., bins]``, in dB; NaN where both are at the floor in all bins."""
    heard = jnp.any((reference > floor_db) | (estimate > floor_db), axis=-1)
    return jnp.where(heard, jnp.sqrt(jnp.mean(jnp.square(reference - estimate), axis=-1)), jnp.nan)
