"""The launchers: what they would run, and that they run it, with commands of their own on PATH."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from diffvs_jax.training.processes import find_processes

HOUSE = Path(__file__).parent.parent.parent
LAUNCH = HOUSE / "launch"
SCRIPTS = [LAUNCH / "tpu_vm.sh", LAUNCH / "slurm.sbatch", LAUNCH / "separate.sbatch"]
FLAGS = ["--config=configs/base.py", "--workdir=runs/with a space"]
TRAIN = ["-m", "diffvs_jax.train"]


def bash(script, *arguments, **environ):
    return subprocess.run(
        ["bash", script, *arguments], capture_output=True, text=True, env=os.environ | environ, timeout=30
    )


def commands(result):
    assert result.returncode == 0, result.stderr
    return [shlex.split(line) for line in result.stdout.splitlines()]


def put_on_path(folder, **scripts):
    """Programs that stand for others; the PATH on which they come first."""
    folder.mkdir()
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script):
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    result = subprocess.run([shellcheck, script], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert subprocess.run(["bash", "-n", script]).returncode == 0


@pytest.fixture
def checkout(tmp_path):
    """The scripts in a folder of their own, where they may install."""
    shutil.copytree(LAUNCH, tmp_path / "checkout" / "launch")
    return tmp_path / "checkout"


def test_a_tpu_vm_installs_once_and_trains(checkout, tmp_path):
    *install, train = commands(bash(checkout / "launch" / "tpu_vm.sh", *FLAGS, DRY_RUN="1"))
    python = ".venv-tpu/bin/python"
    assert [command[:3] for command in install] == [
        ["python3", "-m", "venv"],
        [".venv-tpu/bin/pip", "install", "--quiet"],
    ]
    assert train == ["exec", python, *TRAIN, *FLAGS]
    assert not (checkout / ".venv-tpu").exists()
    # A Python that says with which arguments it was called, as if it had been installed.
    path = put_on_path(tmp_path / "bin", python='printf "%q " "$@"')
    (checkout / ".venv-tpu" / "bin").mkdir(parents=True)
    shutil.copy(tmp_path / "bin" / "python", checkout / python)
    assert commands(bash(checkout / "launch" / "tpu_vm.sh", *FLAGS, PATH=path)) == [[*TRAIN, *FLAGS]]


def test_a_slice_is_given_the_code_and_the_same_command_on_all_workers(checkout):
    script = checkout / "launch" / "tpu_vm.sh"
    archive, copy, train = commands(bash(script, "--tpu=pod", "--zone=us-east5-b", *FLAGS, DRY_RUN="1"))
    assert archive[:2] == ["git", "archive"]
    for command in (copy, train):
        assert command[:4] == ["gcloud", "compute", "tpus", "tpu-vm"]
        assert {"--zone=us-east5-b", "--worker=all"} < set(command)
    assert "pod:diffvs_jax.tar.gz" in copy
    there = train[-1].removeprefix("--command=").split(" && ")[-1]
    assert shlex.split(there) == ["bash", "diffvs_jax/launch/tpu_vm.sh", *FLAGS]
    missing = bash(script, "--tpu=pod", *FLAGS, DRY_RUN="1")
    assert missing.returncode != 0 and "give --zone=ZONE beside --tpu=pod" in missing.stderr


def sbatch_options():
    lines = (LAUNCH / "slurm.sbatch").read_text().splitlines()
    options = [line.split("--", 1)[1].partition("=") for line in lines if line.startswith("#SBATCH")]
    return {name: value for name, _, value in options}


def test_slurm_gives_every_gpu_a_task_and_all_of_them_one_command():
    options = sbatch_options()
    assert options["ntasks-per-node"] == options["gpus-per-node"]  # JAX gives each task the GPU of its number
    assert "requeue" in options and options["signal"].startswith("B:TERM@")
    (command,) = commands(bash(LAUNCH / "slurm.sbatch", *FLAGS, DRY_RUN="1"))
    assert command[0] == "srun" and "--gpu-bind=none" in command
    assert command[-len(FLAGS) - 3 :] == [".venv/bin/python", *TRAIN, *FLAGS]


def test_a_slurm_job_ends_as_training_does(tmp_path):
    path = put_on_path(tmp_path / "bin", srun='printf "%q " "$@" > "$CALLED"; exit 3', scontrol="exit 9")
    environ = {"PATH": path, "CALLED": str(tmp_path / "called"), "SLURM_SUBMIT_DIR": str(tmp_path), "PYTHON": "python"}
    assert bash(LAUNCH / "slurm.sbatch", *FLAGS, **environ).returncode == 3
    assert shlex.split((tmp_path / "called").read_text())[-len(FLAGS) - 3 :] == ["python", *TRAIN, *FLAGS]


def test_a_slurm_job_that_must_go_lets_training_save_and_queues_itself_again(tmp_path):
    srun = 'trap "echo saved >> $LOG; exit 0" TERM; echo training >> $LOG; while true; do sleep 0.05; done'
    path = put_on_path(tmp_path / "bin", srun=srun, scontrol="echo $* >> $LOG")
    log = tmp_path / "log"
    environ = {"PATH": path, "LOG": str(log), "SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "7"}
    job = subprocess.Popen(["bash", LAUNCH / "slurm.sbatch", *FLAGS], env=os.environ | environ)
    while not log.exists():
        assert job.poll() is None
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == 0
    assert log.read_text().splitlines() == ["training", "saved", "requeue 7"]


SONGS = ["/data/my music", "--checkpoint=model", "--output=/data/out"]


def test_a_job_array_separates_songs():
    (command,) = commands(bash(LAUNCH / "separate.sbatch", *SONGS, DRY_RUN="1"))
    assert command == [".venv/bin/python", "-m", "diffvs_jax.separate", *SONGS]


def test_a_task_of_a_job_array_takes_its_part_of_the_songs_and_ends_as_separation_does(tmp_path):
    """The command itself, up to where it looks for its checkpoint."""
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros((10, 1)), 8000)
    array = {"ID": "3", "MIN": "1", "MAX": "5", "STEP": "2", "COUNT": "3"}
    environ = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
    environ |= {"SLURM_SUBMIT_DIR": str(HOUSE), "PYTHON": sys.executable}
    flags = [str(tmp_path), f"--checkpoint={tmp_path}", f"--output={tmp_path / 'out'}"]
    task = bash(LAUNCH / "separate.sbatch", *flags, **environ)
    assert (task.returncode, task.stderr) == (
        2,
        f"error: {tmp_path}: holds no checkpoint; give a training run's workdir or an export\n",
    )
    assert "part 2 of 3: 1 of 3 songs" in task.stdout


@pytest.fixture(scope="module")
def jobset():
    return yaml.safe_load((LAUNCH / "jobset.yaml").read_text())


def test_a_jobset_names_its_processes_as_training_reads_them(jobset):
    """Every pod's environment, as Kubernetes would fill it in, is one process of the same group."""
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    nodes = job["completions"]
    assert replicated["replicas"] == 1 and job["parallelism"] == nodes and job["completionMode"] == "Indexed"
    (container,) = job["template"]["spec"]["containers"]
    for index in range(nodes):
        metadata = {"metadata.annotations['batch.kubernetes.io/job-completion-index']": str(index)}
        environ = {
            entry["name"]: entry.get("value") or metadata[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            for entry in container["env"]
        }
        group = find_processes(environ)
        assert group.size == nodes and group.arguments["process_id"] == index
    # JobSet names pods JOBSET-JOB-INDEX-POD, in a domain of the JobSet's name.
    name = jobset["metadata"]["name"]
    host, port = group.arguments["coordinator_address"].split(":")
    assert host == f"{name}-{replicated['name']}-0-0.{name}"
    assert int(port) in [entry["containerPort"] for entry in container["ports"]]


def test_a_jobset_starts_all_again_and_mounts_what_it_names(jobset):
    assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2" and jobset["kind"] == "JobSet"
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] > 0
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    pod = job["template"]["spec"]
    assert job["backoffLimit"] == 0 and pod["restartPolicy"] == "Never"
    container = pod["containers"][0]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    for flag in container["args"]:
        path = flag.partition("=")[2]
        assert (HOUSE / path).is_file() or any(path.startswith(f"{place}/") for place in places), flag


