"""Which songs are done: a record beside the stems tells what they were made from."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffvs_jax.audio.reading import STANDARD_INPUT
from diffvs_jax.whole import whole_file

RECORD = "separation.json"


def record(
    folder: str | os.PathLike,
    input: str | os.PathLike,
    settings: Mapping[str, Any],
    model: str,
    outputs: Sequence[str | os.PathLike],
) -> None:
    """Writes ``FOLDER/separation.json``, whole or not at all, once the stems are in place.

    Args:
      folder: of the song's stems.
      input: the song; of standard input, which cannot be read again, nothing is recorded.
      settings: all that the stems depend on besides, of JSON's types.
      model: a fingerprint of the parameters.
      outputs: the files, in ``folder``.
    """
    if str(input) == STANDARD_INPUT:
        return
    sizes = {Path(path).name: os.path.getsize(path) for path in outputs}
    content = json.dumps({**_origin(input, settings, model), "outputs": sizes}, indent=2)
    with whole_file(Path(folder) / RECORD) as unfinished:
        unfinished.write_text(content + "\n", encoding="utf-8")


def forget(folder: str | os.PathLike) -> None:
    """Removes a folder's record; before its stems are replaced, so that none ever speaks of others."""
    (Path(folder) / RECORD).unlink(missing_ok=True)


def is_finished(folder: str | os.PathLike, input: str | os.PathLike, settings: Mapping[str, Any], model: str) -> bool:
    """Whether a folder holds the stems of this input's content, settings and model, all of their sizes."""
    if str(input) == STANDARD_INPUT:
        return False
    try:
        written = json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))
        outputs = written.pop("outputs")
        there = all(os.path.getsize(Path(folder) / name) == size for name, size in outputs.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # no record, a damaged one, or no output
        return False
    return there and Path(input).is_file() and written == _origin(input, settings, model)


def _origin(input: str | os.PathLike, settings: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What stems are made from, as JSON gives it back."""
    with open(input, "rb") as file:
        content = hashlib.file_digest(file, "blake2b").hexdigest()
    return json.loads(json.dumps({"input": content, "settings": dict(settings), "model": model}))
