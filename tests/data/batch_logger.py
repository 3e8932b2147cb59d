"""Draws batches and logs their hashes as a training run would save its checkpoints: a process to be killed.

``python batch_logger.py JSON``, with what ``Job`` holds. Every run draws on a thread of its own, from
the number of batches that it saved last or from the beginning, and then waits to be killed.
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
GLOBAL_BATCH = 8


class Run(NamedTuple):
    """One of the iterators: its name, and how it shares and draws the examples of a global batch."""

    name: str
    num_workers: int = 0
    process_index: int = 0
    process_count: int = 1


class Job(NamedTuple):
    """What to draw from, where to log, which iterators, batches to draw in all, batches between checkpoints."""

    root: str
    folder: str
    runs: list
    num_batches: int
    save_every: int


def batches_of(root: str, run: Run, first_batch: int = 0):
    """Augmented batches of a small data set, global ones of eight."""
    config = config_with_everything(root)
    config.data.update({"num_workers": run.num_workers, "num_threads": 2, "prefetch": 2})
    return training_batches(
        open_tracks(config, "train", "nowhere"),
        config.data,
        batch_size=GLOBAL_BATCH // run.process_count,
        chunk_samples=200,
        sample_rate=RATE,
        num_channels=2,
        seed=SEED,
        process_index=run.process_index,
        process_count=run.process_count,
        first_example=first_batch * GLOBAL_BATCH,
    )


def digest(batch) -> str:
    """SHA-256 of a batch's bytes."""
    return hashlib.sha256(batch.tobytes()).hexdigest()


def draw(job: Job, run: Run) -> None:
    """Batches up to the job's number, each logged before the next is drawn."""
    log, saved = (Path(job.folder) / f"{run.name}.{suffix}" for suffix in ("log", "saved"))
    number = int(saved.read_text()) if saved.exists() else 0
    batches = batches_of(job.root, run, number)
    with open(log, "a") as file:
        while number < job.num_batches:
            file.write(f"{number} {digest(next(batches))}\n")
            file.flush()
            os.fsync(file.fileno())
            number += 1
            if number % job.save_every == 0:
                unfinished = saved.with_suffix(".part")
                unfinished.write_text(str(number))
                os.replace(unfinished, saved)


def main() -> None:
    """Draws all runs of the job, then waits."""
    job = Job(*json.loads(sys.argv[1]))
    for run in job.runs:
        threading.Thread(target=draw, args=(job, Run(*run))).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
