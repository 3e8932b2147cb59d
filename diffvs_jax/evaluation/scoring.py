"""Separated tracks scored: one row of numbers per track, and their summary."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.data.datasets import Track
from diffvs_jax.errors import InputError
from diffvs_jax.inference.separator import INSTRUMENTAL
from diffvs_jax.metrics import sdr

Stems = Mapping[str, np.ndarray]
Row = dict[str, Any]


def load_references(track: Track, targets: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """A track's mixture, its true stems, and its rate in Hz.

    The stems are the targets and "instrumental", the mixture minus them. The mixture is the
    data set's own file where there is one, else the sum of the stems.

    Raises:
      InputError: a target is missing, or stems differ in rate, channels or length.
    """
    stems = {name: files.load(path) for name, path in track.stems.items()}
    mixture = files.load(track.mixture) if track.mixture else None
    loaded = [*stems.values(), *([mixture] if mixture else [])]
    forms = {(audio.shape, rate) for audio, rate in loaded}
    if len(forms) > 1:
        raise InputError(f"{track.name}: stems differ in length, channels or rate: {sorted(forms)}")
    total = mixture[0] if mixture else np.sum([audio for audio, _ in stems.values()], axis=0)
    missing = [name for name in targets if name not in stems]
    if missing:
        raise InputError(f"{track.name}: has no stem '{missing[0]}' (it has {', '.join(stems)})")
    truth = {name: stems[name][0] for name in targets}
    truth[INSTRUMENTAL] = total - np.sum(list(truth.values()), axis=0)
    return total, truth, loaded[0][1]


def score(name: str, references: Stems, estimates: Stems, sample_rate: int) -> Row:
    """One row: cSDR, uSDR and SI-SDR of every stem, in dB (see ``metrics.sdr``)."""
    row: Row = {"track": name}
    true, estimated = (np.stack([stems[stem] for stem in references]) for stems in (references, estimates))
    for stem, value in zip(references, sdr.csdr(true, estimated, sample_rate), strict=True):
        row[f"csdr_{stem}"] = float(value)
    for stem, reference in references.items():
        row[f"usdr_{stem}"] = sdr.usdr(reference, estimates[stem])
        row[f"sisdr_{stem}"] = sdr.si_sdr(reference, estimates[stem])
    return row


def summarize(rows: Sequence[Row]) -> dict[str, float]:
    """Median over tracks of cSDR, as papers report it, its mean, and means of the other scores."""
    summary = {}
    for column in list(rows[0])[1:]:
        values = np.array([row[column] for row in rows])
        values = values[~np.isnan(values)]
        mean = float(np.mean(values)) if len(values) else float("nan")
        if column.startswith("csdr_"):
            summary[f"{column}_median"] = float(np.median(values)) if len(values) else float("nan")
        summary[f"{column}_mean"] = mean
    return summary


def write_scores(folder: str | os.PathLike, rows: Sequence[Row], about: Mapping[str, Any]) -> None:
    """``scores.json`` (rows, summary and what they were made with) and ``scores.csv`` (rows)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = {**about, "summary": summarize(rows), "tracks": list(rows)}
    _replace(folder / "scores.json", json.dumps(_finite(content), indent=2) + "\n")
    unfinished = folder / ".scores.csv.part"
    with unfinished.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(folder / "scores.csv")


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Plain text table; numbers with two decimals, first column to the left."""
    cells = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(header), *cells]) for column in range(len(header))]
    lines = []
    for row in [list(header), ["-" * width for width in widths], *cells]:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]))
    return "\n".join(lines)


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(text)
    unfinished.replace(path)


def _finite(value: Any) -> Any:
    """JSON has no NaN nor infinity: they become null and strings."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value
