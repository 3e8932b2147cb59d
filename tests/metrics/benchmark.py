"""Times our scores beside museval's: ``python -m tests.metrics.benchmark``.

Of a synthesised stereo song of two stems, whose errors are a leak and noise. All in one run: museval
once, ours several times, of which the median counts; compiling is told apart.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from diffvs_jax import cli
from diffvs_jax.metrics.bss_eval import museval_frames
from diffvs_jax.metrics.track import TrackScores, score_sdr, score_track
from diffvs_jax.table import table

SECONDS = 60.0  # of the song
RATE = 44_100  # of the song, in Hz
ROUNDS = 5  # how often each of ours is timed


def main(arguments: list[str]) -> None:
    """Times all and prints the table."""
    cli.no_arguments(arguments)
    cli.say(f"{SECONDS:g} s, {RATE} Hz, stereo, two stems")
    cli.say(compare(SECONDS, RATE, ROUNDS))


def compare(seconds: float, rate: int, rounds: int) -> str:
    """The table: museval first, then each way of ours beside it."""
    truth, estimates, mixture = song(seconds, rate)
    pairs = [np.stack(list(stems.values())) for stems in (truth, estimates)]
    expected, theirs = _timed(lambda: museval_frames(*pairs, rate))
    rows = [["museval: SDR, ISR, SIR, SAR", "", f"{theirs:.3f}", "", ""]]
    ways: dict[str, Callable[[], TrackScores]] = {
        "cSDR, uSDR, SI-SDR": lambda: score_sdr(truth, estimates, rate),
        "the same in float64": lambda: score_sdr(truth, estimates, rate, dtype="float64"),
        "LSD and leakage, too": lambda: score_track(truth, estimates, mixture, rate),
        "all in float64": lambda: score_track(truth, estimates, mixture, rate, dtype="float64"),
    }
    for name, way in ways.items():
        _, first = _timed(way)
        found, turns = zip(*(_timed(way) for _ in range(rounds)), strict=True)
        ours = statistics.median(turns)
        off = np.nanmax(np.abs(np.stack(list(found[0].frames.values())) - expected.sdr))
        rows.append([name, f"{max(0.0, first - ours):.2f}", f"{ours:.3f}", f"{theirs / ours:.0f}", f"{off:.0e}"])
    return table(["scores", "compiling, s", "seconds", "museval takes times", "SDR differs, dB"], rows)


def song(seconds: float, rate: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """True stems, their estimates and the mixture: a voice-like tone over noise, float32 ``[samples, 2]``."""
    rng = np.random.default_rng(0)
    clock = np.arange(round(seconds * rate))[:, None] / rate
    phase = 2 * np.pi * 220 * clock + 3 * np.sin(2 * np.pi * 5 * clock)
    vocals = sum(np.sin(n * phase) / n for n in range(1, 8)) * 0.1 * np.array([1.0, 0.8])
    vocals = (vocals + 1e-3 * rng.standard_normal(vocals.shape)).astype(np.float32)
    rest = 0.1 * rng.standard_normal(vocals.shape, np.float32)
    estimate = vocals + np.float32(0.1) * rest + np.float32(0.01) * rng.standard_normal(vocals.shape, np.float32)
    mixture = vocals + rest
    truth = {"vocals": vocals, "instrumental": rest}
    return truth, {"vocals": estimate, "instrumental": mixture - estimate}, mixture


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    cli.run(main)
