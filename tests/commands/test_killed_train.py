"""A training run that is killed goes on as if nothing had happened."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.commands.processes import CONFIG, environment, losses


def test_a_killed_run_goes_on_bit_for_bit(command, trained, musdb_folder, tmp_path):
    workdir = tmp_path / "run"
    flags = (f"--config={CONFIG}", f"--workdir={workdir}", f"--config.data.root={musdb_folder}")
    flags += ("--config.demo.num_songs=0", "--config.train.checkpoint_every_steps=2")
    script = Path(__file__).with_name("killed_train.py")
    killed = subprocess.run([sys.executable, str(script), "step 5/", *flags], capture_output=True, env=environment())
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(losses(workdir)) == [1, 2, 3, 4, 5]
    result = command("train", *flags)
    assert result.code == 0, result.err
    # Step 4 may not have been on disk yet; before it was begun, step 2 was.
    assert "continuing from step 4" in result.out or "continuing from step 2" in result.out
    assert "step 5/6" in result.out and "step 6/6" in result.out
    assert losses(workdir) == losses(trained.workdir)
