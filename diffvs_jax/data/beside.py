"""Small files that are kept beside a data set, in a hidden folder that no data set takes for a track."""

import json
from pathlib import Path
from typing import Any

from diffvs_jax.whole import whole_file

FOLDER = ".diffvs_jax"


def write_json(path: Path, content: Any) -> None:
    """Writes a file that appears whole or not at all: beside, then renamed."""
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2) + "\n")
