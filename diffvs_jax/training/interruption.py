"""When training ends or saves before its time: signals, the clock, and what several processes agree on."""

import os
import signal
import threading
import time
from typing import Any

# What a process may wish after a step; the greatest of all processes' wishes counts.
GO_ON, SAVE, TIME_UP, INTERRUPT = range(4)


class StopSignals:
    """While it is entered, SIGTERM and SIGINT ask for a stop after the step under way; a second one acts at once.

    Machines that can be taken away send the first, a terminal's Ctrl-C and a notebook's stop button the second.

    Attributes:
      received: the signal's name, empty before one comes.
    """

    def __init__(self) -> None:
        self.received = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():  # Python handles signals there alone
            self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number: int, _: Any) -> None:
        self.received = signal.Signals(number).name
        self.__exit__()
        # Not print: a signal may come in the middle of another print.
        os.write(2, f"{self.received}: finishing the step and saving; once more stops at once\n".encode())


class Clock:
    """``train.max_minutes`` since it was made, and ``train.checkpoint_every_minutes`` since the last save."""

    def __init__(self, train: Any) -> None:
        now = time.monotonic()
        self._end = now + 60 * train.max_minutes if train.max_minutes > 0 else float("inf")
        self._interval = 60 * train.checkpoint_every_minutes if train.checkpoint_every_minutes > 0 else float("inf")
        self._saved = now

    def saved(self) -> None:
        """Starts the interval anew."""
        self._saved = time.monotonic()

    def wish(self) -> int:
        """What the clock asks for now."""
        if time.monotonic() > self._end:
            return TIME_UP
        return SAVE if time.monotonic() > self._saved + self._interval else GO_ON
