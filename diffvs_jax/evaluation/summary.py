"""What all tracks say together: one number per score, a row per track, a table for the screen."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffvs_jax.evaluation.records import ESTIMATE, Record
from diffvs_jax.table import table
from diffvs_jax.whole import whole_file

Row = dict[str, Any]
_SHOWN = {"csdr": "cSDR", "usdr": "uSDR", "sisdr": "SI-SDR"}  # on screen; files hold all


def rows_of(records: Sequence[Record], method: str = ESTIMATE) -> list[Row]:
    """A row per record: "track", then its scores."""
    return [{"track": record.track, **record.scores[method]} for record in records if method in record.scores]


def summarize(rows: Sequence[Row]) -> dict[str, float]:
    """Median over tracks of cSDR, as papers report it, its mean, and means of the other scores; NaN are left out."""
    summary = {}
    for column in list(rows[0])[1:]:
        values = np.array([row[column] for row in rows])
        values = values[~np.isnan(values)]
        mean = float(np.mean(values)) if len(values) else float("nan")
        if column.startswith("csdr_"):
            summary[f"{column}_median"] = float(np.median(values)) if len(values) else float("nan")
        summary[f"{column}_mean"] = mean
    return summary


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
    """What ``summary.json`` says of the scores: "summary" by method, "spread" over runs, and every run's own."""
    methods = list(dict.fromkeys(method for records in runs.values() for record in records for method in record.scores))
    of_runs = {
        method: {run: summarize(rows) for run, records in runs.items() if (rows := rows_of(records, method))}
        for method in methods
    }
    both = {method: mean_and_spread(list(own.values())) for method, own in of_runs.items()}
    return {
        "summary": {method: mean for method, (mean, _) in both.items()},
        "spread": both[ESTIMATE][1],
        "runs": of_runs[ESTIMATE],
    }


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Rows as CSV, empty where one lacks a column; the file appears whole or not at all."""
    with whole_file(path) as unfinished, unfinished.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def summary_table(summary: Mapping[str, Any]) -> str:
    """Methods in rows; cSDR as median over tracks, all else as means."""
    columns = [(kind, stem) for stem in summary["stems"] for kind in _SHOWN]
    header = ["dB", *(f"{_SHOWN[kind]} {stem}" for kind, stem in columns)]
    lines = []
    for method, scores in summary["summary"].items():
        names = [f"{kind}_{stem}_{'median' if kind == 'csdr' else 'mean'}" for kind, stem in columns]
        spread = summary["spread"] if method == ESTIMATE else {}
        lines.append([method, *(_with_spread(scores[name], spread.get(name)) for name in names)])
    return table(header, lines)


def _with_spread(value: float, spread: float | None) -> float | str:
    return value if spread is None else f"{value:.2f} ± {spread:.2f}"
