"""What is kept of every scored track, as JSON: ``FOLDER/tracks/RUN/TRACK.json``.

A run is one seed of a model ("seed_0") or finished estimates ("estimates"). Reports, tables and
summaries are made of these files alone, so that they can be made again, and of what several
processes wrote.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffvs_jax.errors import InputError
from diffvs_jax.whole import whole_file

_NAMES = ("track", "tracks", "run", "stems", "files", "failed", "error")  # a song may be called "inf"
ESTIMATE = "estimate"
"""The method that is scored, beside the baselines."""


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """One second of a track that was kept to be heard, with what is around it.

    Attributes:
      second: the frame's number.
      start: first sample of the files in the track, in seconds.
      sdr: of the frame, in dB.
      files: "mixture", "estimate" and "truth" to the sound file, relative to the records' folder.
    """

    second: int
    start: float
    sdr: float
    files: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Record:
    """A scored track.

    Attributes:
      track: its name in the data set.
      run: which estimates: "seed_0", or "estimates".
      settings: a hash of all that the run's scores depend on but the track; a record with another is out of date.
      files: likewise of the track's files.
      seconds: duration.
      sample_rate: in Hz.
      stems: that are scored, in order.
      scores: method ("estimate", or a baseline: "mixture", "silence", "oracle", "one_step") to score to value,
        such as "csdr_vocals" in dB; NaN where there is none.
      frames: score to its value in every second, such as "sdr_vocals", of the estimate.
      excerpts: seconds that were kept to be heard: the worst and the best of the first stem.
      times: seconds that its parts took: "decode", "network" (while it was scored and the next was separated), "score".
      made: with what: versions, commit, device.
    """

    track: str
    run: str
    settings: str
    files: str
    seconds: float
    sample_rate: int
    stems: Sequence[str]
    scores: Mapping[str, Mapping[str, float]]
    frames: Mapping[str, Sequence[float]]
    excerpts: Sequence[Excerpt] = ()
    times: Mapping[str, float] = dataclasses.field(default_factory=dict)
    made: Mapping[str, str] = dataclasses.field(default_factory=dict)


def record_path(folder: Path, run: str, track: str) -> Path:
    """Where a track's record lies. Tracks may be named by paths."""
    return Path(folder) / "tracks" / run / f"{track}.json"


def save_record(folder: Path, record: Record) -> None:
    """Writes a record; the file appears whole or not at all."""
    write_json(record_path(folder, record.run, record.track), dataclasses.asdict(record))


def load_record(path: Path) -> Record:
    """Reads a record.

    Raises:
      InputError: the file is none.
    """
    try:
        content = read_json(path)
        content["excerpts"] = tuple(Excerpt(**excerpt) for excerpt in content["excerpts"])
        return Record(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: is no record of scores ({error}); remove it, and score the track again") from None


def load_records(folder: Path) -> list[Record]:
    """All records of a folder, by run and track."""
    return [load_record(path) for path in _paths(Path(folder) / "tracks")]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """JSON in which NaN is null and infinity a string; the file appears whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(_to_json(content), indent=2) + "\n")


def read_json(path: Path) -> Any:
    """What ``write_json`` wrote: null becomes NaN, and "inf" infinity."""
    return _from_json(json.loads(Path(path).read_text()))


def _paths(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.rglob("*.json") if not path.name.startswith(".")))


def _to_json(value: Any) -> Any:
    if isinstance(value, dict | Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None if np.isnan(value) else str(float(value))
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: item if key in _NAMES else _from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if value is None:
        return float("nan")
    return float(value) if value in ("inf", "-inf") else value
