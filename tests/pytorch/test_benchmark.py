"""The benchmark command, where PyTorch is."""

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]


def benchmark(*arguments, **environment):
    command = [sys.executable, "-m", "tests.pytorch.benchmark", "--config=tests/nano.py", "--rounds=1", *arguments]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=300, env=environment or None)


def test_it_prints_a_ratio_for_every_side():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[torch]'")
    result = benchmark("--sides=JAX,PyTorch", "--steps=1")
    assert result.returncode == 0, result.stderr
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.startswith(("JAX ", "Py"))}
    assert float(rows["JAX"][4]) == 1.0
    best = [float(rows[side][0]) for side in ("JAX", "PyTorch")]
    assert float(rows["PyTorch"][4]) == pytest.approx(best[1] / best[0], rel=0.01, abs=0.01)


def test_a_side_it_does_not_know_is_bad_input():
    result = benchmark("--sides=JAX,TensorFlow")
    assert result.returncode == 2
    assert "--sides=TensorFlow: choose from" in result.stderr
