"""What all tracks say together: one number per score, a row per track, a table for the screen."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffvs_jax.evaluation.records import ESTIMATE, Record
from diffvs_jax.metrics.ratios import median
from diffvs_jax.table import table
from diffvs_jax.whole import whole_file

Row = dict[str, Any]
_SHOWN = {"csdr": "cSDR", "usdr": "uSDR", "sisdr": "SI-SDR"}  # on screen; files hold all
_STATISTICS = {
    "csdr": ("median", "mean"),
    "usdr": ("mean", "median"),
    "sisdr": ("mean",),
    "lsd": ("mean",),
    "embedding": ("mean",),
}
"""What a data set's scores are, the one that papers report first; of all others the median, as museval has it."""


def rows_of(records: Sequence[Record], method: str = ESTIMATE) -> list[Row]:
    """A row per record: "track", then its scores."""
    return [{"track": record.track, **record.scores[method]} for record in records if method in record.scores]


def summarize(rows: Sequence[Row]) -> dict[str, float]:
    """Over tracks the median of cSDR, as papers report it, the mean of uSDR, and so on; NaN are left out.

    A mean is of finite scores, where there are any: a single exact estimate would make it infinite.
    """
    return {name: _mean(values) if name.endswith("mean") else float(median(values)) for name, values in _columns(rows)}


def count_tracks(rows: Sequence[Row]) -> dict[str, int]:
    """How many tracks each number of ``summarize`` is of."""
    return {name: len(_averaged(values) if name.endswith("mean") else values) for name, values in _columns(rows)}


def _columns(rows: Sequence[Row]) -> Iterator[tuple[str, np.ndarray]]:
    """Names such as "csdr_vocals_median", each with the scores that are not NaN."""
    for column in dict.fromkeys(name for row in rows for name in row if name != "track"):
        values = np.array([row.get(column, np.nan) for row in rows])
        for statistic in _STATISTICS.get(column.split("_")[0], ("median",)):
            yield f"{column}_{statistic}", values[~np.isnan(values)]


def _mean(values: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):  # of infinity and its opposite
        return float(np.mean(_averaged(values))) if len(values) else float("nan")


def _averaged(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    return finite if len(finite) else values


def mean_and_spread(columns: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Of every name the mean over runs, and their standard deviation (n - 1); no spread of a single run."""
    with np.errstate(invalid="ignore"):
        values = {name: np.array([column[name] for column in columns]) for name in columns[0]}
        mean = {name: float(np.mean(column)) for name, column in values.items()}
        spread = {name: float(np.std(column, ddof=1)) for name, column in values.items()} if len(columns) > 1 else {}
    return mean, spread


def rows_over_runs(runs: Mapping[str, Sequence[Record]]) -> list[Row]:
    """A row per track: means over runs, and where there are several a column "NAME_std" beside each."""
    by_track: dict[str, list[Mapping[str, float]]] = {}
    for records in runs.values():
        for record in records:
            by_track.setdefault(record.track, []).append(record.scores[ESTIMATE])
    rows = []
    for track, columns in by_track.items():
        mean, spread = mean_and_spread(columns)
        row: Row = {"track": track}
        for name in mean:
            row[name] = mean[name]
            if spread:
                row[f"{name}_std"] = spread[name]
        rows.append(row)
    return rows


def summary_of(runs: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """What ``summary.json`` says of the scores.

    "summary" by method, "counts", of how many tracks each of its numbers is (in the run that has fewest),
    "spread" over runs, if all have the same tracks, and every run's own.
    """
    methods = list(dict.fromkeys(method for records in runs.values() for record in records for method in record.scores))
    rows = {method: {run: own for run in runs if (own := rows_of(runs[run], method))} for method in methods}
    of_runs = {method: {run: summarize(own) for run, own in by_run.items()} for method, by_run in rows.items()}
    both = {method: mean_and_spread(list(own.values())) for method, own in of_runs.items()}
    counts = {method: [count_tracks(own) for own in by_run.values()] for method, by_run in rows.items()}
    alike = len({frozenset(record.track for record in records) for records in runs.values()}) == 1
    return {
        "summary": {method: mean for method, (mean, _) in both.items()},
        "counts": {method: {name: min(c[name] for c in own) for name in own[0]} for method, own in counts.items()},
        "spread": both[ESTIMATE][1] if alike else {},
        "runs": of_runs[ESTIMATE],
    }


def provenance_of(records: Sequence[Record]) -> dict[str, str]:
    """With what records were made: versions, commit, device; several with commas where they differ."""
    names = dict.fromkeys(name for record in records for name in record.made)
    values = {name: list(dict.fromkeys(record.made.get(name, "") for record in records)) for name in names}
    return {name: ", ".join(value or "unknown" for value in own) if own != [""] else "" for name, own in values.items()}


def time_of(records: Sequence[Record]) -> dict[str, float]:
    """Seconds of audio, and those that each part of the work took, whichever process did it."""
    names = dict.fromkeys(name for record in records for name in record.times)
    taken = {name: sum(record.times.get(name, 0.0) for record in records) for name in names}
    return {"audio": sum(record.seconds for record in records), **taken}


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Rows as CSV, empty where one lacks a column; the file appears whole or not at all."""
    with (
        whole_file(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,  # a name may be no text
    ):
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def summary_table(summary: Mapping[str, Any]) -> str:
    """Methods in rows, and SDRs as papers report them: the median of cSDR, means of the others."""
    columns = [(kind, stem) for stem in summary["stems"] for kind in _SHOWN]
    header = ["dB", *(f"{_SHOWN[kind]} {stem}" for kind, stem in columns)]
    most = len(summary["tracks"])
    lines = []
    for method, scores in summary["summary"].items():
        names = [f"{kind}_{stem}_{_STATISTICS[kind][0]}" for kind, stem in columns]
        spread = summary["spread"] if method == ESTIMATE else {}
        counts = summary["counts"][method]
        lines.append([method, *(_shown(scores[name], spread.get(name), counts[name], most) for name in names)])
    return table(header, lines)


def _shown(value: float, spread: float | None, count: int, most: int) -> str:
    text = f"{value:.2f}" if spread is None else f"{value:.2f} ± {spread:.2f}"
    return text if count in (0, most) else f"{text} ({count} of {most})"
