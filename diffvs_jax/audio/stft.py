"""Short-time Fourier transform and its exact inverse, in pure jax.numpy.

Conventions are those of ``torch.stft(center=True, normalized=False)`` and librosa with a
periodic Hann window: ``n_fft / 2`` samples of reflect padding on each side, no scaling.
Frames are cut by stacking shifted hop-blocks instead of gathering, so both directions are
slices and sums that XLA fuses. A batch split over devices stays split.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.audio.fourier import irfft, rfft


@functools.cache
def hann(n_fft: int) -> np.ndarray:
    """Periodic Hann window, float32 ``[n_fft]``."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


def stft(audio: jax.Array, n_fft: int, hop_length: int) -> jax.Array:
    """Spectrum of ``[..., samples]`` as complex ``[..., frames, n_fft // 2 + 1]``.

    ``frames == 1 + samples // hop_length``. Needs ``n_fft % hop_length == 0`` and more than
    ``n_fft // 2`` samples.
    """
    overlap = n_fft // hop_length
    num_frames = 1 + audio.shape[-1] // hop_length
    pad = [(0, 0)] * (audio.ndim - 1) + [(n_fft // 2, n_fft // 2)]
    padded = jnp.pad(audio, pad, mode="reflect")[..., : (num_frames + overlap - 1) * hop_length]
    blocks = padded.reshape(*audio.shape[:-1], num_frames + overlap - 1, hop_length)
    frames = jnp.concatenate([blocks[..., k : k + num_frames, :] for k in range(overlap)], axis=-1)
    window = jnp.asarray(hann(n_fft), frames.dtype).reshape((1,) * (frames.ndim - 1) + (n_fft,))
    return rfft(frames * window)


def istft(spectrum: jax.Array, n_fft: int, hop_length: int) -> jax.Array:
    """Least-squares inverse of ``stft``: ``[..., frames, bins]`` to ``[..., (frames - 1) * hop_length]``.

    Imaginary parts at DC and Nyquist are ignored, as an inverse real FFT does.
    """
    overlap = n_fft // hop_length
    num_frames = spectrum.shape[-2]
    lead = spectrum.shape[:-2]
    frames = irfft(spectrum, n_fft)
    window = jnp.asarray(hann(n_fft), frames.dtype).reshape((1,) * (frames.ndim - 1) + (n_fft,))
    blocks = (frames * window).reshape(*lead, num_frames, overlap, hop_length)
    shift = [(0, 0)] * len(lead)
    shifted = [jnp.pad(blocks[..., k, :], [*shift, (k, overlap - 1 - k), (0, 0)]) for k in range(overlap)]
    total = functools.reduce(jnp.add, shifted)
    length = (num_frames - 1) * hop_length
    samples = total.reshape(*lead, -1)[..., n_fft // 2 : n_fft // 2 + length]
    weight = _window_power(n_fft, hop_length, num_frames)[n_fft // 2 : n_fft // 2 + length]
    return samples / jnp.asarray(weight, samples.dtype).reshape((1,) * len(lead) + (length,))


@functools.cache
def _window_power(n_fft: int, hop_length: int, num_frames: int) -> np.ndarray:
    power = np.zeros((num_frames - 1) * hop_length + n_fft)
    for frame in range(num_frames):
        power[frame * hop_length : frame * hop_length + n_fft] += hann(n_fft).astype(np.float64) ** 2
    return power
