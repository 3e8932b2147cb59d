"""A folder of scores as a report wants it: what is missing there is empty here."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.records import ESTIMATE, Record, load_record, load_records, read_json, record_path


class Measure(NamedTuple):
    """What a score is called, and which end of it is good."""

    name: str
    unit: str = ""
    higher_is_better: bool = True
    digits: int = 2
    meaning: str = ""


MEASURES = {
    "csdr": Measure("cSDR", "dB", meaning="museval's SDR of each second, median over a track's seconds"),
    "usdr": Measure("uSDR", "dB", meaning="one ratio over the whole track, as in the SDX challenges"),
    "sisdr": Measure("SI-SDR", "dB", meaning="a ratio over the whole track that does not depend on the gain"),
    "isr": Measure("ISR", "dB", meaning="image to spatial distortion ratio of BSS-eval, median over seconds"),
    "sir": Measure("SIR", "dB", meaning="source to interferences ratio of BSS-eval, median over seconds"),
    "sar": Measure("SAR", "dB", meaning="sources to artefacts ratio of BSS-eval, median over seconds"),
    "mir_eval_isr": Measure("mir_eval's ISR", "dB", meaning="with filters fitted in every second: not museval's"),
    "mir_eval_sir": Measure("mir_eval's SIR", "dB", meaning="with filters fitted in every second: not museval's"),
    "mir_eval_sar": Measure("mir_eval's SAR", "dB", meaning="with filters fitted in every second: not museval's"),
    "lsd": Measure("LSD", "dB", higher_is_better=False, meaning="log-spectral distance"),
    "leakage": Measure("leakage", "dB", higher_is_better=False, meaning="level where the stem is silent"),
    "embedding": Measure(
        "embedding MSE", higher_is_better=False, digits=4, meaning="squared distance in a pretrained network"
    ),
}
"""By a score's name without its stem; scores that are not here are shown by theirs."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """What lies in a folder of scores.

    Attributes:
      folder: where excerpts' files are found.
      about: ``summary.json``; empty without it.
      runs: run to its records by track.
      stems: names of what was scored, the most important first.
    """

    folder: Path
    about: Mapping[str, Any]
    runs: Mapping[str, Mapping[str, Record]]
    stems: tuple[str, ...]

    @property
    def first_run(self) -> Mapping[str, Record]:
        """Records of the first run by track."""
        return next(iter(self.runs.values()), {})

    @property
    def tracks(self) -> list[str]:
        """Names of all tracks of any run, in order."""
        return sorted({track for records in self.runs.values() for track in records})

    @property
    def columns(self) -> list[str]:
        """Scores of the estimates such as "csdr_vocals", stem by stem."""
        records = (record for run in self.runs.values() for record in run.values())
        names = dict.fromkeys(name for record in records for name in record.scores.get(ESTIMATE, ()))
        return [name for stem in self.stems for name in names if stem_of(name, self.stems) == stem]

    def per_run(self, track: str, column: str) -> list[float]:
        """A track's score in every run that has it, without NaN."""
        records = [run[track] for run in self.runs.values() if track in run]
        values = [float(record.scores.get(ESTIMATE, {}).get(column, np.nan)) for record in records]
        return [value for value in values if not np.isnan(value)]

    def mean(self, track: str, column: str) -> float:
        """A track's score, mean over runs; NaN without one."""
        values = self.per_run(track, column)
        return float(np.mean(values)) if values and not {np.inf, -np.inf} <= set(values) else float("nan")

    def median(self, column: str) -> float:
        """Median over the tracks of a run, mean over runs; NaN without scores."""
        rows = [
            [record.scores.get(ESTIMATE, {}).get(column, np.nan) for record in run.values()]
            for run in self.runs.values()
        ]
        rows = [[value for value in row if not np.isnan(value)] for row in rows]
        return float(np.mean([np.median(row) for row in rows if row])) if any(rows) else float("nan")


def load_scores(folder: Path) -> Scores:
    """Reads ``summary.json`` and the records that it is of; all records where there is no summary.

    Records that were scored anew since, with other settings or files, are not the summary's.

    Raises:
      InputError: the folder has neither, or one of the files cannot be read.
    """
    folder = Path(folder)
    about = _read_summary(folder / "summary.json")
    runs: dict[str, dict[str, Record]] = {}
    for record in _records_of(folder, about) if about else load_records(folder):
        runs.setdefault(str(record.run), {})[str(record.track)] = record
    if not about and not runs and (folder / "sweep.csv").is_file():
        raise InputError(f"{folder}: holds a sweep and no scores; look at its sweep.png and sweep.csv")
    if not about and not runs:
        raise InputError(f"{folder}: holds no scores; give the folder that evaluate's --output named")
    return Scores(folder, about, runs, _stems(about, runs))


def stem_of(column: str, stems: Sequence[str]) -> str:
    """The stem that a score such as "csdr_vocals" is of; "" for none of them."""
    fitting = [stem for stem in stems if column.endswith(f"_{stem}")]
    return max(fitting, key=len, default="")


def measure_of(column: str, stems: Sequence[str]) -> Measure:
    """What the score "csdr_vocals" measures."""
    kind = column.removesuffix(f"_{stem_of(column, stems)}")
    return MEASURES.get(kind, Measure(kind.replace("_", " ")))


def text_of(about: Mapping[str, Any], key: str) -> str:
    """What a summary says under a key, as text; "" where it says nothing."""
    value = about.get(key, "")
    return "" if isinstance(value, float) and np.isnan(value) else str(value)


def _records_of(folder: Path, about: Mapping[str, Any]) -> Iterator[Record]:
    files = _mapping(about, "files")
    for run, settings in _mapping(about, "settings").items():
        for track in about.get("tracks", ()):
            path = record_path(folder, run, track)
            record = load_record(path) if path.is_file() else None
            if record and (record.settings, record.files) == (settings, files.get(track)):
                yield record


def _mapping(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = about.get(key)
    return value if isinstance(value, Mapping) else {}


def _read_summary(path: Path) -> Mapping[str, Any]:
    try:
        about = read_json(path)
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: is no JSON ({error}); remove it, or score again") from None
    if not isinstance(about, Mapping):
        raise InputError(f"{path}: holds {type(about).__name__} and no summary of scores; remove it, or score again")
    return about


def _stems(about: Mapping[str, Any], runs: Mapping[str, Mapping[str, Record]]) -> tuple[str, ...]:
    named = about.get("stems")
    if isinstance(named, list) and named:
        return tuple(map(str, named))
    scores = [record.scores.get(ESTIMATE, {}) for run in runs.values() for record in run.values()]
    columns = [column for row in scores for column in row] or list(_mapping(_mapping(about, "summary"), ESTIMATE))
    named_by = [column.removeprefix("csdr_") for column in columns if column.startswith("csdr_")]
    return tuple(dict.fromkeys(name.removesuffix("_median").removesuffix("_mean") for name in named_by))
