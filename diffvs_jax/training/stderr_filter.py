"""Run as a program beside one of several processes: passes its standard error on, and puts JAX's abort into one line.

When another process stops, JAX ends this one from C++ with a stack, and no Python of ours runs any more. Its
standard error therefore goes through here: ``python stderr_filter.py PROCESSES ADDRESS START_SECONDS HOLD_SECONDS``.
"""

import os
import re
import select
import signal
import sys
import time

_ABORT = b"the JAX distributed service detected fatal errors"
_NEVER_STARTED = b"CoordinationService/RegisterTask"
# What may be the beginning of that: a collective that failed, a message of XLA's.
_SUSPICIOUS = re.compile(rb"^(Traceback \(most recent call last\)|[WEF]\d{4} \d\d:\d\d:\d\d)", re.MULTILINE)
_SILENT = re.compile(rb"stopped sending heartbeats\):\s*(\d+(?:[,\s]+\d+)*)")
_STACK_SECONDS = 2.0  # in which the rest of an abort comes


def explain(text: bytes, processes: int, address: str, start_seconds: int) -> str:
    """The line for what JAX wrote as it ended a process."""
    if _NEVER_STARTED in text:
        return (
            f"error: not all {processes} processes found process 0 at {address} within {start_seconds} s; "
            "start all of them, and let its port be open to the others"
        )
    silent = _SILENT.search(text)
    numbers = sorted({int(number) for number in re.findall(rb"\d+", silent[1])}) if silent else [0]
    who = f"process {', '.join(map(str, numbers))} of {processes} (counted from 0)"
    return f"error: {who} has stopped; run all processes again, they go on from the newest checkpoint"


def pass_on(source: int, sink: int, explanation, hold_seconds: float) -> None:
    """Copies until the end of ``source``, but for an abort, which ``explanation(text)`` replaces.

    What looks like its beginning is held back until it is one, or for at most ``hold_seconds``.
    """
    held, deadline, aborted = b"", None, False
    while True:
        seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = bool(select.select([source], [], [], seconds)[0])
        chunk = os.read(source, 2**16) if ready else b""
        held += chunk
        if not aborted and _ABORT in held:
            aborted, deadline = True, time.monotonic() + _STACK_SECONDS
        elif deadline is None and _SUSPICIOUS.search(held):
            deadline = time.monotonic() + hold_seconds
        ended = ready and not chunk
        if ended or deadline is None or time.monotonic() >= deadline:
            os.write(sink, (explanation(held) + "\n").encode() if aborted else held)
            if ended or aborted:
                break
            held, deadline = b"", None
    while os.read(source, 2**16):  # whoever writes here must not fail
        pass


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it goes last
        signal.signal(number, signal.SIG_IGN)
    count, place, start, hold = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    pass_on(0, 2, lambda text: explain(text, count, place, start), hold)
