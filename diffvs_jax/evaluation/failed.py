"""Tracks that could not be scored, on disk, so that a summary names those of all processes: ``FOLDER/failed``."""

from collections.abc import Mapping
from pathlib import Path

from diffvs_jax.evaluation.records import read_json, write_json


def save_failed(folder: Path, lines: Mapping[str, str], tried: Mapping[str, str]) -> None:
    """Keeps what was wrong with tracks.

    Args:
      folder: of the evaluation.
      lines: track to a line that says why it could not be scored.
      tried: track to a hash of what was tried: its files and the settings.
    """
    for track, line in lines.items():
        write_json(_path(folder, track), {"track": track, "tried": tried[track], "error": line})


def load_failed(folder: Path, tried: Mapping[str, str]) -> dict[str, str]:
    """What was wrong with those of the tracks that failed when just that was tried; see ``save_failed``."""
    found = {track: read_json(path) for track in tried if (path := _path(folder, track)).is_file()}
    return {track: content["error"] for track, content in found.items() if content["tried"] == tried[track]}


def _path(folder: Path, track: str) -> Path:
    return Path(folder) / "failed" / f"{track}.json"
