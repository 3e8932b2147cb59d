"""Where a program's time goes, by kind of operation, from a trace of JAX's profiler."""

import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

KINDS = ("convolutions", "dense layers", "attention", "norms", "element-wise and copies")


def time_by_kind(compiled: Any, run: Callable[[], Any]) -> dict[str, float]:
    """Share of the busy time of all threads or streams that each of ``KINDS`` takes while ``run`` runs.

    Args:
      compiled: the compiled program that ``run`` runs; its text says what each operation is.
      run: waits for its result.
    """
    kinds = kinds_of_operations(compiled.as_text())
    with tempfile.TemporaryDirectory(prefix="diffvs-jax-trace-") as folder:
        with jax.profiler.trace(folder):
            run()
        trace = next(Path(folder).rglob("*.xplane.pb"))
        data = jax.profiler.ProfileData.from_file(str(trace))
    busy: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 says of event.stats that it has no module
        for plane in data.planes:
            for line in plane.lines:
                for event in line.events:
                    name = dict(event.stats).get("hlo_op")
                    if name in kinds:
                        busy[kinds[str(name)]] += event.duration_ns
    total = sum(busy.values())
    return {kind: busy[kind] / total for kind in KINDS} if total else {}


def kinds_of_operations(text: str) -> dict[str, str]:
    """The kind of every operation in a compiled program's text, by name.

    A fusion is what its heaviest part is: a convolution with an activation after it is a convolution.
    Convolutions of one tap are matrix products, and count as dense layers.
    """
    bodies: dict[str, list[str]] = {}  # computation to its lines
    body: list[str] = []
    for line in text.splitlines():
        if opening := re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line):
            body = bodies.setdefault(opening[1], [])
        elif " = " in line:
            body.append(line)
    kinds = {}
    for lines in bodies.values():
        for line in lines:
            name = line.split(" = ")[0].replace("ROOT", "").strip().lstrip("%")
            called = re.findall(r"(?:calls|to_apply|called_computations)=\{?%?([\w.\-]+)", line)
            kinds[name] = _kind("\n".join([line, *(part for c in called for part in bodies.get(c, []))]))
    return kinds


def _kind(lines: str) -> str:
    """``lines``: an operation and, if it is a fusion, what is fused."""
    names = " ".join(re.findall(r'op_name="([^"]*)"', lines))
    attention = re.search(r"/attention/|/pixels/", names) is not None
    if re.search(r" convolution\(|custom_call_target=\"__cudnn\$conv", lines):
        return "convolutions"
    if re.search(r" dot\(|gemm|matmul", lines):
        return "attention" if "/attend/" in names else "dense layers"
    if re.search(r"norm", names):
        return "norms"
    if attention:
        return "attention"
    return "element-wise and copies"
