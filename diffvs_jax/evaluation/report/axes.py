"""Plots as inline SVG whose places are percentages: they fit any width, and their text keeps its size."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from diffvs_jax.evaluation.report.markup import Html, element, number


class Axis(NamedTuple):
    """A range of values, and the round ones that are written beside it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value lies, in percent from the low end; values beyond lie at the ends."""
        share = 100 * (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 100.0)


def axis(values: Iterable[float], least: float = 1.0) -> Axis:
    """An axis that holds all values and ends at round numbers.

    Args:
      values: finite ones count.
      least: its length where the values lie closer.
    """
    from matplotlib.ticker import MaxNLocator  # slow to import, and only reports need it

    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    missing = max(0.0, least - (high - low)) / 2
    ticks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low - missing, high + missing)
    return Axis(float(ticks[0]), float(ticks[-1]), tuple(float(tick) for tick in ticks))


def plot(
    title: str,
    note: str,
    marks: Sequence[str],
    y_axis: Axis,
    *,
    x_axis: Axis | None = None,
    x_label: str = "",
    summary: str,
    legend: str = "",
) -> Html:
    """A figure: its title, marks above a grid, labels of its axes, and a note below.

    Args:
      title: what is drawn, with the unit of the vertical axis.
      note: how to read it.
      marks: SVG elements that are placed in percent.
      y_axis: the vertical one, with a line for each tick.
      x_axis: the horizontal one, if its values are to be written.
      x_label: what runs from left to right.
      summary: what the picture says, for those who do not see it.
      legend: what colours mean.
    """
    rows = [_row(tick, y_axis) for tick in y_axis.ticks]
    columns = [_column(tick, x_axis) for tick in x_axis.ticks] if x_axis else []
    label = element("text", x_label, class_="label", x="50%", y="100%", dy=40 if x_axis else 24)
    picture = element("svg", *rows, *columns, *marks, label, role="img", aria_label=summary)
    return element(
        "figure",
        element("figcaption", title),
        legend,
        element("div", picture, class_="plot ticked" if x_axis else "plot"),
        element("p", note, class_="note"),
    )


def level(value: float, y_axis: Axis, label: str) -> Html:
    """A dashed line across the plot, with its name at the left end, where sorted marks are below it."""
    y = f"{100 - y_axis.share(value):.2f}%"
    line = element("line", class_="level", x1="0", x2="100%", y1=y, y2=y)
    return element("g", line, element("text", label, class_="named", x="0", y=y, dx=4, dy=-5))


def legend(names: Sequence[str]) -> Html:
    """Names of the series beside their colours."""
    items = [
        element("li", element("span", class_=f"swatch series-{place}"), name) for place, name in enumerate(names, 1)
    ]
    return element("ul", *items, class_="legend")


def _digits(ticks: Sequence[float]) -> int:
    """Decimals that tell all ticks as they are."""
    return next((digits for digits in range(4) if np.allclose(ticks, np.round(ticks, digits), atol=1e-6)), 4)


def _row(tick: float, y_axis: Axis) -> Html:
    y = f"{100 - y_axis.share(tick):.2f}%"
    text = number(tick, _digits(y_axis.ticks))
    line = element("line", class_="grid", x1="0", x2="100%", y1=y, y2=y)
    return element("g", line, element("text", text, class_="tick", x="0", y=y, dx=-8, dy=4))


def _column(tick: float, x_axis: Axis) -> Html:
    text = number(tick, _digits(x_axis.ticks))
    return element("text", text, class_="tick below", x=f"{x_axis.share(tick):.2f}%", y="100%", dy=18)
