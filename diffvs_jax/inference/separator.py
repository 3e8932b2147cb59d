"""``Separator``: a song as an array in, its stems as arrays out.

One compiled program of fixed shape takes a batch of chunks from waveform to waveform: STFT,
encoding, all Heun steps, decoding, inverse STFT. Everything that depends on the track's length
happens on the host, so device memory does not grow with it.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.audio import chunking, files
from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.compilation import Compiled, compile_program
from diffvs_jax.diffusion.samplers import sigma_grid
from diffvs_jax.errors import InputError
from diffvs_jax.inference.program import make_program, sampler_settings
from diffvs_jax.model import weights
from diffvs_jax.model.denoiser import Params

VOCALS = "vocals"
INSTRUMENTAL = "instrumental"  # mixture minus vocals
REST = "rest"  # mixture minus all targets, where vocals are none of them
Progress = Callable[[int, int], None]


class Separator:
    """Separates whole tracks with one trained model.

    >>> separator = Separator.from_checkpoint("runs/quickstart")  # doctest: +SKIP
    >>> stems = separator(audio, sample_rate=44_100)  # doctest: +SKIP
    >>> stems["vocals"].shape == audio.shape  # doctest: +SKIP
    True

    Attributes:
      config: what the model was trained with.
      targets: names of the separated stems, in the model's order.
      sigmas: the config's noise levels, float64 ``[steps + 1]``.
    """

    def __init__(self, params: Params, stats: BandStats, config: Any, *, seed: int = 0):
        """Builds the program for parameters that fit ``config``.

        Args:
          params: parameters of the network, usually an average over training.
          stats: band statistics of the training set.
          config: a config with sections audio, edm, model, sampler, separation and data.targets.
          seed: of the noise that each track starts from.
        """
        self.config = config
        self.targets: tuple[str, ...] = tuple(config.data.targets)
        self._path = SignalPath.from_config(config)
        self.sigmas, self._plan = separation_plan(config)
        self._params = jax.device_put(params)
        self._stats = jax.device_put(stats)
        self._key = jax.random.key(seed)
        self._program = jax.jit(make_program(config))
        self._compiled: dict[tuple[int, int], Compiled] = {}

    @classmethod
    def from_checkpoint(cls, path: str | os.PathLike, *, seed: int = 0) -> "Separator":
        """The newest model of a training run's workdir, one of its steps, or an export.

        Raises:
          InputError: no checkpoint there, or one that does not fit its own config.
        """
        model = weights.load(path)
        return cls(model.params, BandStats(**model.stats), model.config, seed=seed)

    def __call__(
        self,
        audio: np.ndarray,
        sample_rate: int,
        *,
        sigmas: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> dict[str, np.ndarray]:
        """Separates one track.

        Args:
          audio: ``[samples, channels]`` or ``[samples]``, any length from one sample up.
          sample_rate: of ``audio`` in Hz; the stems come back at the same rate.
          sigmas: another noise grid than the config's, ``[steps + 1]`` falling to zero. Two
            entries make the one-step estimate D(sigma_max). Only the length compiles anew.
          progress: called with (chunks done, chunks in all).

        Returns:
          A float32 array like ``audio`` for every target, and one for what is left: "instrumental",
          the mixture minus vocals, or "rest", the mixture minus all targets, where vocals are none of
          them. Nothing is rescaled.

        Raises:
          InputError: no samples, samples that are not finite, or an impossible rate.
        """
        mixture = _checked(audio, sample_rate)
        sigmas = self.sigmas if sigmas is None else sigmas
        inside = files.resample(mixture, sample_rate, self._path.sample_rate)
        inside = files.fit_length(inside, max(1, inside.shape[0]))  # a few samples may leave none at a lower rate
        groups = _channel_groups(mixture.shape[1], self._path.num_channels)
        total = len(groups) * chunking.num_chunks(inside.shape[0], self._plan)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        parts = [self._separate_group(inside[:, group], sigmas, advance) for group in groups]
        estimate = np.concatenate(parts, axis=-1)
        stems = {}
        for name, stem in zip(self.targets, estimate, strict=True):
            stem = files.resample(stem, self._path.sample_rate, sample_rate)
            stems[name] = files.fit_length(stem, mixture.shape[0]).reshape(audio.shape)
        return complete(mixture.reshape(audio.shape), stems, self.config.separation.sum_to_mixture)

    def compile(self, num_steps: int | None = None) -> Compiled:
        """Compiles the program for so many steps (the config's by default), and says how long that took.

        Otherwise the first chunk does. A program compiled before is not compiled again.
        """
        num_sigmas = len(self.sigmas) if num_steps is None else num_steps + 1
        return self._compile(self.config.separation.batch_size, num_sigmas)

    @property
    def num_compiled(self) -> int:
        """Programs compiled so far."""
        return len(self._compiled)

    def chunks(self, mixture_BNA: np.ndarray, first_frames: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
        """Runs the compiled program on chunks of the model's own rate, channels and length.

        Args:
          mixture_BNA: ``[B, chunk_samples, channels]``.
          first_frames: ``[B]`` global frame number of each chunk's start; chunks of one track
            that overlap start from the same noise where they do.
          sigmas: ``[steps + 1]`` noise levels.

        Returns:
          ``[B, S, chunk_samples, channels]``.
        """
        grid = jnp.asarray(sigmas, jnp.float32)
        program = self._compile(len(mixture_BNA), len(grid)).program
        frames = np.asarray(first_frames, np.int32)
        return np.asarray(program(self._params, self._stats, mixture_BNA, frames, grid, self._key))

    def _compile(self, batch_size: int, num_sigmas: int) -> Compiled:
        shape = (batch_size, num_sigmas)
        if shape not in self._compiled:
            mixture = jax.ShapeDtypeStruct((batch_size, self._path.chunk_samples, self._path.num_channels), np.float32)
            frames, grid = (
                jax.ShapeDtypeStruct((batch_size,), np.int32),
                jax.ShapeDtypeStruct((num_sigmas,), np.float32),
            )
            self._compiled[shape] = compile_program(
                self._program, self._params, self._stats, mixture, frames, grid, self._key
            )
        return self._compiled[shape]

    def _separate_group(self, mixture: np.ndarray, sigmas: np.ndarray, advance: Callable[[int], None]) -> np.ndarray:
        """Channels the model sees together, ``[samples, channels]`` to ``[S, samples, channels]``."""
        seen = files.to_channels(mixture, self._path.num_channels)
        estimates = self._estimates(seen, sigmas, advance)
        blocks = list(chunking.overlap_add(estimates, seen.shape[0], self._plan))
        stems = np.concatenate(blocks, axis=-2)
        return np.stack([files.to_channels(stem, mixture.shape[1]) for stem in stems])

    def _estimates(self, audio: np.ndarray, sigmas: np.ndarray, advance: Callable[[int], None]) -> Iterator[np.ndarray]:
        """Estimates ``[S, chunk_samples, channels]`` of a track's chunks, in order."""
        size = self.config.separation.batch_size
        for batch in _batched(enumerate(chunking.split(audio, self._plan)), size):
            indices = np.array([index for index, _ in batch])
            chunks = np.stack([chunk for _, chunk in batch])
            heard = np.abs(chunks).max(axis=(1, 2)) >= self._path.peak_floor
            estimates = np.zeros((len(batch), len(self.targets), *chunks.shape[1:]), np.float32)
            if heard.any():
                fill = size - len(batch)  # one program of one shape: the last batch is filled up
                padded = np.pad(chunks, ((0, fill), (0, 0), (0, 0)))
                first_frames = np.pad(indices * self.config.separation.step_frames, (0, fill))
                result = self.chunks(padded, first_frames, sigmas)
                estimates[heard] = result[: len(batch)][heard]
            yield from estimates
            advance(len(batch))


def complete(mixture: np.ndarray, stems: Mapping[str, np.ndarray], sum_to_mixture: bool) -> dict[str, np.ndarray]:
    """The model's stems as they are handed out: with what is left, after ``separation.sum_to_mixture`` where asked."""
    if sum_to_mixture:
        lacking = (mixture - np.sum(list(stems.values()), axis=0)) / np.float32(len(stems))
        stems = {name: stem + lacking for name, stem in stems.items()}
    return add_remainder(mixture, stems)


def add_remainder(mixture: np.ndarray, stems: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Stems and what is left of the mixture: "instrumental" without vocals, or "rest" without all of them."""
    if VOCALS in stems:
        return {**stems, INSTRUMENTAL: mixture - stems[VOCALS]}
    rest = mixture
    for stem in stems.values():
        rest = rest - stem
    return {**stems, REST: rest}


def separation_plan(config: Any) -> tuple[np.ndarray, chunking.ChunkPlan]:
    """The config's noise levels, float64 ``[steps + 1]``, and its chunks of a long track.

    Raises:
      InputError: a setting of ``audio``, ``sampler`` or ``separation`` that no track can be separated with.
    """
    path, separation, sampler = SignalPath.from_config(config), config.separation, config.sampler
    step, taper = (frames * path.hop_length for frames in (separation.step_frames, separation.taper_frames))
    plan = chunking.ChunkPlan(path.chunk_samples, step, taper)
    sampler_settings(config)
    if separation.sum_to_mixture and len(config.data.targets) < 2:
        raise InputError("separation.sum_to_mixture needs targets that are the whole music; data.targets names one")
    return sigma_grid(sampler.num_steps, sampler.sigma_min, sampler.sigma_max, sampler.rho), plan


def _batched(items: Iterable, size: int) -> Iterator[tuple]:
    iterator = iter(items)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch


def _channel_groups(have: int, wanted: int) -> list[slice]:
    """Channels to separate together: pairs for a stereo model (an odd one alone), each alone for mono."""
    return [slice(start, min(start + wanted, have)) for start in range(0, have, wanted)]


def _checked(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """``[samples, channels]`` float32, or one clear line."""
    audio = np.asarray(audio)
    if audio.ndim not in (1, 2) or audio.size == 0:
        raise InputError(f"audio has shape {audio.shape}; it must be [samples] or [samples, channels], not empty")
    if not np.issubdtype(audio.dtype, np.floating):
        raise InputError(f"audio is {audio.dtype}; convert it to floats with full scale at 1")
    if not np.isfinite(audio).all():
        raise InputError(f"audio holds {np.count_nonzero(~np.isfinite(audio))} NaN or infinite samples")
    if sample_rate <= 0:
        raise InputError(f"sample_rate is {sample_rate}; it must be positive")
    audio = audio.astype(np.float32)
    return audio[:, None] if audio.ndim == 1 else audio
