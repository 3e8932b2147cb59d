"""Scores as museval 0.4.1 stores them: one JSON file per track, which its aggregation and plots read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.inference.remainder import INSTRUMENTAL
from diffvs_jax.whole import whole_file

_NAMES = {INSTRUMENTAL: "accompaniment"}  # museval's
_METRICS = ("SDR", "SIR", "ISR", "SAR")
_VERSION = "0.4.1"


def save_museval(path: Path, stems: Sequence[str], frames: Mapping[str, np.ndarray]) -> None:
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


def _rounded(values: np.ndarray | None, second: int) -> float:
    return round(float(values[second]), 5) if values is not None and np.isfinite(values[second]) else float("nan")