def run_container(jobset, tmp_path, python):
    """The container's command with a ``python`` of its own; starts it."""
    container = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]
    path = put_on_path(tmp_path / "bin", python=python)
    command = [*container["command"], *container["args"]]
    environ = os.environ | {"PATH": path, "LOG": str(tmp_path / "log")}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True), container["args"]


def test_a_pod_runs_the_command_and_ends_as_it_does(jobset, tmp_path):
    pod, flags = run_container(jobset, tmp_path, 'printf "%q " "$@"; exit 3')
    out, _ = pod.communicate(timeout=30)
    assert (pod.returncode, shlex.split(out)) == (3, [*TRAIN, *flags])


def test_a_pod_that_must_go_lets_training_save_and_fails(jobset, tmp_path):
    """A process that saved in good time ends with 0, which would count as the end of training."""
    training = 'trap "echo saved; exit 0" TERM; touch $LOG; while true; do sleep 0.05; done'
    pod, _ = run_container(jobset, tmp_path, training)
    while not (tmp_path / "log").exists():
        assert pod.poll() is None
        time.sleep(0.05)
    pod.send_signal(signal.SIGTERM)
    out, _ = pod.communicate(timeout=30)
    assert (pod.returncode, out) == (75, "saved\n")


def test_every_launcher_says_first_how_to_use_it():
    for path in LAUNCH.iterdir():
        head = re.match(r"(?:#.*\n)+", path.read_text())[0]
        assert re.search(r"^#   (bash|sbatch|kubectl) .*launch/" + re.escape(path.name), head, re.MULTILINE), path
