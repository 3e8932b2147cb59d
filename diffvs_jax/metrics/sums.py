"""What every SDR is made of: a few sums per frame, from which all else follows in any precision.

Sums are of squares and products of samples, never differences of such sums, so that float32
serves: no digit is lost to cancellation, however small an error is beside the signal. Formulas
are written for numpy and jax.numpy alike: inside a program, or on the host in float64.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any  # of numpy or of jax


class Sums(NamedTuple):
    """Sums over the samples and channels of a reference s and its estimate e, ``[..., frames]`` each.

    Attributes:
      signal: of s^2.
      estimate: of e^2.
      error: of (e - s)^2.
      gain: the a that brings a s closest to e; 0 where s is silent.
      residual: of (e - a s)^2.
      cross: of (e - a s) s, which is nothing but rounding.
      silent: whether the channels of s, or those of e, add up to 0 at every sample, as museval's rule has it.
    """

    signal: Array
    estimate: Array
    error: Array
    gain: Array
    residual: Array
    cross: Array
    silent: Array


def frame_sums(reference: Array, estimate: Array, frame: int) -> Sums:
    """Sums of every ``frame`` samples of ``[..., samples, channels]``; the last frame ends in silence."""
    if reference.shape != estimate.shape or reference.ndim < 2:
        raise ValueError(f"need [..., samples, channels] twice, got {reference.shape}, {estimate.shape}")
    s, e = _frames(reference, frame), _frames(estimate, frame)
    silent = _silent(s) | _silent(e)
    s, e = (x.reshape(*x.shape[:-2], frame * x.shape[-1]) for x in (s, e))
    signal, product = _dot(s, s), _dot(s, e)
    gain = jnp.where(signal > 0, product / jnp.where(signal > 0, signal, 1), 0)
    rest = e - gain[..., None] * s
    return Sums(signal, _dot(e, e), _dot(e - s, e - s), gain, _dot(rest, rest), _dot(rest, s), silent)


def _frames(audio: Array, frame: int) -> jax.Array:
    """``[..., frames, frame, channels]``."""
    *lead, samples, channels = audio.shape
    count = -(-samples // frame)
    padded = jnp.pad(audio, [(0, 0)] * len(lead) + [(0, count * frame - samples), (0, 0)])
    return padded.reshape(*lead, count, frame, channels)


def _silent(frames: jax.Array) -> jax.Array:
    channels = [frames[..., channel] for channel in range(frames.shape[-1])]  # XLA is slow at sums of two
    return ~jnp.any(sum(channels[1:], channels[0]) != 0, axis=-1)


def _dot(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum(x * y, axis=-1)
