"""Two folders of scores, track by track: who wins, by how much, and how sure that is."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from diffvs_jax.evaluation.bootstrap import bootstrap_interval
from diffvs_jax.evaluation.report.about import warnings
from diffvs_jax.evaluation.report.markup import Html, element, number, plural
from diffvs_jax.evaluation.report.plots import difference_plot
from diffvs_jax.evaluation.report.scores import Measure, Scores, measure_of, stem_of, text_of
from diffvs_jax.evaluation.report.tables import number_cell, scrolling, sortable_table

_SAMPLE = {"root": "data", "split": "split", "seconds": "seconds of each track"}  # which music was scored
_HOW = {"embedding": "embedding", "dtype": "precision"}


class Figure(NamedTuple):
    """A statistic and its 95 % interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """One score of two folders, on the tracks that both have.

    Attributes:
      column: such as "csdr_vocals".
      pairs: track to its score here and there, both finite.
      infinite: tracks that have no difference since one of them is infinite.
      wins: tracks that are better here.
      losses: tracks that are better there.
      mean: of the differences, here minus there.
      median: likewise.
    """

    column: str
    pairs: Mapping[str, tuple[float, float]]
    infinite: int
    wins: int
    losses: int
    mean: Figure
    median: Figure

    @property
    def differences(self) -> dict[str, float]:
        """Track to its score here minus that there."""
        return {track: here - there for track, (here, there) in self.pairs.items()}


def compare(here: Scores, there: Scores, column: str) -> Comparison:
    """Pairs tracks by name; each folder's score is the mean over its runs."""
    both = sorted({*here.tracks} & {*there.tracks})
    pairs = {track: (here.mean(track, column), there.mean(track, column)) for track in both}
    wins, losses = (sum(a > b for a, b in pairs.values()), sum(a < b for a, b in pairs.values()))
    if not measure_of(column, here.stems).higher_is_better:
        wins, losses = losses, wins
    infinite = sum(bool(np.isinf(pair).any()) for pair in pairs.values())
    pairs = {track: pair for track, pair in pairs.items() if np.isfinite(pair).all()}
    differences = np.array([a - b for a, b in pairs.values()])
    mean, median = (
        Figure(float(statistic(differences)) if pairs else float("nan"), *bootstrap_interval(differences, statistic))
        for statistic in (np.mean, np.median)
    )
    return Comparison(column, pairs, infinite, wins, losses, mean, median)


def comparison_section(here: Scores, there: Scores) -> list[Html]:
    """Tables and a plot of how two folders differ, and a word where they scored different music."""
    columns = [column for column in here.columns if column in there.columns]
    compared = [one for one in (compare(here, there, column) for column in columns) if one.pairs or one.infinite]
    finite = [one for one in compared if one.pairs]
    parts = [element("p", f"Here: {here.folder}. There: {there.folder}. Differences are here minus there.")]
    parts += [element("p", warning, class_="warning") for warning in _warnings(here, there)]
    if lacking := warnings(there):
        parts.append(element("div", f"Of {there.folder}:", *lacking))
    if compared:
        parts.append(_totals(compared, here))
    if not finite:
        return [*parts, element("p", "No track has a finite score in both folders.")]
    parts.append(
        element("p", "Intervals hold 95 % of 10,000 bootstrap resamples of the tracks (percentiles).", class_="note")
    )
    first = finite[0]
    anchors = {track: f"difference-{place}" for place, track in enumerate(first.pairs)}
    name = f"{stem_of(first.column, here.stems)}: {measure_of(first.column, here.stems).name}"
    parts.append(difference_plot(first.differences, f"{name}, here minus there, dB", anchors, first.median.value))
    rows = [
        element(
            "tr",
            element("th", track, scope="row"),
            *(number_cell(value) for value in pair),
            number_cell(pair[0] - pair[1], sign=True),
            id=anchors[track],
        )
        for track, pair in first.pairs.items()
    ]
    heads = [("track", ""), ("here", name), ("there", name), ("difference", "dB")]
    return [*parts, sortable_table("differences", f"{name} of both", heads, rows)]


def _totals(compared: list[Comparison], here: Scores) -> Html:
    heads = ["score", "tracks", "better here", "better there", "mean difference", "median difference"]
    head = [element("th", text, scope="col", class_="number" if place else None) for place, text in enumerate(heads)]
    rows = []
    for one in compared:
        measure = measure_of(one.column, here.stems)
        name = f"{measure.name} {stem_of(one.column, here.stems)}"
        unit = ", ".join(part for part in (measure.unit, "" if measure.higher_is_better else "lower is better") if part)
        left_out: str | Html = element("small", f"{one.infinite} infinite") if one.infinite else ""
        paired = element("span", str(len(one.pairs) + one.infinite), left_out)
        texts = [paired, str(one.wins), str(one.losses), _told(one.mean, measure), _told(one.median, measure)]
        cells = [element("td", text, class_="number") for text in texts]
        rows.append(element("tr", element("th", name, element("small", unit), scope="row"), *cells))
    return scrolling("Wins and differences", element("thead", element("tr", *head)), element("tbody", *rows))


def _told(figure: Figure, measure: Measure) -> Html:
    value, low, high = (number(part, measure.digits, sign=True) for part in figure)
    return element("span", value, element("small", f"{low} to {high}"))


def _warnings(here: Scores, there: Scores) -> list[str]:
    """What makes the comparison less than fair."""
    shared = [column for column in here.columns if column in there.columns]
    how = {key: name for key, name in _HOW.items() if key == "dtype" or any(c.startswith(f"{key}_") for c in shared)}
    music, ways = _differences(_SAMPLE, here, there), _differences(how, here, there)
    lines = [f"They did not score the same music: {music}."] if music else []
    lines += [f"They did not score alike: {ways}."] if ways else []
    alone = [len({*one.tracks} - {*other.tracks}) for one, other in ((here, there), (there, here))]
    if any(alone):
        lines.append(f"{plural(alone[0], 'track')} only here and {alone[1]} only there are left out.")
    return lines


def _differences(keys: Mapping[str, str], here: Scores, there: Scores) -> str:
    told = []
    for key, name in keys.items():
        ours, theirs = (
            "all" if one.about.get(key) == 0 else text_of(one.about, key) or "unknown" for one in (here, there)
        )
        if PurePath(ours).name != PurePath(theirs).name:  # the same data may lie elsewhere
            told.append(f"{name}: {ours} here, {theirs} there")
    return "; ".join(told)
