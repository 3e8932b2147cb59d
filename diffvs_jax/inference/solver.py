"""Calls of the compiled program: on all devices, two under way at a time, smaller when memory runs out."""

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.compilation import Compiled, compile_program
from diffvs_jax.errors import InputError
from diffvs_jax.inference.ahead import ahead
from diffvs_jax.inference.packing import Call, Piece, pack, runs
from diffvs_jax.inference.program import chunks_at_once, make_program
from diffvs_jax.inference.stopwatch import Stopwatch
from diffvs_jax.inference.track import Estimate
from diffvs_jax.model.denoiser import Params

_AXIS = "chunks"
_GLANCE = 0.002  # seconds between looks at a device that is at work


class Solver:
    """A model's parameters on its devices, and the programs that were compiled for them.

    Attributes:
      slots: chunks that a call takes.
      stopwatch: of the calls.
    """

    def __init__(
        self,
        params: Params,
        stats: BandStats,
        config: Any,
        seed: int,
        devices: Sequence[jax.Device] | None,
        log: Callable[[str], None] | None,
    ):
        """Arguments as of ``Separator``."""
        self._config, self._path = config, SignalPath.from_config(config)
        devices = list(devices or jax.local_devices())
        self._at_once = chunks_at_once(config, devices[0].platform)  # on each device
        per_round = self._at_once * len(devices)
        separation = config.separation
        self._together = separation.joint_chunks if separation.joint else 1
        self.slots = -(-self._together // per_round) * per_round
        self._mesh = Mesh(np.array(devices), (_AXIS,))
        self._whole, self._split = (NamedSharding(self._mesh, spec) for spec in (PartitionSpec(), PartitionSpec(_AXIS)))
        self._params, self._stats = jax.device_put((params, stats), self._whole)
        self._key = jax.device_put(jax.random.key(seed), self._whole)
        self._log = log or (lambda _: None)
        self._lock = threading.Lock()
        self._compiled: dict[tuple, Compiled] = {}
        self.stopwatch = Stopwatch()

    def with_seed(self, seed: int) -> "Solver":
        """The same with other noise; programs, parameters and the stopwatch are shared."""
        other = copy.copy(self)
        other._key = jax.device_put(jax.random.key(seed), self._whole)
        return other

    @property
    def num_compiled(self) -> int:
        """Programs compiled so far."""
        return len(self._compiled)

    def solve(self, pieces: Iterable[Piece], sigmas: np.ndarray) -> Iterator[tuple[Piece, Estimate]]:
        """Every piece, in order, with its estimate.

        Pieces are made in a thread of their own, up to two calls ahead; results are taken while the next call runs.
        """
        # Context reaches as far into a track at any overlap.
        reach = max(1, (self._path.num_frames - 1) // self._config.separation.step_frames)
        cut = runs(pieces, self._together, self._config.separation.context_chunks * reach)
        running: deque[tuple[Call, int, jax.Array | None]] = deque()
        for call in ahead(pack(cut, self.slots, patience=2 * self.slots), depth=2):
            running.append((call, self._at_once, self._start(call, sigmas)))
            if len(running) > 1:
                yield from self._finish(*running.popleft(), sigmas)
        while running:
            yield from self._finish(*running.popleft(), sigmas)

    def run(
        self, mixture_KNA: np.ndarray, first_frames: np.ndarray, sigmas: np.ndarray, before: np.ndarray | None = None
    ) -> jax.Array:
        """Solves chunks, with those after the first ``slots`` filled up; ``[slots, S, N, A]``, maybe still under way.

        Args:
          mixture_KNA: at most ``slots`` chunks of the model's own rate, channels and length.
          first_frames: ``[K]`` global frame number of each chunk's start; chunks of one track
            that overlap start from the same noise where they do.
          sigmas: ``[steps + 1]`` noise levels.
          before: ``[K]`` which of them is the chunk before on the same track, or -1, to solve them jointly.
        """
        used = len(mixture_KNA)
        fill = self.slots - used
        arrays = [np.pad(mixture_KNA, ((0, fill), (0, 0), (0, 0))), np.pad(first_frames, (0, fill)).astype(np.int32)]
        if before is not None:
            before = np.pad(before, (0, fill), constant_values=-1)
        program = self._compile(self._at_once, len(sigmas), before is not None).program
        split = [jax.device_put(array, self._split) for array in arrays]
        rest = jax.device_put((np.asarray(sigmas, np.float32), self._key, before, np.int32(used)), self._whole)
        solved = program(self._params, self._stats, *split, *rest)
        self.stopwatch.watch(solved)
        return solved

    def estimates(self, mixture_KNA: np.ndarray, first_frames: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
        """``run`` of any number of chunks, each alone: ``[K, S, N, A]``."""
        parts = []
        for start in range(0, len(mixture_KNA), self.slots):
            part = slice(start, start + self.slots)
            chunks, frames = mixture_KNA[part], first_frames[part]
            solved = self._with_less(lambda: _fetch(self.run(chunks, frames, sigmas)))  # noqa: B023
            parts.append(solved[: len(chunks)])
        return np.concatenate(parts)

    def compile(self, num_sigmas: int) -> Compiled:
        """The program for so many noise levels, and how long compiling it took."""
        return self._with_less(lambda: self._compile(self._at_once, num_sigmas, self._config.separation.joint))

    def _start(self, call: Call, sigmas: np.ndarray) -> jax.Array | None:
        if not call.solved:
            return None
        mixture = np.stack([piece.audio for piece in call.solved if piece.audio is not None])
        frames = np.array([piece.number for piece in call.solved]) * self._config.separation.step_frames
        before = np.array(call.before, np.int32) if self._config.separation.joint else None
        return self._with_less(lambda: self.run(mixture, frames, sigmas, before))

    def _finish(
        self, call: Call, at_once: int, started: jax.Array | None, sigmas: np.ndarray
    ) -> Iterator[tuple[Piece, Estimate]]:
        estimates: Any = ()
        if started is not None:
            try:
                estimates = _fetch(started)
            except jax.errors.JaxRuntimeError as error:
                self._shrink(at_once, error)
                estimates = self._with_less(lambda: _fetch(self._start(call, sigmas)))
        for piece, place in call.told:
            yield piece, None if place is None else estimates[place]

    def _with_less(self, work: Callable[[], Any]) -> Any:
        """Does it with fewer chunks at once after every time that memory runs out."""
        while True:
            tried = self._at_once
            try:
                return work()
            except jax.errors.JaxRuntimeError as error:
                self._shrink(tried, error)

    def _shrink(self, tried: int, error: jax.errors.JaxRuntimeError) -> None:
        """Has fewer chunks at once than were tried when an error came.

        Raises:
          InputError: memory ran out with a single one.
          JaxRuntimeError: the error is another.
        """
        if not _out_of_memory(error):
            raise error
        if tried == 1:
            raise InputError(
                "out of memory with one chunk at once; a smaller model, model.dtype=bfloat16, fewer "
                "separation.joint_chunks or another device may do"
            ) from error
        with self._lock:
            if self._at_once == tried:  # or another thread came first
                self._at_once = tried // 2 if tried % 2 == 0 else 1
                self._log(f"out of memory with {tried} chunks at once; going on with {self._at_once}")

    def _compile(self, at_once: int, num_sigmas: int, joint: bool) -> Compiled:
        key = (at_once, num_sigmas, joint)
        with self._lock:
            if key not in self._compiled:
                mesh = self._mesh if self._mesh.size > 1 else None
                program = jax.jit(make_program(self._config, at_once, mesh), out_shardings=self._split)
                self._compiled[key] = compile_program(program, *self._shapes(num_sigmas, joint))
            return self._compiled[key]

    def _shapes(self, num_sigmas: int, joint: bool) -> tuple:
        def shape(kind: Any, sharding: NamedSharding, *sizes: int) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(sizes, kind, sharding=sharding)

        return (
            self._params,
            self._stats,
            shape(np.float32, self._split, self.slots, self._path.chunk_samples, self._path.num_channels),
            shape(np.int32, self._split, self.slots),
            shape(np.float32, self._whole, num_sigmas),
            self._key,
            shape(np.int32, self._whole, self.slots) if joint else None,
            shape(np.int32, self._whole),
        )


def _fetch(array: Any) -> np.ndarray:
    """An array once it is computed. While JAX itself waits, Ctrl-C is not heard; a call may take an hour on a CPU."""
    while not array.is_ready():
        time.sleep(_GLANCE)
    return np.asarray(array)


def _out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()
