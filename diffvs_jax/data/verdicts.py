"""What ``data.check`` found, kept beside the data, so that training leaves out what it found bad.

A verdict holds for the very files it was spoken on: repair one, and the track counts as unchecked.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from diffvs_jax.data.beside import FOLDER, write_json
from diffvs_jax.data.tracks import Track

_FILE = Path(FOLDER) / "check.json"


def save_verdicts(root: Path, split: str, verdicts: Mapping[Path, tuple[Track, str]]) -> bool:
    """Keeps the bad tracks of a split, in place of what was kept before.

    Args:
      root: the data set's folder.
      split: of it.
      verdicts: a track's entry to the track and what is wrong with it, in one line.

    Returns:
      Whether the folder could be written.
    """
    path = root / _FILE
    kept = _read(root)
    kept[split] = {
        entry.relative_to(root).as_posix(): {"files": track.fingerprint(), "message": message}
        for entry, (track, message) in verdicts.items()
    }
    try:
        write_json(path, kept)
    except OSError:
        return False
    return True


def load_verdicts(root: Path, split: str) -> dict[Path, tuple[list, str]]:
    """Entry to the fingerprint of its files when it was checked, and what was wrong with them."""
    kept = _read(root).get(split, {})
    return {root / entry: (verdict["files"], verdict["message"]) for entry, verdict in kept.items()}


def _read(root: Path) -> dict:
    try:
        return json.loads((root / _FILE).read_text())
    except (OSError, ValueError):
        return {}
