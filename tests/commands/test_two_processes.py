"""Commands in two processes: training goes on bit for bit after one is killed; songs are shared."""

import json
import signal
import socket
import subprocess
import sys
import time

from tests.commands.processes import CONFIG, Result, curve, environment
from tests.commands.sounds import write_wav
from tests.helpers import RATE

NUM_STEPS = 12  # so many that the kill comes long before the last


def in_two_processes(command, *flags):
    """A command in each of two processes with a device each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    together = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2", "JAX_NUM_CPU_DEVICES": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-m", f"diffvs_jax.{command}", *flags],
            env=environment() | together | {"JAX_PROCESS_ID": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in (0, 1)
    ]


def start(workdir, musdb_folder):
    """Training in two processes, which share one copy of the state."""
    flags = (f"--config={CONFIG}", f"--workdir={workdir}", f"--config.data.root={musdb_folder}")
    flags += ("--config.demo.num_songs=0", "--config.train.mesh=(1,2)")
    flags += (f"--config.train.num_steps={NUM_STEPS}", "--config.train.checkpoint_every_steps=2")
    flags += ("--config.model.channel_mult=(1,)", "--config.model.attention=pixel")  # process 1 compiles anew each time
    return in_two_processes("train", *flags)


def results(processes):
    finished = [process.communicate() for process in processes]
    return [Result(process.returncode, *texts) for process, texts in zip(processes, finished, strict=True)]


def test_two_processes_of_which_one_is_killed_go_on_bit_for_bit(musdb_folder, tmp_path):
    first, second = start(tmp_path / "killed", musdb_folder)
    # saving after step 4 waits until the checkpoint of step 2, which is written beside the steps, is whole
    assert any(line.startswith("step=5 ") for line in first.stdout), first.stderr.read()
    second.send_signal(signal.SIGKILL)
    since = time.monotonic()
    whole = start(tmp_path / "whole", musdb_folder)  # the first waits for a sign of life, which takes no processor
    left, _ = results([first, second])
    assert time.monotonic() - since < 60
    assert left.code != 0
    assert left.err == (
        "error: process 1 of 2 (counted from 0) has stopped; "
        "run all processes again, they go on from the newest checkpoint\n"
    )

    whole = results(whole)
    assert [result.code for result in whole] == [0, 0], whole
    assert "device: 2 x" in whole[0].out and f"step={NUM_STEPS} " in whole[0].out
    assert "step" not in whole[1].out  # all that they have to say, process 0 says

    again = results(start(tmp_path / "killed", musdb_folder))
    assert [result.code for result in again] == [0, 0], again
    assert "continuing from step" in again[0].out and f"step={NUM_STEPS} " in again[0].out
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    assert len(curve(tmp_path / "killed")) == NUM_STEPS


def test_two_processes_share_songs_and_end_when_they_are_done(untrained, tmp_path):
    for name, seconds in (("short", 0.5), ("long", 60)):
        write_wav(tmp_path / "in" / f"{name}.wav", num_samples=round(seconds * RATE), rate=RATE)
    flags = (tmp_path / "in", f"--checkpoint={untrained}", f"--output={tmp_path / 'out'}")
    first, second = in_two_processes("separate", *flags, f"--json={tmp_path / 'report.json'}")
    _, status = second.communicate(timeout=60), first.poll()
    (result,) = results([first])
    assert (second.returncode, status, result.code) == (0, None, 0), result.err
    names = []
    for number in (1, 2):
        (song,) = json.loads((tmp_path / f"report-{number}-of-2.json").read_text())["songs"]
        assert (tmp_path / "out" / song["song"] / "vocals.wav").is_file()
        names.append(song["song"])
    assert names == ["long", "short"]
