"""One turn of one side in a process of its own, which the benchmark starts."""

import json
import resource
import sys
import time
from typing import Any

import numpy as np

from diffvs_jax import cli
from diffvs_jax.audio import files
from tests.peers.sides import RATE, build


def turn(name: str, song: np.ndarray, one_chunk: bool) -> dict[str, Any]:
    """What a side takes for a song ``[samples, 2]`` at ``RATE``.

    ``setup_seconds`` are imports, random weights and compilation. ``peak_bytes`` is the most memory this process
    ever held, all of that included.
    """
    start = time.perf_counter()
    side = build(name, one_by_one=one_chunk)
    ready = time.perf_counter()
    stems = side.separate(song[: side.chunk_samples] if one_chunk else song)
    seconds = time.perf_counter() - ready
    scale = side.num_chunks(len(song)) if one_chunk else 1
    return {
        "description": side.description,
        "num_parameters": side.num_parameters,
        "num_stems": len(stems),
        "song_seconds": len(song) / RATE,
        "one_chunk": one_chunk,
        "setup_seconds": ready - start,
        "seconds": seconds,
        "seconds_per_minute": seconds * scale * 60 * RATE / len(song),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }


def read_song(path: str | None, seconds: float) -> np.ndarray:
    """The start of a song, ``[samples, 2]`` at ``RATE``, or seeded noise: no separator's time depends on the sound."""
    if path is None:
        return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), 2), np.float32)
    audio, rate = files.load(path)
    audio = files.to_channels(audio[: round(seconds * rate)], 2)
    return files.resample(audio, rate, RATE)


if __name__ == "__main__":
    cli.keep_freed_memory()  # as our commands do; it serves all alike
    side_name, song_file, chunk_only = json.loads(sys.argv[1])
    try:
        answer = turn(side_name, np.load(song_file), chunk_only)
    except ModuleNotFoundError as error:
        answer = {"missing": str(error)}
    print(json.dumps(answer))
