import threading
import time

import pytest

from diffvs_jax.inference.stopwatch import Stopwatch


class Result:
    """Computed when told so."""

    def __init__(self, error=None):
        self.done, self.error = threading.Event(), error

    def block_until_ready(self):
        self.done.wait(5)
        if self.error:
            raise self.error


def settle(watch, change):
    """Makes a change, and waits until the stopwatch has seen it."""
    before = watch._until
    change()
    deadline = time.monotonic() + 5
    while watch._until == before and time.monotonic() < deadline:
        time.sleep(0.001)


def test_calls_that_wait_for_each_other_count_once_and_pauses_not_at_all():
    watch, first, second, third = Stopwatch(), Result(), Result(), Result()
    watch.watch(first)
    watch.watch(second)  # waits for the first
    time.sleep(0.1)
    settle(watch, first.done.set)
    time.sleep(0.05)
    settle(watch, second.done.set)
    assert watch.seconds == pytest.approx(0.15, abs=0.05)
    time.sleep(0.2)
    watch.watch(third)
    settle(watch, third.done.set)
    assert watch.seconds == pytest.approx(0.15, abs=0.06)


def test_a_call_that_fails_is_somebody_elses_to_tell():
    watch, failed, good = Stopwatch(), Result(ValueError("no memory")), Result()
    watch.watch(failed)
    failed.done.set()
    watch.watch(good)
    settle(watch, good.done.set)
    assert watch.seconds < 1
