"""What a sweep found, if there was one: score against network evaluations."""

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.report.axes import Axis, axis, legend, plot
from diffvs_jax.evaluation.report.markup import Html, element, number

_SERIES = 6  # colours of report.css


def sweep_plot(path: Path) -> Html:
    """Score against network evaluations from ``sweep.csv``: all settings, and a line through each sampler's best.

    Raises:
      InputError: the file is not what a sweep writes.
    """
    if not path.is_file():
        return Html()
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        column = next(name for name in rows[0] if name.startswith("csdr_") and name.endswith("_median"))
        points = [(row["sampler"], float(row["evaluations"]), float(row[column]), _setting(row)) for row in rows]
    except (KeyError, ValueError, IndexError, StopIteration):
        raise InputError(f"{path}: is not what evaluate --sweep writes; remove it, or sweep again") from None
    points = [point for point in points if np.isfinite(point[2])]
    samplers = list(dict.fromkeys(point[0] for point in points))
    x_axis, y_axis = axis([0, *(point[1] for point in points)]), axis(point[2] for point in points)
    marks = []
    for place, sampler in enumerate(samplers):
        own = [point for point in points if point[0] == sampler]
        marks += _series(own, f"series-{place % _SERIES + 1}", x_axis, y_axis)
    stem = column.removeprefix("csdr_").removesuffix("_median")
    best = max(points, key=lambda point: point[2], default=("", 0.0, float("nan"), "no finite score"))
    return plot(
        f"{stem}: median cSDR of a sweep, dB",
        "Every dot is a setting; lines go through the best of each number of evaluations.",
        marks,
        y_axis,
        x_axis=x_axis,
        x_label="network evaluations per chunk",
        summary=f"cSDR against network evaluations; the best is {number(best[2])} dB with {best[3]}.",
        legend=legend(samplers),
    )


def _series(own: Sequence[tuple[str, float, float, str]], series: str, x_axis: Axis, y_axis: Axis) -> list[Html]:
    dots = [
        element(
            "circle",
            class_=f"dot {series}",
            cx=f"{x_axis.share(count):.2f}%",
            cy=f"{100 - y_axis.share(score):.2f}%",
            r=3.5,
            data_tip=f"{name}\n{number(score)} dB, {count:g} evaluations",
        )
        for _, count, score, name in own
    ]
    tops = sorted({count: max(point[2] for point in own if point[1] == count) for _, count, *_ in own}.items())
    places = [(f"{x_axis.share(count):.2f}%", f"{100 - y_axis.share(score):.2f}%") for count, score in tops]
    lines = [
        element("line", class_=f"line {series}", x1=x1, y1=y1, x2=x2, y2=y2)
        for (x1, y1), (x2, y2) in itertools.pairwise(places)
    ]
    return [*lines, *dots]


def _setting(row: Mapping[str, str]) -> str:
    named = (("steps", "num_steps"), ("sigma_max", "sigma_max"), ("rho", "rho"))
    return ", ".join([row["sampler"], *(f"{name} {row[key]}" for name, key in named if key in row)])
