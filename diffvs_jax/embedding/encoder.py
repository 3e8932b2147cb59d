"""``Embedder``: a track in, a network's hidden states out, chunk by chunk."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from diffvs_jax.audio.files import resample, to_channels
from diffvs_jax.embedding.hubert import Hubert
from diffvs_jax.embedding.published import Published
from diffvs_jax.errors import InputError


class Chunk(NamedTuple):
    """A part of a track: its frames are ``first_frame`` and those behind it; the first ``seen`` of them came before."""

    first_frame: int
    seen: int


def normalise(waveform: np.ndarray) -> np.ndarray:
    """``[samples]`` with zero mean and unit variance, as published preprocessors do it; silence stays silent."""
    mean, variance = waveform.mean(dtype=np.float64), waveform.var(dtype=np.float64)
    return ((waveform - mean) / np.sqrt(variance + 1e-7)).astype(np.float32)


def chunks(num_frames: int, chunk_frames: int) -> Iterator[Chunk]:
    """Chunks that hold every frame of a track; the last one ends with it and overlaps the one before.

    A track of fewer frames is one chunk.
    """
    for frame in range(0, num_frames, chunk_frames):
        first = max(0, min(frame, num_frames - chunk_frames))
        yield Chunk(first, frame - first)


class Embedder:
    """Hidden states of one layer for tracks of any length and rate, by one compiled program.

    A track is averaged over channels, resampled, and cut into chunks that follow each other without
    a gap, on the grid of the network's frames. Its last chunk is as long as the others: it reaches back
    into the one before, and its frames that were already there are left out. So each frame of
    the track counts once, and each sees a whole chunk. A track shorter than a chunk is one chunk of its
    own length: the program takes it padded with zeros, and masks them out exactly.

    What an accelerator computes is float32 in full precision.

    Attributes:
      layer: whose output; 1 is the first one, 0 what enters it.
      sample_rate: in Hz, of the network.
    """

    def __init__(
        self, published: Published, *, layer: int | None = None, chunk_seconds: float = 10.0, batch_size: int = 1
    ):
        """Takes weights; the program is compiled when the first track comes.

        Args:
          published: weights of the network.
          layer: 12 by default, or the last one where there are fewer.
          chunk_seconds: length of a chunk, rounded down to whole frames.
          batch_size: chunks at a time. One suits a CPU; an accelerator is fuller with more. At HuBERT-base's size
            each needs 0.2 GiB.

        Raises:
          InputError: a layer that is not there, or chunks too short for a frame.
        """
        settings = published.settings
        self.layer = min(12, settings.num_hidden_layers) if layer is None else layer
        self.sample_rate = published.sample_rate
        if not 0 <= self.layer <= settings.num_hidden_layers:
            raise InputError(f"layer {layer}: {published.name} has layers up to {settings.num_hidden_layers}")
        self._settings, self._batch_size = settings, batch_size
        self._chunk_frames = settings.num_frames(round(chunk_seconds * self.sample_rate))
        if not self._chunk_frames:
            least = settings.field / self.sample_rate
            raise InputError(f"chunks of {chunk_seconds} s are too short for a frame, which takes {least:.3f} s")
        self._params = jax.device_put(published.params)
        self._program = jax.jit(self._states)

    def __call__(self, audio: np.ndarray, sample_rate: int) -> Iterator[np.ndarray]:
        """Embeds a track.

        Args:
          audio: ``[samples, channels]``.
          sample_rate: its rate in Hz.

        Yields:
          float32 ``[frames, hidden_size]``, the new frames of one chunk after the other. None for a track
          shorter than one frame.
        """
        waveform = resample(to_channels(audio, 1), sample_rate, self.sample_rate)[:, 0]
        planned = chunks(self._settings.num_frames(len(waveform)), self._chunk_frames)
        while batch := list(itertools.islice(planned, self._batch_size)):
            states, frames = self._embed(waveform, batch)
            for index, chunk in enumerate(batch):
                yield states[index, chunk.seen : frames[index]]

    def _embed(self, waveform: np.ndarray, batch: list[Chunk]) -> tuple[np.ndarray, list[int]]:
        """States ``[batch_size, chunk_frames, hidden_size]`` and how many frames of each chunk are the track's."""
        hop, settings = self._settings.hop, self._settings
        length = (self._chunk_frames - 1) * hop + settings.field
        padded, num_samples = np.zeros((self._batch_size, length), np.float32), np.zeros(self._batch_size, np.int32)
        for row, chunk in enumerate(batch):
            part = waveform[chunk.first_frame * hop :][:length]
            padded[row, : len(part)], num_samples[row] = normalise(part), len(part)
        states = self._program(self._params, padded, num_samples)
        return np.asarray(states), [settings.num_frames(int(count)) for count in num_samples]

    def _states(self, params: Any, waveforms: jax.Array, num_samples: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            states = Hubert(self._settings).apply({"params": params}, waveforms, num_samples)
        return states.hidden[self.layer]  # type: ignore[union-attr]
