"""A training run that is killed, again and again, ends as if nothing had happened."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp

from tests.commands.processes import CONFIG, HOUSE, curve, environment

NUM_KILLS = int(os.environ.get("DIFFVS_KILLS", "2"))
NUM_STEPS = 6 + 12 * NUM_KILLS  # more than are done between kills


def last_checkpoint(workdir):
    """All arrays of the last step: counts, parameters, optimiser, averages and statistics."""
    folder = workdir / "checkpoints" / str(NUM_STEPS)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        args = ocp.args.Composite(weights=ocp.args.StandardRestore(), state=ocp.args.StandardRestore())
        saved = checkpointer.restore(folder, args=args)
    return {"weights": saved.weights, "state": saved.state}


def flags(workdir, musdb_folder):
    changes = {"data.root": musdb_folder, "train.num_steps": NUM_STEPS, "train.checkpoint_every_steps": 2}
    changes |= {"demo.num_songs": 0, "train.validate_every_steps": 0, "model.channel_mult": (1,)}
    changed = [f"--config.{key}={value}" for key, value in changes.items()]
    return [f"--config={CONFIG}", f"--workdir={workdir}", *changed]


def train_until_killed(arguments, rng):
    """Kills the train command without warning at a random moment; returns what it had said by then."""
    command = [sys.executable, "-m", "diffvs_jax.train", *arguments]
    last = rng.randrange(2, 28)  # of its lines; eight come before the first step
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(), cwd=HOUSE
    ) as process:
        lines = list(itertools.islice(process.stdout, last))
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL, "".join(lines)
    return lines


def test_a_run_killed_at_random_moments_ends_bit_for_bit_like_one_that_was_not(command, musdb_folder, tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert command("train", *flags(undisturbed, musdb_folder)).code == 0
    rng, kills = random.Random(os.environ.get("DIFFVS_KILLS_SEED", "0")), []
    for _ in range(NUM_KILLS):
        lines = train_until_killed(flags(killed, musdb_folder), rng)
        assert not any(line.startswith(("error", "Traceback", "warning")) for line in lines), "".join(lines)
        kills.append(lines[-1])
    result = command("train", *flags(killed, musdb_folder))
    assert result.code == 0, result.err
    print("killed after:", *kills, sep="\n", end="")
    assert any("step=" in line for line in kills)
    assert curve(killed) == curve(undisturbed)
    assert len(curve(killed)) == NUM_STEPS
    jax.tree.map(np.testing.assert_array_equal, last_checkpoint(killed), last_checkpoint(undisturbed))
