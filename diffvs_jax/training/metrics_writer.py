"""The training curve on disk: one JSON object per line, and TensorBoard's own files where it is installed."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from diffvs_jax.whole import whole_file


class MetricsWriter:
    """Writes ``metrics.jsonl`` in the workdir and, where tensorboardX is installed, ``tensorboard/``.

    Close it, or use it with ``with``. What a method wrote is on disk when it returns; where it
    cannot be, as on a full disk, every method raises ``OSError``.
    """

    def __init__(self, workdir: Path, *, last_step: int = 0, enabled: bool = True, log: Callable[[str], None] = print):
        """Takes up the curve of a run.

        Args:
          workdir: the run's folder, made where it is missing.
          last_step: the step that the run goes on from. What an earlier attempt wrote of later ones is
            dropped: however often a run was cut off, its curve is one, with every step once.
          enabled: whether to write at all; of several processes one does.
          log: told how to get TensorBoard's files where they are not written.
        """
        self._workdir, self._path = workdir, workdir / "metrics.jsonl"
        self._enabled = enabled
        self._events: Any = None
        if not enabled:
            return
        with _naming(workdir):
            workdir.mkdir(parents=True, exist_ok=True)
            _keep_until(self._path, last_step)
            try:
                from diffvs_jax.training.event_file import EventFile  # tensorboardX is optional

                self._events = EventFile(workdir / "tensorboard", last_step)
            except ImportError:
                log(f"curves: {self._path}; to see them: pip install tensorboardX tensorboard")

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends TensorBoard's file."""
        if self._events is not None:
            with _naming(self._workdir):
                self._events.close()

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Numbers of a step, on a line with it; those that are not finite are null there."""
        if not self._enabled:
            return
        numbers = {name: float(value) for name, value in values.items()}
        finite = {name: number if math.isfinite(number) else None for name, number in numbers.items()}
        with _naming(self._workdir):
            # Opened for every line: nothing half written waits to be written again when it is closed.
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **finite}) + "\n")
            if self._events is not None:
                self._events.scalars(step, numbers)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture for TensorBoard, uint8 ``[height, width, 3]``."""
        if self._events is not None:
            with _naming(self._workdir):
                self._events.image(step, name, pixels)

    def audio(self, step: int, name: str, samples: np.ndarray, sample_rate: int) -> None:
        """Sound for TensorBoard, ``[samples, 1 or 2 channels]`` at ``sample_rate`` Hz, kept in 16 bits.

        What is above full scale (1) is clipped there; a sample that is not finite is silent.
        """
        if self._events is not None:
            with _naming(self._workdir):
                self._events.audio(step, name, samples, sample_rate)


def _keep_until(path: Path, last_step: int) -> None:
    """Drops a curve's later steps, and lines that a kill left half written or a fault spoiled."""
    if not path.exists():
        return
    before = path.read_bytes()
    after = b"".join(line + b"\n" for line in before.splitlines() if _step_of(line) <= last_step)
    if after != before:
        with whole_file(path) as unfinished:
            unfinished.write_bytes(after)


def _step_of(line: bytes) -> float:
    """The step of a line of the curve; infinite where it is none."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf


@contextlib.contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Makes a disk's error say where: one of writing, unlike one of opening, does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(folder)) from error
