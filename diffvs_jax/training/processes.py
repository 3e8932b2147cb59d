"""Several processes of one command, on one machine or many, and what happens when one of them stops."""

import atexit
import contextlib
import faulthandler
import importlib.util
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental import multihost_utils

from diffvs_jax.errors import InputError

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")  # JAX itself reads the first alone
_START_SECONDS = 300  # in which all processes must have started
_HEARTBEAT_SECONDS = 20  # without a sign of life, after which a process counts as stopped
_METADATA_SECONDS = 5  # for a TPU VM's answer about its own slice

Log = Callable[[str], None]


class Group(NamedTuple):
    """How many processes there are, and the arguments that ``jax.distributed.initialize`` needs to join them."""

    size: int
    arguments: dict[str, Any]


def start_processes(log: Log) -> None:
    """Joins the other processes where the environment says that there are some; else does nothing.

    Call it before anything asks for devices. When a process stops or hangs later, the others end with one line
    on standard error, by SIGABRT: JAX does that from C++, and ``stderr_filter`` puts its stack into words.

    Raises:
      InputError: the environment speaks of several processes and leaves out which, or they cannot be.
    """
    group = find_processes(os.environ)
    if group is None:
        return
    address = group.arguments.get("coordinator_address", "the first host")
    log(f"waiting for {group.size} processes; process 0 is at {address}")
    _filter_stderr(group.size, address)
    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    try:
        jax.distributed.initialize(
            **group.arguments, initialization_timeout=_START_SECONDS, heartbeat_timeout_seconds=_HEARTBEAT_SECONDS
        )
    except RuntimeError as error:  # process 0's port is in use
        raise InputError(f"process 0 cannot be reached at {address} ({error}); choose another port") from error
    # Who fails alone would wait for the others before it leaves, and they for it.
    silence = open(os.devnull, "w")  # noqa: SIM115
    atexit.register(faulthandler.dump_traceback_later, _HEARTBEAT_SECONDS + 5, exit=True, file=silence)


def finish_processes() -> None:
    """Parts from the other processes once all have come here; each may then go on, or end, alone."""
    jax.distributed.shutdown()


def first_only(log: Log) -> Log:
    """``log`` in process 0; in the others, which have the same to say, a function that says nothing."""
    return log if jax.process_index() == 0 else lambda line: None


@contextlib.contextmanager
def first_goes_first() -> Iterator[None]:
    """Runs the block in process 0, then in the others, which find what it has written."""
    if jax.process_index() > 0:
        multihost_utils.sync_global_devices("first_goes_first")
    yield
    if jax.process_index() == 0:
        multihost_utils.sync_global_devices("first_goes_first")


def find_processes(environ: Mapping[str, str]) -> Group | None:
    """The group that this process belongs to, or None where it is alone.

    In this order: JAX_COORDINATOR_ADDRESS (HOST:PORT of process 0), JAX_NUM_PROCESSES and JAX_PROCESS_ID; a step
    of several SLURM tasks, each with the GPU of its number on the node; the hosts of a TPU slice.

    Raises:
      InputError: one of the three variables is missing, or cannot be.
    """
    found = _from_variables(environ) or _from_slurm(environ) or _from_tpu(environ)
    return found if found and found.size > 1 else None


def _from_variables(environ: Mapping[str, str]) -> Group | None:
    values = [environ.get(name, "") for name in _VARIABLES]
    if not any(values):
        return None
    if not all(values):
        missing = ", ".join(name for name, value in zip(_VARIABLES, values, strict=True) if not value)
        raise InputError(f"{missing} is not set; set all of {', '.join(_VARIABLES)}, or none of them")
    address, count, index = values
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(f"JAX_COORDINATOR_ADDRESS={address}: give HOST:PORT of process 0, such as 10.0.0.1:8476")
    if not count.isdecimal() or int(count) == 0:
        raise InputError(f"JAX_NUM_PROCESSES={count}: give how many processes there are, 1 or more")
    if not index.isdecimal() or int(index) >= int(count):
        raise InputError(f"JAX_PROCESS_ID={index}: give a number from 0 to {int(count) - 1}, not the same in any two")
    arguments = {"coordinator_address": address, "num_processes": int(count), "process_id": int(index)}
    return Group(int(count), arguments | {"cluster_detection_method": "deactivate"})


def _from_slurm(environ: Mapping[str, str]) -> Group | None:
    if "SLURM_STEP_NODELIST" not in environ:  # the batch script itself, outside of srun
        return None
    return Group(int(environ.get("SLURM_NTASKS", "1")), {"cluster_detection_method": "slurm"})


def _from_tpu(environ: Mapping[str, str]) -> Group | None:
    platforms = jax.config.jax_platforms  # type: ignore[attr-defined]
    if importlib.util.find_spec("libtpu") is None or "tpu" not in (platforms or "tpu"):
        return None
    hosts, method = environ.get("TPU_PROCESS_ADDRESSES") or environ.get("TPU_WORKER_HOSTNAMES"), "gketpu"
    if hosts is None and "TPU_SKIP_MDS_QUERY" not in environ:  # which JAX sets where there are no chips
        hosts, method = _slice_of_tpu_vm(environ), "gcetpu"
    return Group(hosts.count(",") + 1, {"cluster_detection_method": method}) if hosts else None


def _slice_of_tpu_vm(environ: Mapping[str, str]) -> str:
    """What Google's metadata server says of the hosts of this one's slice; nothing where there is no such server."""
    server = environ.get("GCE_METADATA_IP", "metadata.google.internal")
    url = f"http://{server}/computeMetadata/v1/instance/attributes/worker-network-endpoints"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(request, timeout=_METADATA_SECONDS) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def _filter_stderr(count: int, address: str) -> None:
    """Sends this process's standard error through ``stderr_filter``, which outlives it."""
    source, sink = os.pipe()
    program = str(Path(__file__).with_name("stderr_filter.py"))
    hold = _HEARTBEAT_SECONDS + 10
    numbers = [str(count), address, str(_START_SECONDS), str(hold)]
    files = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", program, *numbers], os.environ, file_actions=files)
    os.dup2(sink, 2)
    os.close(source)
    os.close(sink)
