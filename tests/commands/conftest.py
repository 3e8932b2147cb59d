"""One process that runs commands, and one finished run that they work with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from diffvs_jax.model import weights
from tests.commands.processes import CONFIG, Result, environment, python_m
from tests.helpers import random_model
from tests.nano import get_config


@pytest.fixture(scope="session")
def command():
    """``command("separate", "song.wav", ...)``, in a process that lives as long as the session."""
    driver = [sys.executable, str(Path(__file__).with_name("driver.py"))]
    with subprocess.Popen(
        driver, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:

        def run(*arguments):
            process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
            process.stdin.flush()
            return Result(**json.loads(process.stdout.readline()))

        yield run


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """Two steps of training in a process of its own, from the first song rendered to the demo."""
    workdir = tmp_path_factory.mktemp("commands") / "run"
    result = python_m("diffvs_jax.train", f"--config={CONFIG}", f"--workdir={workdir}", "--config.train.num_steps=2")
    return workdir, result


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """An export of a model with random weights, for what needs no training."""
    config = get_config()
    config.model.channel_mult = (1,)
    path = tmp_path_factory.mktemp("untrained") / "model"
    weights.export(path, random_model(config))
    return path


@pytest.fixture(scope="session")
def workdir(first_run):
    return first_run[0]
