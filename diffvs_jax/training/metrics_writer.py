"""The training curve: one JSON object per line, readable while it grows."""

import json
from pathlib import Path
from typing import Any


class MetricsWriter:
    """Appends to ``metrics.jsonl`` in the workdir; a resumed run goes on in the same file.

    Close it by using it with ``with``; every line is on disk as soon as it is written.
    """

    def __init__(self, workdir: Path):
        workdir.mkdir(parents=True, exist_ok=True)
        self._file = (workdir / "metrics.jsonl").open("a", buffering=1)

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def write(self, step: int, values: dict[str, Any]) -> None:
        """One line: the step and its numbers."""
        self._file.write(json.dumps({"step": step, **{key: float(value) for key, value in values.items()}}) + "\n")
