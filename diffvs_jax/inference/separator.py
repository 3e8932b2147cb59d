"""``Separator``: a song as an array in, its stems as arrays out; or as a stream, or a whole library of streams.

One compiled program of fixed shape takes chunks from waveform to waveform: STFT, encoding, all
Heun steps, decoding, inverse STFT. Everything that depends on a track's length is streamed by the
host, so memory does not grow with it, on the device or off it.
"""

import copy
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from diffvs_jax.audio import chunking
from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.compilation import Compiled
from diffvs_jax.diffusion.samplers import check_sigmas, sigma_grid
from diffvs_jax.errors import InputError
from diffvs_jax.inference.packing import Piece
from diffvs_jax.inference.program import chunk_plan, sampler_settings
from diffvs_jax.inference.remainder import complete
from diffvs_jax.inference.solver import Solver
from diffvs_jax.inference.track import Estimate, Track, assemble, pieces
from diffvs_jax.model import weights
from diffvs_jax.model.denoiser import Params

Progress = Callable[[float, float], None]
Stems = dict[str, np.ndarray]
_MOST_OVERLAPPING = 8  # chunks over one frame: the program's size grows with them


class Separator:
    """Separates whole tracks with one trained model.

    >>> separator = Separator.from_checkpoint("runs/quickstart")
    >>> stems = separator(audio, sample_rate=44_100)
    >>> list(stems), stems["vocals"].shape == audio.shape
    (['vocals', 'instrumental'], True)

    One separator may be called from several threads at a time.

    Attributes:
      config: what the model was trained with.
      targets: names of the separated stems, in the model's order.
      sigmas: the config's noise levels, float64 ``[steps + 1]``.
    """

    def __init__(
        self,
        params: Params,
        stats: BandStats,
        config: Any,
        *,
        seed: int = 0,
        devices: Sequence[jax.Device] | None = None,
        log: Callable[[str], None] | None = None,
    ):
        """Builds the program for parameters that fit ``config``.

        Args:
          params: parameters of the network, usually an average over training.
          stats: band statistics of the training set.
          config: a config with sections audio, edm, model, sampler, separation and data.targets.
          seed: of the noise that each track starts from.
          devices: that share the chunks; all of this process by default.
          log: told when memory ran out and fewer chunks at once are tried.
        """
        self.config = config
        self.targets: tuple[str, ...] = tuple(config.data.targets)
        self._path = SignalPath.from_config(config)
        self.sigmas, self._plan = separation_plan(config)
        self._solver = Solver(params, stats, config, seed, devices, log)

    @classmethod
    def from_checkpoint(cls, path: str | os.PathLike, **options: Any) -> "Separator":
        """The newest model of a training run's workdir, one of its steps, or an export.

        Args:
          path: of the folder.
          options: of ``Separator``: seed, devices, log.

        Raises:
          InputError: no checkpoint there, or one that does not fit its own config.
        """
        return cls.from_model(weights.load(path), **options)

    @classmethod
    def from_model(cls, model: weights.Model, **options: Any) -> "Separator":
        """Of a model that was loaded, and whose config may have been changed since."""
        return cls(model.params, BandStats(**model.stats), model.config, **options)

    def with_seed(self, seed: int) -> "Separator":
        """The same model with noise of another seed. Nothing is compiled anew.

        >>> np.array_equal(separator.with_seed(0)(audio, 44_100)["vocals"], separator(audio, 44_100)["vocals"])
        True
        """
        other = copy.copy(self)
        other._solver = self._solver.with_seed(seed)
        return other

    def __call__(
        self,
        audio: np.ndarray,
        sample_rate: int,
        *,
        sigmas: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> Stems:
        """Separates one track.

        >>> seen = []
        >>> stems = separator(audio, 44_100, progress=lambda done, total: seen.append(done / total))
        >>> seen[-1]
        1.0

        Args:
          audio: ``[samples, channels]`` or ``[samples]``, any length from one sample up.
          sample_rate: of ``audio`` in Hz; the stems come back at the same rate.
          sigmas: another noise grid than the config's, ``[steps + 1]`` falling to zero. Two
            entries make the one-step estimate D(sigma_max). Only the length compiles anew.
          progress: called with (seconds done, seconds in all), after every chunk.

        Returns:
          A float32 array like ``audio`` for every target, and one for what is left: "instrumental",
          the mixture minus vocals, or "rest", the mixture minus all targets, where vocals are none of
          them. Nothing is rescaled.

        Raises:
          InputError: no samples, samples that are not finite, or an impossible rate.
        """
        audio = np.asarray(audio)
        if audio.ndim not in (1, 2) or audio.size == 0:
            raise InputError(f"audio has shape {audio.shape}; it must be [samples] or [samples, channels], not empty")
        mixture = audio[:, None] if audio.ndim == 1 else audio
        blocks, done = [], 0
        for block in self.stream([mixture], sample_rate, sigmas=sigmas):
            blocks.append(block)
            done += len(next(iter(block.values())))
            if progress is not None:
                progress(done / sample_rate, len(audio) / sample_rate)
        return {name: np.concatenate([block[name] for block in blocks]).reshape(audio.shape) for name in blocks[0]}

    def stream(
        self, blocks: Iterable[np.ndarray], sample_rate: int, *, sigmas: np.ndarray | None = None
    ) -> Iterator[Stems]:
        """Separates one track that comes in blocks, such as from a file or a socket.

        Blocks of stems lag behind by up to two calls of the program (see ``separation.joint_chunks``), and closing
        the stream waits for the block that is being asked for.

        >>> blocks = (audio[start : start + 4096] for start in range(0, len(audio), 4096))
        >>> vocals = [stems["vocals"] for stems in separator.stream(blocks, 44_100)]
        >>> np.array_equal(np.concatenate(vocals), separator(audio, 44_100)["vocals"])
        True

        Args:
          blocks: float32 ``[samples, channels]`` of any lengths. They are asked for from another thread,
            a few chunks ahead.
          sample_rate: of the blocks in Hz.
          sigmas: as of calling the separator.

        Yields:
          Stems as of calling the separator, block by block; together they are as long as the track.

        Raises:
          InputError: as of calling the separator.
        """
        for _, stems in self.separate_tracks([Track(blocks, sample_rate)], sigmas=sigmas):
            yield from stems

    def separate_tracks(
        self, tracks: Iterable[Track], *, sigmas: np.ndarray | None = None
    ) -> Iterator[tuple[Track, Iterator[Stems]]]:
        """Separates many tracks, whose chunks share calls of the program: none waits for another to end.

        >>> from diffvs_jax.inference.track import Track
        >>> tracks = [Track([audio], 44_100, "a song"), Track([audio[:100, :1]], 44_100, "a click, mono")]
        >>> for track, blocks in separator.separate_tracks(tracks):
        ...     print(track.name, np.concatenate([stems["vocals"] for stems in blocks]).shape)
        a song (44100, 2)
        a click, mono (100, 1)

        Args:
          tracks: asked for from another thread, ahead of need; each may be of any rate, channels and length.
          sigmas: as of calling the separator.

        Yields:
          Each track, in order, and its stems as of ``stream``. What is wrong with one track is raised by
          the iterator over its stems and leaves the others alone. Stems not asked for before the next
          track are dropped.
        """
        cut = (piece for track in tracks for piece in pieces(track, self._path, self._plan))
        results = self._solver.solve(cut, self.sigmas if sigmas is None else check_sigmas(sigmas))
        for track, own in itertools.groupby(results, key=lambda result: result[0].track):
            try:
                yield track, self._stems(track, own)
            finally:
                track.stopped = True

    def chunks(self, mixture_KNA: np.ndarray, first_frames: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
        """Runs the compiled program on chunks of the model's own rate, channels and length, each alone.

        Args:
          mixture_KNA: ``[K, chunk_samples, channels]``.
          first_frames: ``[K]`` global frame number of each chunk's start; chunks of one track
            that overlap start from the same noise where they do.
          sigmas: ``[steps + 1]`` noise levels.

        Returns:
          ``[K, S, chunk_samples, channels]``.
        """
        return self._solver.estimates(mixture_KNA, first_frames, check_sigmas(sigmas))

    def compile(self, num_steps: int | None = None) -> Compiled:
        """Compiles the program for so many steps (the config's by default), and says how long that took.

        >>> took = separator.compile()
        >>> stems = separator(audio, 44_100)
        >>> separator.num_compiled
        1

        Otherwise the first chunk does. A program compiled before is not compiled again.
        """
        if num_steps is not None and num_steps < 1:
            raise InputError(f"num_steps is {num_steps}; at least 1 is needed")
        return self._solver.compile(len(self.sigmas) if num_steps is None else num_steps + 1)

    @property
    def num_compiled(self) -> int:
        """Programs compiled so far."""
        return self._solver.num_compiled

    @property
    def busy_seconds(self) -> float:
        """Seconds in which its devices were at work so far, separators of other seeds included."""
        return self._solver.stopwatch.seconds

    def _stems(self, track: Track, results: Iterable[tuple[Piece, Estimate]]) -> Iterator[Stems]:
        for mixture, stems in assemble(results, track, len(self.targets), self._path, self._plan):
            named = dict(zip(self.targets, stems, strict=True))
            yield complete(mixture, named, self.config.separation.sum_to_mixture)


def separation_plan(config: Any) -> tuple[np.ndarray, chunking.ChunkPlan]:
    """The config's noise levels, float64 ``[steps + 1]``, and its chunks of a long track.

    Raises:
      InputError: a setting of ``audio``, ``sampler`` or ``separation`` that no track can be separated with.
    """
    sampler, separation = config.sampler, config.separation
    plan = chunk_plan(config)
    sampler_settings(config)
    if separation.sum_to_mixture and len(config.data.targets) < 2:
        raise InputError("separation.sum_to_mixture needs targets that are the whole music; data.targets names one")
    if separation.batch_size < 0:
        raise InputError(f"separation.batch_size is {separation.batch_size}; give chunks at once, or 0 to choose")
    if separation.joint and separation.step_frames * _MOST_OVERLAPPING < config.audio.num_frames:
        raise InputError(
            f"separation.step_frames {separation.step_frames}: chunks that are solved jointly step by at least an "
            f"{_MOST_OVERLAPPING}th of audio.num_frames {config.audio.num_frames}; separation.joint=False takes any"
        )
    if separation.context_chunks < 0 or separation.joint_chunks <= 2 * separation.context_chunks:
        raise InputError(
            f"separation.joint_chunks {separation.joint_chunks} must be above twice separation.context_chunks "
            f"{separation.context_chunks}, which is 0 or more"
        )
    return sigma_grid(sampler.num_steps, sampler.sigma_min, sampler.sigma_max, sampler.rho), plan
