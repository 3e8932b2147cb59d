"""What a training run tells while it goes on: the means of its metrics, a progress line, when it will be done."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from diffvs_jax.training.interruption import GO_ON
from diffvs_jax.training.metrics_writer import MetricsWriter
from diffvs_jax.training.state import TrainState
from diffvs_jax.training.summaries import Speed, window_means


class Halted(Exception):
    """A step whose loss or gradient is not finite, with no skip left: the state is as it was before that step."""

    def __init__(self, step: int, reason: str):
        super().__init__(reason)
        self.step, self.reason = step, reason


class Report:
    """Reads metrics one step late, so that the device never waits for the host; use it with ``with``.

    On a terminal one line is drawn anew with every step; elsewhere every ``train.log_every_steps`` a line
    of KEY=VALUE pairs is logged.

    Attributes:
      wish: the greatest wish that any process passed to the step read last (see ``step``).
      wish_step: that step.
    """

    def __init__(self, config: Any, state: TrainState, speed: Speed, writer: MetricsWriter, log: Callable[[str], None]):
        self._config, self._speed, self._writer, self._log = config, speed, writer, log
        self._first_step, self._skipped = int(state.step), int(state.skipped)
        self.wish, self.wish_step = GO_ON, self._first_step
        self._pending: tuple[int, dict] | None = None
        self._window: list[dict] = []
        self._window_steps, self._waited = 0, 0.0
        self._since = self._began = time.perf_counter()
        self._bar = tqdm(
            total=config.train.num_steps, initial=self._first_step, desc="training", unit="step", disable=None
        )

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()

    def add(self, step: int, metrics: dict, waited: float) -> None:
        """Takes the metrics of a step just begun and seconds that its batch was waited for; reads the step before.

        Raises:
          Halted: by the step before.
        """
        self.flush()
        self._pending = (step, metrics)
        self._waited += waited

    def exclude(self, seconds: float) -> None:
        """Keeps time that was not spent on steps out of the speed."""
        self._since += seconds

    def flush(self) -> None:
        """Waits for the step under way and reads its metrics, too.

        Raises:
          Halted: by that step.
        """
        if self._pending is None:
            return
        step, metrics = self._pending[0], jax.device_get(self._pending[1])
        self._pending = None
        self.wish, self.wish_step = int(metrics["wish"]), step
        self._window_steps += 1
        if int(metrics["skipped"]) > self._skipped:
            self._tell_of_skip(step, metrics)
        else:
            self._window.append(metrics)
        self._bar.set_postfix(loss=f"{metrics['loss']:.4f}", refresh=False)
        self._bar.update(step - self._bar.n)
        if step % self._config.train.log_every_steps == 0 or step == self._config.train.num_steps:
            self._report(step)

    def _tell_of_skip(self, step: int, metrics: dict) -> None:
        self._skipped = int(metrics["skipped"])
        name = "gradient_norm" if np.isfinite(metrics["loss"]) else "loss"
        reason, most = f"{name} is {metrics[name]} at step {step}", self._config.train.max_skipped_steps
        if self._skipped > most:
            raise Halted(step, reason)
        self._log(f"{reason}: skipped, {self._skipped} of at most {most} (train.max_skipped_steps)")

    def _report(self, step: int) -> None:
        now = time.perf_counter()
        means = window_means(self._window, self._config) if self._window else {}
        speed = self._speed(self._window_steps, now - self._since, self._waited)
        self._writer.scalars(step, {**means, "skipped_steps": self._skipped, **speed})
        if self._bar.disable:
            left = (now - self._began) / (step - self._first_step) * (self._config.train.num_steps - step)
            self._log(
                f"step={step} of={self._config.train.num_steps} loss={means.get('loss', math.nan):.4f} "
                f"gradient_norm={means.get('gradient_norm', math.nan):.3f} "
                f"seconds_per_step={1 / speed['speed/steps_per_second']:.3f} left={_clock(left)}"
            )
        self._since, self._window, self._window_steps, self._waited = now, [], 0, 0.0


def _clock(seconds: float) -> str:
    """Hours, as many as there are, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
