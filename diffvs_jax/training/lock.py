"""One run at a time in a workdir: two would delete each other's checkpoints."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import jax

from diffvs_jax.errors import InputError

try:
    import fcntl
except ImportError:  # Windows, where nobody is kept out
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def only_run(workdir: Path) -> Iterator[None]:
    """Keeps other runs out of ``workdir`` until it is left, or the process ends in whatever way.

    The first of several processes stands for all. Where a file system has no locks, nobody is kept out.

    Raises:
      InputError: another process trains there.
    """
    if fcntl is None or jax.process_index() > 0:
        yield
        return
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InputError(f"{workdir}: process {file.read()} trains here; choose another workdir") from None
        except OSError:
            pass
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
