"""Separated tracks scored: one row of numbers per track, and their summary."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.records import write_json
from diffvs_jax.inference.remainder import add_remainder
from diffvs_jax.metrics.track import score_sdr
from diffvs_jax.whole import whole_file

Stems = Mapping[str, np.ndarray]
Row = dict[str, Any]


class Clip(NamedTuple):
    """Scored music: ``mixture [samples, channels]`` and its true stems by name."""

    name: str
    mixture: np.ndarray
    truth: dict[str, np.ndarray]
    sample_rate: int


def load_clip(track: Track, targets: Sequence[str], seconds: float = 0.0) -> Clip:
    """The middle ``seconds`` of a track with its references, or all of it for 0 (see ``load_references``)."""
    mixture, truth, rate = load_references(track, targets)
    length = round(seconds * rate) if seconds else mixture.shape[0]
    start = max(0, (mixture.shape[0] - length) // 2)
    part = slice(start, start + length)
    return Clip(track.name, mixture[part], {name: stem[part] for name, stem in truth.items()}, rate)


def load_references(track: Track, targets: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """A track's mixture, its true stems, and its rate in Hz.

    The stems are the targets and what is left, named as ``Separator`` names it. The mixture is
    the data set's own file where there is one, else the sum of the stems.

    Raises:
      InputError: a target is missing, or stems differ in rate, channels or length.
    """
    stems = {name: track.load_stem(name) for name in track.stems}
    if not track.whole:  # a stem that ends early is silent from there on
        longest = max(len(audio) for audio, _ in stems.values())
        stems = {name: (files.fit_length(audio, longest), rate) for name, (audio, rate) in stems.items()}
    mixture = files.load(track.mixture) if track.mixture else None
    loaded = [*stems.values(), *([mixture] if mixture else [])]
    forms = {(audio.shape, rate) for audio, rate in loaded}
    if len(forms) > 1:
        raise InputError(f"{track.name}: stems differ in length, channels or rate: {sorted(forms)}")
    total = mixture[0] if mixture else np.sum([audio for audio, _ in stems.values()], axis=0)
    missing = [name for name in targets if name not in stems]
    if missing:
        raise InputError(f"{track.name}: has no stem '{missing[0]}' (it has {', '.join(stems)})")
    truth = add_remainder(total, {name: stems[name][0] for name in targets})
    return total, truth, loaded[0][1]


def score(name: str, references: Stems, estimates: Stems, sample_rate: int) -> Row:
    """One row: cSDR, uSDR and SI-SDR of every stem, in dB (see ``metrics.track``)."""
    return {"track": name, **score_sdr(references, estimates, sample_rate).scores}


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
    write_json(folder / "scores.json", content)
    write_table(folder / "scores.csv", rows)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Rows of one form as CSV; the file appears whole or not at all."""
    with whole_file(path) as unfinished, unfinished.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
