"""Compiling programs: timed, and kept between runs in a folder of the user's."""

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax


class Compiled(NamedTuple):
    """A compiled program and what it took: ``cached`` says it came out of the persistent cache."""

    program: Any
    seconds: float
    cached: bool

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s{', from the cache' if self.cached else ''}"


def use_cache(wanted: bool) -> None:
    """Keeps compiled programs in the user's cache folder, where ``wanted`` and JAX has not been told of another.

    Without a folder that can be written, nothing is kept.
    """
    if not wanted or jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = home / "diffvs_jax" / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            return
    except (OSError, RuntimeError):  # the second: a user without a home
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))


def compile_program(function: Any, *arguments: Any) -> Compiled:
    """Compiles a jitted function for arguments, or shapes, like these."""
    hits = 0

    def count(event: str, **_: Any) -> None:
        nonlocal hits
        hits += event == "/jax/compilation_cache/cache_hits"

    start = time.perf_counter()
    lowered = function.lower(*arguments)
    jax.monitoring.register_event_listener(count)
    try:
        program = lowered.compile()
    finally:
        jax.monitoring.unregister_event_listener(count)
    return Compiled(program, time.perf_counter() - start, hits > 0)
