"""Draws batches and logs their hashes as a training run would save its checkpoints: a process to be killed.

``python batch_logger.py JSON``, with what ``Job`` holds. Every run draws on a thread of its own, from
the state that it saved last or from the beginning, and then waits to be killed.
"""

import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from diffvs_jax.data.pipeline import training_batches
from diffvs_jax.data.source import open_tracks
from tests.data.layouts import RATE, config_with_everything

SEED = 7


class Run(NamedTuple):
    """One of the iterators: its name, and how it shares and draws the examples of a global batch."""

    name: str
    num_workers: int = 0
    process_index: int = 0
    process_count: int = 1


class Job(NamedTuple):
    """What to draw from, where to log, which iterators, batches to draw in all, batches between states."""

    root: str
    folder: str
    runs: list
    num_batches: int
    save_every: int


def batches_of(root: str, run: Run, global_batch: int = 8):
    """Augmented batches of a small data set."""
    config = config_with_everything(root)
    config.data.update({"num_workers": run.num_workers, "num_threads": 2, "prefetch": 2})
    return training_batches(
        open_tracks(config, "train", "nowhere"),
        config.data,
        batch_size=global_batch // run.process_count,
        chunk_samples=200,
        sample_rate=RATE,
        num_channels=2,
        seed=SEED,
        process_index=run.process_index,
        process_count=run.process_count,
    )


def digest(batch) -> str:
    """SHA-256 of a batch's bytes."""
    return hashlib.sha256(batch.tobytes()).hexdigest()


def draw(job: Job, run: Run) -> None:
    """Batches up to the job's number, each logged before the next is drawn."""
    log, saved = (Path(job.folder) / f"{run.name}.{suffix}" for suffix in ("log", "state"))
    batches, number = batches_of(job.root, run), 0
    if saved.exists():
        content = json.loads(saved.read_text())
        number = content["batches"]
        batches.set_state(content["state"])
    with open(log, "a") as file:
        while number < job.num_batches:
            file.write(f"{number} {digest(next(batches))}\n")
            file.flush()
            os.fsync(file.fileno())
            number += 1
            if number % job.save_every == 0:
                unfinished = saved.with_suffix(".part")
                unfinished.write_text(json.dumps({"batches": number, "state": batches.get_state()}))
                os.replace(unfinished, saved)


def main() -> None:
    """Draws all runs of the job, then waits."""
    job = Job(*json.loads(sys.argv[1]))
    for run in job.runs:
        threading.Thread(target=draw, args=(job, Run(*run))).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
