"""Tracks that could not be scored, on disk: ``FOLDER/failed/TRACK.json``, so that all processes' end in one summary."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from diffvs_jax.evaluation.records import read_json, write_json


def save_failed(folder: Path, lines: Mapping[str, str]) -> None:
    """Keeps what was wrong with tracks.

    Args:
      folder: of the evaluation.
      lines: track to a line that says why it could not be scored.
    """
    for track, line in lines.items():
        write_json(_path(folder, track), {"track": track, "error": line})


def load_failed(folder: Path, unfinished: Iterable[str]) -> dict[str, str]:
    """What was wrong with those tracks that are not scored yet; nothing where nobody has tried."""
    paths = [path for track in unfinished if (path := _path(folder, track)).is_file()]
    return {content["track"]: content["error"] for content in map(read_json, paths)}


def _path(folder: Path, track: str) -> Path:
    return Path(folder) / "failed" / f"{track}.json"
