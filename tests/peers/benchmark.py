"""Our separator beside other packages' on this machine's CPU: ``python -m tests.peers.benchmark --seconds=60``.

``pip install -e '.[peers]'`` brings demucs and BS-RoFormer. All separate the same song in float32 with equally many
threads, each in the way its package does whole songs, in a process of its own for every turn. Sides take turns, so
that what else the machine does meets all of them. Weights are random and nothing is downloaded: this says what
separating costs, nothing of how it sounds.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from diffvs_jax import cli
from tests.peers.measure import read_song
from tests.peers.report import report
from tests.peers.sides import check_name
from tests.pytorch.sides import num_threads

_SLOW = ["BS-RoFormer", "configs/base.py"]
_SIDES = flags.DEFINE_list("sides", ["configs/small.py", "HTDemucs", *_SLOW], "What to compare, the first with all.")
_ONE_CHUNK = flags.DEFINE_list("one_chunk", _SLOW, "Sides that separate one chunk, once; their time is scaled up.")
_SECONDS = flags.DEFINE_float("seconds", 60.0, "Length of the song.")
_SONG = flags.DEFINE_string("song", None, "A song to take that much of, in place of noise.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each side has its turn.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "A JSON file for every turn, versions and the machine.")


def main(arguments: list[str]) -> None:
    """Lets the sides take turns and prints the table."""
    cli.no_arguments(arguments)
    cli.positive_seconds("seconds", _SECONDS.value, least=1.0)
    names = list(_SIDES.value)
    for name in names:
        check_name(name)
    machine = {"cpu": _cpu(), "threads": num_threads(), "python": platform.python_version()}
    cli.say(", ".join(f"{key}: {value}" for key, value in machine.items()))
    with tempfile.TemporaryDirectory(prefix="diffvs-jax-peers-") as folder:
        song = Path(folder) / "song.npy"
        np.save(song, read_song(_SONG.value, _SECONDS.value))
        turns = _take_turns(names, song)
    if turns:
        cli.say("\n" + report(turns))
    if _OUTPUT.value:
        Path(_OUTPUT.value).write_text(json.dumps({"machine": machine, "turns": turns}, indent=2) + "\n")


def _take_turns(names: list[str], song: Path) -> dict[str, list[dict[str, Any]]]:
    """What every side that runs here says of each of its turns."""
    turns: dict[str, list[dict]] = {}
    for name in names:
        result = _turn(name, song)
        if "missing" in result:
            cli.say(f"{name} does not run here: {result['missing']}; pip install -e '.[peers]'")
            continue
        cli.say(f"{name}: {result['description']}")
        turns[name] = [result]
    for _ in range(1, _ROUNDS.value):
        for name in turns:
            if name not in _ONE_CHUNK.value:
                turns[name].append(_turn(name, song))
    return turns


def _turn(name: str, song: Path) -> dict[str, Any]:
    """One turn in a process of its own, so that its peak of memory is its alone."""
    request = json.dumps([name, str(song), name in _ONE_CHUNK.value])
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}  # where the peers run, too
    command = [sys.executable, "-W", "ignore", "-m", "tests.peers.measure", request]  # what packages say of themselves
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])  # packages may have something to say before


def _cpu() -> str:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    cli.run(main)
