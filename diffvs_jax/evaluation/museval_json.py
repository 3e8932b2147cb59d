"""Scores as museval 0.4.1 stores them: one JSON file per track, which its aggregation and plots read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.evaluation.records import Record
from diffvs_jax.inference.remainder import INSTRUMENTAL
from diffvs_jax.whole import whole_file

_NAMES = {INSTRUMENTAL: "accompaniment"}  # museval's
_METRICS = ("SDR", "SIR", "ISR", "SAR")
_VERSION = "0.4.1"


def write_museval(folder: Path, runs: Mapping[str, Sequence[Record]]) -> None:
    """All tracks of all runs as ``folder/RUN/test/TRACK.json``; other files there are removed, museval counts all."""
    for stale in folder.glob("*/test/*.json"):
        run = stale.parent.parent.name
        if stale.stem not in {record.track for record in runs.get(run, ())}:
            stale.unlink(missing_ok=True)
    for run, records in runs.items():
        for record in records:
            save_museval(folder / run / "test" / f"{record.track}.json", record.stems, record.frames)


def save_museval(path: Path, stems: Sequence[str], frames: Mapping[str, Sequence[float]]) -> None:
    """Writes a track's frames in museval's own schema.

    ``museval.EvalStore.add_eval_dir(FOLDER)`` reads what lies in ``FOLDER/test``. As museval does,
    it rounds to five decimals and writes NaN for what is infinite; and for what was not computed.

    Args:
      path: of the file, ``.../test/TRACK.json``.
      stems: in order; "instrumental" becomes "accompaniment".
      frames: "sdr_STEM" to dB per second, and "sir_", "isr_" and "sar_", where they are known.
    """
    targets = []
    for stem in stems:
        columns = {metric: frames.get(f"{metric.lower()}_{stem}") for metric in _METRICS}
        targets.append(
            {
                "name": _NAMES.get(stem, stem),
                "frames": [
                    {
                        "time": float(second),
                        "duration": 1.0,
                        "metrics": {name: _rounded(values, second) for name, values in columns.items()},
                    }
                    for second in range(len(frames[f"sdr_{stem}"]))
                ],
            }
        )
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps({"targets": targets, "museval_version": _VERSION}, indent=2))


def _rounded(values: Sequence[float] | None, second: int) -> float:
    return round(float(values[second]), 5) if values is not None and np.isfinite(values[second]) else float("nan")
