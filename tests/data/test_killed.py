"""Batches of a process that is killed and started again are those of one that never stopped."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.data import batch_logger
from tests.data.batch_logger import Job, Run, batches_of, digest
from tests.data.layouts import noise, write_stems

# One process without and one with workers; two processes that share what one draws, likewise.
RUNS = [
    Run("alone"),
    Run("alone with workers", num_workers=2),
    Run("first of two", process_count=2),
    Run("second of two with workers", num_workers=2, process_index=1, process_count=2),
]
SAVE_EVERY, KILLED_AT, NUM_BATCHES = 3, 7, 12
SECONDS = 300  # until a process that hangs fails


def log_of(folder, run):
    """Pairs (number, hash) of the batches that a run has logged."""
    path = folder / f"{run.name}.log"
    return (
        [line.split() for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        if path.exists()
        else []
    )


def logged(folder, run, num_batches):
    """Whether the last of so many batches is in the log."""
    return any(number == str(num_batches - 1) for number, *_ in log_of(folder, run))


def log_until_killed(folder, root, runs, num_batches):
    """Lets a process log all runs up to ``num_batches``, and kills it as it waits."""
    job = json.dumps(Job(str(root), str(folder), runs, num_batches, SAVE_EVERY))
    house = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, batch_logger.__file__, job],
        env=os.environ | {"PYTHONPATH": str(house)},
        cwd=house,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        give_up = time.monotonic() + SECONDS
        while not all(logged(folder, run, num_batches) for run in runs):
            assert process.poll() is None and time.monotonic() < give_up, process.communicate()[1]
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate(timeout=60)  # returns when its workers have ended, too: they write to the same pipe


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("songs")
    for n in range(5):
        write_stems(
            root / f"song {n}", {stem: noise((n, k), 2000) for k, stem in enumerate(("vocals", "bass", "drums"))}
        )
    return root


@pytest.fixture(scope="module")
def killed_at(tmp_path_factory, root):
    """Logs of all runs, and what was saved, when they were killed: (folder, name -> batches logged and saved).

    Whoever had workers goes on without, and the other way round.
    """
    folder = tmp_path_factory.mktemp("logs")
    log_until_killed(folder, root, RUNS, KILLED_AT)
    seen = {}
    for run in RUNS:
        saved = int((folder / f"{run.name}.saved").read_text())
        seen[run.name] = (len(log_of(folder, run)), saved)
    log_until_killed(folder, root, [run._replace(num_workers=2 - run.num_workers) for run in RUNS], NUM_BATCHES)
    return folder, seen


@pytest.fixture(scope="module")
def uninterrupted(root):
    """The common sequence, drawn by one process that is not interrupted, ``[batches, examples, ...]``."""
    batches = batches_of(root, Run("uninterrupted"))
    return np.stack([next(batches) for _ in range(NUM_BATCHES)])


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_after_a_kill_the_very_same_batches_follow(killed_at, uninterrupted, run):
    folder, seen = killed_at
    log = log_of(folder, run)
    assert seen[run.name] == (KILLED_AT, KILLED_AT - KILLED_AT % SAVE_EVERY)
    assert KILLED_AT % SAVE_EVERY, "killed between two checkpoints"
    resumed_at = seen[run.name][1]
    numbers = [*range(KILLED_AT), *range(resumed_at, NUM_BATCHES)]
    assert [int(number) for number, _ in log] == numbers
    own = np.split(uninterrupted, run.process_count, axis=1)[run.process_index]
    wanted = [digest(np.ascontiguousarray(batch)) for batch in own]
    assert [hashed for _, hashed in log] == [wanted[number] for number in numbers]
    assert len(set(wanted)) == NUM_BATCHES


def test_no_example_comes_twice_to_either_process(uninterrupted):
    examples = uninterrupted.reshape(-1, *uninterrupted.shape[2:])
    assert len({hashlib.sha256(example.tobytes()).digest() for example in examples}) == len(examples) == NUM_BATCHES * 8
