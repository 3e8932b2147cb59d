"""Small files that are kept beside a data set, in a hidden folder that no data set takes for a track."""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = ".diffvs_jax"


def write_json(path: Path, content: Any) -> None:
    """Writes a file that appears whole or not at all: beside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(json.dumps(content, indent=2) + "\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
