"""Who the processes are, told from the environment, and how they end when one of them stops."""

import http.server
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.training import processes, stderr_filter
from diffvs_jax.training.processes import find_processes

HOUSE = Path(__file__).parent.parent.parent
VARIABLES = {"JAX_COORDINATOR_ADDRESS": "10.0.0.1:8476", "JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "3"}
SLURM = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "16", "SLURM_PROCID": "9", "SLURM_LOCALID": "1"}


def test_a_machine_of_its_own_is_alone():
    assert find_processes({}) is None
    assert find_processes({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


def test_variables_name_the_processes_and_come_first():
    group = find_processes(SLURM | {"SLURM_STEP_NODELIST": "node[1-2]"} | VARIABLES)
    assert group.size == 4
    assert group.arguments == {
        "coordinator_address": "10.0.0.1:8476",
        "num_processes": 4,
        "process_id": 3,
        "cluster_detection_method": "deactivate",
    }
    assert find_processes(VARIABLES | {"JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}) is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JAX_PROCESS_ID", "", "JAX_PROCESS_ID is not set; set all of"),
        ("JAX_COORDINATOR_ADDRESS", "", "JAX_COORDINATOR_ADDRESS is not set; set all of"),
        ("JAX_COORDINATOR_ADDRESS", "10.0.0.1", "JAX_COORDINATOR_ADDRESS=10.0.0.1: give HOST:PORT"),
        ("JAX_COORDINATOR_ADDRESS", "host:port", "give HOST:PORT"),
        ("JAX_COORDINATOR_ADDRESS", "host:70000", "give HOST:PORT"),
        ("JAX_NUM_PROCESSES", "two", "JAX_NUM_PROCESSES=two: give how many"),
        ("JAX_NUM_PROCESSES", "0", "give how many"),
        ("JAX_PROCESS_ID", "4", "JAX_PROCESS_ID=4: give a number from 0 to 3"),
        ("JAX_PROCESS_ID", "-1", "give a number from 0 to 3"),
    ],
)
def test_variables_that_cannot_be_are_refused(name, value, message):
    with pytest.raises(InputError, match=message):
        find_processes(VARIABLES | {name: value})


def test_a_slurm_step_of_several_tasks_is_left_to_jax():
    assert find_processes(SLURM) is None  # the batch script itself
    step = SLURM | {"SLURM_STEP_NODELIST": "node[1-2]"}
    assert find_processes(step) == (16, {"cluster_detection_method": "slurm"})
    assert find_processes(step | {"SLURM_NTASKS": "1"}) is None


class Metadata(http.server.BaseHTTPRequestHandler):
    """Google's metadata server on a TPU VM."""

    def do_GET(self):
        known = self.path == "/computeMetadata/v1/instance/attributes/worker-network-endpoints"
        self.send_response(200 if known and self.headers["Metadata-Flavor"] == "Google" else 404)
        self.end_headers()
        self.wfile.write(self.server.hosts.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def tpu(monkeypatch):
    """A machine with TPU chips and the libraries for them."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "libtpu" or find_spec(name))
    settings = type("Settings", (), {"jax_platforms": "tpu,cpu"})
    monkeypatch.setattr(processes.jax, "config", settings)


@pytest.mark.parametrize(("hosts", "count"), [("a", None), ("a,b,c", 3), ("x:0:10.0.0.1,x:1:10.0.0.2", 2)])
def test_a_tpu_vm_asks_for_its_slice(tpu, hosts, count):
    with http.server.HTTPServer(("127.0.0.1", 0), Metadata) as server:
        server.hosts = hosts
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        group = find_processes({"GCE_METADATA_IP": f"127.0.0.1:{server.server_port}"})
        server.shutdown()
    assert group == ((count, {"cluster_detection_method": "gcetpu"}) if count else None)


def test_tpu_workers_on_kubernetes_are_in_the_environment(tpu):
    environ = {"TPU_SKIP_MDS_QUERY": "true", "TPU_WORKER_HOSTNAMES": "a,b"}
    assert find_processes(environ) == (2, {"cluster_detection_method": "gketpu"})
    assert find_processes(environ | {"TPU_WORKER_HOSTNAMES": "localhost"}) is None


def test_a_machine_that_has_no_metadata_server_is_alone(tpu, monkeypatch):
    monkeypatch.setattr(processes, "_METADATA_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the request, and answers nothing
        environ = {"GCE_METADATA_IP": f"127.0.0.1:{silent.getsockname()[1]}"}
        assert find_processes(environ) is None
    assert find_processes(environ) is None  # nobody there
    assert find_processes({"TPU_SKIP_MDS_QUERY": "1"}) is None  # not asked


# What a process does once it has joined the other, in a library that waits for less long.
PROGRAM = """
import time
from diffvs_jax.training import processes
processes._HEARTBEAT_SECONDS, processes._START_SECONDS = 4, 4
processes.start_processes(print)
print("joined", flush=True)
{}
processes.finish_processes()
"""
WAIT = "time.sleep(60)"


def start(*programs, count=2):
    """Processes that know of each other and run one program each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    together = {"PYTHONPATH": str(HOUSE), "JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(count)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(program)],
            env=os.environ | together | {"JAX_PROCESS_ID": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, program in enumerate(programs)
    ]


def signal_once_joined(number, started, signal_number):
    for process in started:
        assert "joined\n" in process.stdout, process.stderr.read()
    started[number].send_signal(signal_number)


def ending(process):
    _, error = process.communicate(timeout=60)
    return process.returncode, error


def stopped(number):
    return f"error: process {number} of 2 (counted from 0) has stopped; run all processes again, they go on from "


def test_processes_end_with_one_line_however_one_of_them_stops():
    """Side by side, since they mostly wait: told to end, hung, failed alone, never started, and none of these."""
    ended, hung, failed = start(WAIT, WAIT), start(WAIT, WAIT), start(WAIT, "raise ValueError('alone')")
    lonely, well = start(WAIT), start("time.sleep(1)", "pass")
    signal_once_joined(0, ended, signal.SIGTERM)
    signal_once_joined(1, hung, signal.SIGSTOP)
    for number, process in ((0, ended[1]), (1, hung[0]), (1, failed[0])):
        code, error = ending(process)
        assert code != 0
        assert error.startswith(stopped(number)) and error.count("\n") == 1, error
    hung[1].kill()
    assert [ending(process)[0] for process in (ended[0], hung[1])] == [-signal.SIGTERM, -signal.SIGKILL]
    code, error = ending(failed[1])
    assert code != 0 and error.endswith("ValueError: alone\n") and "stopped" not in error
    code, error = ending(lonely[0])
    assert code != 0
    assert error.startswith("error: not all 2 processes found process 0 at 127.0.0.1:") and error.count("\n") == 1
    assert [ending(process) for process in well] == [(0, "")] * 2


class Filter:
    """``pass_on`` in a thread, with pipes for both its ends."""

    def __init__(self, hold_seconds):
        source, self.sink = os.pipe()
        self.out, out = os.pipe()
        arguments = (source, out, lambda text: f"aborted: {len(text)}", hold_seconds)
        self.thread = threading.Thread(target=stderr_filter.pass_on, args=arguments)
        self.thread.start()

    def write(self, text):
        os.write(self.sink, text.encode())

    def read(self):
        return os.read(self.out, 2**16).decode()

    def end(self):
        """What is left to read."""
        os.close(self.sink)
        self.thread.join()
        left = self.read()
        os.close(self.out)
        return left


def test_a_filter_passes_lines_on_and_holds_back_what_may_be_an_abort():
    stream = Filter(hold_seconds=0.2)
    stream.write("error: no\n")
    assert stream.read() == "error: no\n"
    stream.write("W1123 05:44:48.7 file.cc:1] slow\n")
    assert stream.read() == "W1123 05:44:48.7 file.cc:1] slow\n"  # after hold_seconds
    stream.write("Traceback (most recent call last):\n  ...\n")
    assert stream.end() == "Traceback (most recent call last):\n  ...\n"  # at the end, at the latest


def test_a_filter_puts_an_abort_into_one_line():
    stream = Filter(hold_seconds=60)
    parts = ["Traceback (most recent call last):\n", "F1123 05:44:48.7 client.h:80] Terminating process because "]
    parts += ["the JAX distributed service detected fatal errors.\n", "    @ 0x7f\n"]
    for part in parts:
        stream.write(part)
    assert stream.end() == f"aborted: {len(''.join(parts))}\n"
