"""What ``data.check`` found, kept beside the data, so that training leaves out what it found bad.

A verdict holds for the very files it was spoken on: repair one, and the track counts as unchecked.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from diffvs_jax.data.beside import FOLDER, write_json
from diffvs_jax.data.tracks import Track

_FILE = Path(FOLDER) / "check.json"


def save_verdicts(root: Path, checked: Iterable[Path], verdicts: Mapping[Path, tuple[Track, str]]) -> bool:
    """Keeps the bad tracks among those that were checked, in place of what was kept of them before.

    Args:
      root: the data set's folder.
      checked: entries of all tracks that were checked.
      verdicts: a bad track's entry to the track and what is wrong with it, in one line.

    Returns:
      Whether the folder could be written.
    """
    path = root / _FILE
    kept = load_verdicts(root)
    for entry in checked:
        kept.pop(entry, None)
    kept.update({entry: (track.fingerprint(), message) for entry, (track, message) in verdicts.items()})
    content = {
        entry.relative_to(root).as_posix(): {"files": files, "message": message}
        for entry, (files, message) in sorted(kept.items())
    }
    if not content and not path.exists():
        return True
    try:
        write_json(path, content)
    except OSError:
        return False
    return True


def load_verdicts(root: Path) -> dict[Path, tuple[list, str]]:
    """Entry to the fingerprint of its files when it was checked, and what was wrong with them."""
    try:
        kept = json.loads((root / _FILE).read_text())
        return {root / entry: (verdict["files"], verdict["message"]) for entry, verdict in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or none of ours
        return {}
