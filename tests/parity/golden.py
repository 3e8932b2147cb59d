"""Reads the golden numbers: all that a test knows of a reference comes from here."""

import functools
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

OURS = Path(__file__).parent / "golden"
FOLDER = Path(os.environ.get("DIFFVS_PARITY_DIR") or OURS)
NUMBER = r"(\d+(?:\.\d+)?(?:e-?\d+)?)"


class Golden:
    """A pair of files: ``facts`` is what the JSON says, and the arrays go by their names."""

    def __init__(self, name: str):
        self.name = name
        self.facts: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
        with np.load(FOLDER / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)

    def __repr__(self) -> str:
        return self.name

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose names start with ``prefix``, by the rest of their names."""
        return {key.removeprefix(prefix): value for key, value in self.arrays.items() if key.startswith(prefix)}

    def suffixes(self, prefix: str) -> list[str]:
        """Endings of the single arrays that start so: what tells several inputs of one network apart."""
        return [rest for rest in self.under(prefix) if "/" not in rest]

    def numbers(self, fact: str, pattern: str) -> list[float]:
        """The numbers that stand in a fact's prose where ``pattern`` has NUMBER."""
        prose = self.facts[fact] if isinstance(self.facts[fact], str) else "\n".join(self.facts[fact])
        found = re.search(pattern.replace("NUMBER", NUMBER), prose)
        if found is None:
            pytest.fail(f"{self.name}.json: {fact!r} does not have {pattern!r}; it says: {prose}")
        return [float(number) for number in found.groups()]

    def tolerance(self, pattern: str) -> float:
        """The number that the tolerance, which is told in prose alone, has at ``pattern``."""
        return self.numbers("tolerance", pattern)[0]


load = functools.cache(Golden)


def each(
    names: str, pattern: str, list_cases: Callable[[Golden], Iterable[tuple]] = lambda golden: [()]
) -> pytest.MarkDecorator:
    """Runs a test for every file that matches ``pattern`` and every case that ``list_cases`` finds in it.

    ``names``: the test's arguments, the golden numbers first, then what a case consists of. A folder
    of other numbers may lack a family; ours may not.
    """
    files = sorted(path.stem for path in FOLDER.glob(f"{pattern}.json"))
    found = [(load(file), *case) for file in files for case in list_cases(load(file))]
    if found:
        return pytest.mark.parametrize(names.split(), found, ids=["-".join(map(str, case)) for case in found])
    missing = f"{FOLDER.absolute()} has no case of {pattern}.json"
    if FOLDER == OURS or not any(FOLDER.glob("*.json")):
        raise FileNotFoundError(missing)
    nothing = pytest.param(*[None] * len(names.split()), marks=pytest.mark.skip(reason=missing), id="missing")
    return pytest.mark.parametrize(names.split(), [nothing])


def assert_near(got: Any, expected: np.ndarray, tolerance: float, least: float = 1.0) -> None:
    """Within ``tolerance`` times the largest number expected, or times ``least`` where that is larger."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * max(least, np.abs(expected).max()))
