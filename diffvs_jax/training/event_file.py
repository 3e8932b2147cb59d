"""TensorBoard's files, written with tensorboardX, which need not be installed."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog


class EventFile:
    """One run's share of a folder that ``tensorboard --logdir`` shows.

    tensorboardX's ``SummaryWriter`` hands events to a thread. When that ends, on a full disk, the
    program waits for it for ever. So this puts the parts together without one.
    """

    def __init__(self, folder: Path, last_step: int):
        """Opens a file of its own, whose first event makes TensorBoard forget what came after ``last_step``."""
        folder.mkdir(parents=True, exist_ok=True)
        # Names hold whole seconds: another run within the same one must not replace this file.
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=f".{time.time_ns()}")
        self._write(Event(step=last_step + 1, session_log=SessionLog(status=SessionLog.START)))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """A point of each of several curves."""
        event = Event(step=step)
        for name, value in values.items():
            event.summary.MergeFrom(summary.scalar(name, value))
        self._write(event)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, uint8 ``[height, width, 3]``."""
        self._write(Event(step=step, summary=summary.image(name, pixels, dataformats="HWC")))

    def audio(self, step: int, name: str, samples: np.ndarray, sample_rate: int) -> None:
        """Sound ``[samples, 1 or 2 channels]`` in 16 bits; clipped here, since tensorboardX prints that it does."""
        inside = np.clip(np.nan_to_num(samples, posinf=0.0, neginf=0.0), -1.0, 1.0)
        self._write(Event(step=step, summary=summary.audio(name, inside, sample_rate)))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)
        self._writer.flush()
