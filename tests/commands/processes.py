"""Commands run in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HOUSE = Path(__file__).parent.parent.parent
CONFIG = HOUSE / "tests" / "nano.py"


class Result(NamedTuple):
    code: int
    out: str
    err: str


def environment():
    return os.environ | {"PYTHONPATH": str(HOUSE)}


def python_m(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, env=environment(), cwd=HOUSE
    )
    return Result(done.returncode, done.stdout, done.stderr)


def curve(workdir):
    """What a run wrote about its steps, each of which has one line, but for the clock's."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    steps = {line.pop("step"): {key: value for key, value in line.items() if "speed/" not in key} for line in lines}
    assert len(steps) == len(lines)
    return steps


def assert_refused(result, *words):
    assert result.code == 2, result
    assert result.err.startswith("error: "), result.err
    assert result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err
