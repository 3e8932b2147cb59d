import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.training.checkpoint import RunCheckpoints
from diffvs_jax.training.sharding import sharded_shapes, state_sharding
from diffvs_jax.training.state import init_state
from tests.commands.processes import environment
from tests.training.conftest import make_mesh


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a finished run with checkpoints 3 and 6."""
    shutil.copytree(trained.workdir, tmp_path / "run")
    return tmp_path / "run"


def abstract_state(config, data=1, fsdp=1):
    shapes = jax.eval_shape(lambda: init_state(config))
    return sharded_shapes(shapes, state_sharding(shapes, make_mesh(data, fsdp)))


def restore(config, workdir, *mesh):
    log = []
    with RunCheckpoints(workdir, config, log.append) as checkpoints:
        state, stats = checkpoints.restore(abstract_state(config, *mesh))
    return state, stats, log


def newest(workdir):
    return workdir / "checkpoints" / "6"


def truncate_arrays(step):
    for path in (step / "state").rglob("d/*"):
        os.truncate(path, path.stat().st_size // 2)


def remove_arrays(step):
    shutil.rmtree(step / "weights" / "d", ignore_errors=True)
    for part in (step / "weights").glob("ocdbt.process_*"):
        shutil.rmtree(part)


def truncate_largest(item):
    def damage(step):
        largest = max(
            (path for path in (step / item).rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
        )
        os.truncate(largest, 100)

    return damage


DAMAGE = {
    "largest file of the state cut off": truncate_largest("state"),
    "largest file of the weights cut off": truncate_largest("weights"),
    "arrays cut off": truncate_arrays,
    "arrays gone": remove_arrays,
    "config cut off": lambda step: os.truncate(step / "config" / "metadata", 5),
    "state gone": lambda step: shutil.rmtree(step / "state"),
    "tree cut off": lambda step: os.truncate(step / "weights" / "_METADATA", 20),
    "empty": lambda step: [shutil.rmtree(path) if path.is_dir() else path.unlink() for path in step.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_goes_on(trained, run, damage):
    damage(newest(run))
    state, stats, log = restore(trained.config, run)
    assert int(state.step) == 3 and int(state.examples) == 12
    np.testing.assert_array_equal(stats.mixture, trained.stats.mixture)
    assert len(log) == 1 and log[0].startswith(f"warning: checkpoint 6 is damaged and now {run}/checkpoints/damaged-6")
    # The way is free to save step 6 again.
    with RunCheckpoints(run, trained.config, log.append) as checkpoints:
        assert checkpoints.latest_step() == 3
        checkpoints.save(jax.device_put(trained.state), trained.stats)
    assert int(restore(trained.config, run)[0].step) == 6


def test_with_every_checkpoint_damaged_nothing_is_overwritten(trained, run):
    for step in ("3", "6"):
        truncate_arrays(run / "checkpoints" / step)
    for _ in range(2):
        with pytest.raises(InputError, match="none of its checkpoints can be read; choose a new workdir"):
            restore(trained.config, run)
    assert (run / "checkpoints" / "damaged-3").is_dir() and (run / "checkpoints" / "damaged-6").is_dir()
    with RunCheckpoints(run, trained.config, print) as checkpoints:
        assert checkpoints.has_any()  # so nothing starts anew here


def test_with_every_checkpoint_damaged_the_best_goes_on(trained, run):
    shutil.copytree(run / "checkpoints" / "3", run / "best" / "3")
    for step in ("3", "6"):
        truncate_arrays(run / "checkpoints" / step)
    assert int(restore(trained.config, run)[0].step) == 3


def test_a_step_that_is_damaged_twice_is_set_aside_twice(trained, run):
    for name in ("damaged-6", "damaged-6-2"):
        shutil.copytree(newest(run), run / "spare")
        truncate_arrays(newest(run))
        assert int(restore(trained.config, run)[0].step) == 3
        assert (run / "checkpoints" / name).is_dir()
        (run / "spare").rename(newest(run))


def test_a_best_checkpoint_whose_score_is_lost_is_replaced(trained, run):
    shutil.copytree(newest(run), run / "best" / "6")
    os.truncate(run / "best" / "6" / "config" / "metadata", 0)
    log = []
    with RunCheckpoints(run, trained.config, log.append) as checkpoints:
        assert checkpoints.save_if_best(jax.device_put(trained.state), trained.stats, -20.0)
        assert not checkpoints.save_if_best(jax.device_put(trained.state), trained.stats, -21.0)
    assert len(log) == 1 and "best/damaged-6" in log[0]
    assert [path.name for path in sorted((run / "best").iterdir())] == ["6", "damaged-6"]


def test_what_a_kill_left_unfinished_is_passed_over_and_cleared_away(trained, run):
    half = run / "checkpoints" / "7.orbax-checkpoint-tmp"
    shutil.copytree(newest(run) / "weights", half / "weights.orbax-checkpoint-tmp")
    state, _, log = restore(trained.config, run)
    assert int(state.step) == 6 and log == []
    assert not half.exists()


@pytest.mark.parametrize(("data", "fsdp"), [(2, 1), (1, 2)])
def test_a_state_is_restored_onto_other_devices(trained, run, data, fsdp):
    if jax.device_count() < 2:
        pytest.skip("needs 2 devices")
    state, _, _ = restore(trained.config, run, data, fsdp)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), jax.device_get(trained.state))
    assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(state)} == {2}


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from diffvs_jax.data.source import open_tracks
from diffvs_jax.training.loop import train
from tests.nano import get_config
config, workdir = get_config(), Path(sys.argv[1])
config.data.root = sys.argv[2]
config.train.num_steps, config.train.checkpoint_every_steps = 10, 1
def log(line):
    print(line, flush=True)
    if line.startswith("step=8 "):  # from here on no file can grow beyond 20 kB: as a full disk would have it
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    train(config, workdir, open_tracks(config, "train", workdir), log)
except OSError as error:
    print("OSError:", error)
"""


def test_a_full_disk_stops_in_a_line_and_leaves_whole_checkpoints(trained, run, musdb_folder):
    command = [sys.executable, "-c", FULL_DISK, str(run), str(musdb_folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()[-1]
    assert told.startswith(f"OSError: {run}: a checkpoint could not be written; run again, training goes on from step ")
    state, _, log = restore(trained.config, run)
    assert int(state.step) >= 6 and log == []  # 7 was still being written
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
