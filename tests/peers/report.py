"""The turns of all sides as one table."""

import statistics
from typing import Any

from diffvs_jax.table import table


def report(turns: dict[str, list[dict[str, Any]]]) -> str:
    """Seconds per minute of song, how many times as long as the first side's, setup and memory, as a table."""
    first, *_ = turns
    medians = {name: _median(results, "seconds_per_minute") for name, results in turns.items()}
    rows = []
    for name, results in turns.items():
        seconds = [result["seconds_per_minute"] for result in results]
        times = [f"{value:.1f}" for value in (min(seconds), medians[name], max(seconds))]
        setup = f"{_median(results, 'setup_seconds'):.1f}"
        peak = max(result["peak_bytes"] for result in results) / 2**30
        one, *_ = results
        measured = "one chunk, scaled" if one["one_chunk"] else f"whole song x {len(results)}"
        network = [f"{one['num_parameters']:,}", one["num_stems"]]
        rows.append([name, *network, *times, medians[name] / medians[first], setup, peak, measured])
    header = ["seconds per minute of song", "parameters", "stems", "best turn", "median", "worst"]
    return table([*header, f"{first} is faster", "setup, s", "peak, GiB", "measured"], rows)


def _median(results: list[dict[str, Any]], key: str) -> float:
    return statistics.median(result[key] for result in results)
