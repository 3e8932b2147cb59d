"""How long a device was at work."""

import threading
import time
from typing import Any


class Stopwatch:
    """Seconds in which a device computed what it was given; calls that overlap count once.

    Attributes:
      seconds: so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._until = 0.0  # a call begins when it is given, or when the one before it ends
        self._lock = threading.Lock()

    def watch(self, result: Any) -> None:
        """Counts from now until an array, which may still be under way, is computed."""
        threading.Thread(target=self._wait, args=(result, time.perf_counter()), daemon=True).start()

    def _wait(self, result: Any, start: float) -> None:
        try:
            result.block_until_ready()
        except Exception:  # whoever takes the result is told
            return
        now = time.perf_counter()
        with self._lock:
            self.seconds += max(0.0, now - max(start, self._until))
            self._until = max(now, self._until)
