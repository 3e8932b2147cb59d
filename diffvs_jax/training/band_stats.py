"""The training set's loudness per band: exact moments of what the network is fed, over frames that sound.

A band's standard deviation is measured over the frames in which its stem is heard: it is a property
of voices, and not of how often they rest or how often augmentation drops them. So a frame with a
voice reaches the network with ``edm.sigma_data`` in every band, which is what EDM's preconditioning
assumes of data, whatever the share of silence in a training set. Averaged over all frames, rests
included, the targets' deviation (the metric ``target_std``) is lower by the root of that share.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from diffvs_jax.audio.representation import BandStats, FrameMoments, SignalPath, frame_moments
from diffvs_jax.errors import InputError
from diffvs_jax.training.gradient import split_stems

# A frame sounds above this: -60 dB of the mixture chunk's peak. That is above what 16 bits, dither and the
# end of a reverberation leave in a rest, and so far below singing that 10 dB more or less change the
# deviations of a (procedural) voice by 3 %.
ACTIVE_LEVEL = 1e-3

# Between sets of 128 chunks of procedural songs the voice's deviations spread by 4 to 8 %, the mixture's by 1 to 3 %.
_TOLERANCE = 0.2
_FEWEST_CHUNKS = 16


class Measurement(NamedTuple):
    """Statistics, and how much audio is behind them."""

    stats: BandStats  # float32
    seconds: float  # of all chunks
    active_seconds: tuple[float, ...]  # per target: of frames in which it sounds


class RunningMoments:
    """Exact mean and variance of all that is added, in float64 (Chan, Golub and LeVeque 1983).

    Neither the order in which frames are added nor how they are batched changes them.

    Attributes:
      frames: frames that sounded so far, int ``[R]``; rows are the mixture, then the targets.
      chunks: chunks added so far.
      chunks_heard: of them those with such frames, int ``[R]``.
    """

    def __init__(self, num_rows: int, path: SignalPath):
        self.frames = np.zeros(num_rows, np.int64)
        self.chunks = 0
        self.chunks_heard = np.zeros(num_rows, np.int64)
        self._size = path.band_bins * path.num_channels * 2  # numbers behind each moment of a frame
        self._mean = np.zeros((num_rows, path.num_bands))
        self._deviation = np.zeros((num_rows, path.num_bands))  # squared, summed
        self._products = np.zeros((3, num_rows, path.num_bands))  # of chunks' powers and lengths, for the error

    def add(self, moments: FrameMoments) -> None:
        """Adds a batch of chunks; mixtures that are silent do not count, nor do targets in them."""
        sounds = np.asarray(moments.level > ACTIVE_LEVEL)
        sounds[:, 0] = True
        sounds &= ~moments.silent[:, None, None]
        weights = sounds[..., None].astype(np.float64)
        lengths = self._size * sounds.sum(axis=2)[..., None]
        powers = self._size * (weights * (moments.variance + np.square(moments.mean))).sum(axis=2)
        self._products += np.stack([powers**2, powers * lengths, np.broadcast_to(lengths**2, powers.shape)]).sum(axis=1)
        frames = sounds.sum(axis=(0, 2))
        mean = (weights * moments.mean).sum(axis=(0, 2)) / np.maximum(frames, 1)[:, None]
        spread = moments.variance + np.square(moments.mean - mean[None, :, None])
        deviation = self._size * (weights * spread).sum(axis=(0, 2))

        total = self.frames + frames
        share = (frames / np.maximum(total, 1))[:, None]
        step = mean - self._mean
        self._deviation += deviation + np.square(step) * self._size * self.frames[:, None] * share
        self._mean += step * share
        self.frames = total
        self.chunks += len(sounds)
        self.chunks_heard += sounds.any(axis=2).sum(axis=0)

    def std(self) -> np.ndarray:
        """Standard deviations, float64 ``[R, bands]``; zero for a row that never sounded."""
        return np.sqrt(self._deviation / self._counts())

    def error(self) -> np.ndarray:
        """Relative standard error of ``std``, ``[R, bands]``: loudness differs from chunk to chunk, not frame to frame.

        That of a ratio of two sums over chunks, power and length (the delta method).
        """
        counts = self._counts()
        variance = self._deviation / counts
        squares = self._products[0] - 2 * variance * self._products[1] + variance**2 * self._products[2]
        return np.sqrt(np.maximum(squares, 0)) / counts / np.maximum(2 * variance, np.finfo(float).tiny)

    def _counts(self) -> np.ndarray:
        return (self._size * np.maximum(self.frames, 1))[:, None]


def running_moments(batches: Iterator[np.ndarray], num_batches: int, path: SignalPath) -> RunningMoments:
    """Moments of ``num_batches`` training batches ``[B, S + 1, N, A]``, as they enter ``BandStats``."""
    first = next(batches)
    running = RunningMoments(first.shape[1], path)  # a mixture instead of the rest
    running.add(jax.device_get(batch_moments(first, path)))
    for _ in range(num_batches - 1):
        running.add(jax.device_get(batch_moments(next(batches), path)))
    return running


@functools.partial(jax.jit, static_argnames="path")
def batch_moments(stems: jax.Array, path: SignalPath) -> FrameMoments:
    """Moments of every frame of a training batch ``[B, S + 1, N, A]``, on the device."""
    return frame_moments(*split_stems(stems), path)


class Check(NamedTuple):
    """What statistics make of chunks that they were not measured on; rows are the mixture, then the targets."""

    std: np.ndarray  # [R, bands] of the encoded frames that sound; should be sigma_data
    tolerance: np.ndarray  # [R, bands] relative: what chance, or a few loud songs, can explain
    chunks: int

    def misses(self, sigma_data: float) -> list[tuple[int, int]]:
        """Pairs (row, band) whose deviation is further from ``sigma_data`` than the tolerance."""
        return [(int(r), int(b)) for r, b in np.argwhere(np.abs(self.std / sigma_data - 1) > self.tolerance)]


def check_band_stats(batches: Iterator[np.ndarray], num_batches: int, stats: BandStats, path: SignalPath) -> Check:
    """Deviations after the division by ``stats``, where ``band_norm`` is "dataset", over ``num_batches`` batches.

    The tolerance is 20 %, or four standard errors where chunks differ so much that those are more;
    it is infinite for a row that is heard in too few chunks to tell.
    """
    running = running_moments(batches, num_batches, path)
    std = running.std() / np.concatenate([np.asarray(stats.mixture)[None], stats.targets]) * path.sigma_data
    enough = running.chunks_heard[:, None] >= _FEWEST_CHUNKS
    return Check(std, np.where(enough, np.maximum(_TOLERANCE, 4 * running.error()), np.inf), running.chunks)


def measure_band_stats(batches: Iterator[np.ndarray], num_batches: int, path: SignalPath) -> Measurement:
    """Standard deviations per band over ``num_batches`` training batches ``[B, S + 1, N, A]``.

    A target's are over the frames in which it sounds (``ACTIVE_LEVEL``), the mixture's over all
    frames of chunks that are not silent.

    Raises:
      InputError: a target or the mixture is silent in some band throughout.
    """
    running = running_moments(batches, num_batches, path)
    std = running.std().astype(np.float32)
    stats = BandStats(std[0], std[1:])
    for name, values in (("mixture", stats.mixture), ("target", stats.targets)):
        if not np.all(values > 0):
            raise InputError(
                f"a {name} is silent in some band of {num_batches} training batches (std {values.tolist()}); "
                "check the stems, or measure more with data.stats_batches"
            )
    seconds = running.chunks * path.chunk_samples / path.sample_rate
    active = running.frames[1:] * path.hop_length / path.sample_rate
    return Measurement(stats, seconds, tuple(map(float, active)))
