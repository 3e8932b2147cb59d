"""What was measured, in tables: the run above its baselines, and all tracks."""

import math
from collections.abc import Mapping

from diffvs_jax.evaluation.records import ESTIMATE
from diffvs_jax.evaluation.report.markup import Html, duration, element, number, plural
from diffvs_jax.evaluation.report.scores import Scores, measure_of, stem_of
from diffvs_jax.evaluation.report.tables import scrolling, sortable_cell, sortable_table

METHODS = {
    ESTIMATE: "this run",
    "one_step": "one step",
    "oracle": "oracle mask",
    "mixture": "mixture as it is",
    "silence": "silence",
}
"""What the methods of a summary are called, in the order in which they are shown."""


def summary_table(scores: Scores) -> Html:
    """Every stem's scores of the run, with its spread over seeds, above those of the baselines; "" without."""
    summary, spread = scores.about.get("summary") or {}, scores.about.get("spread") or {}
    methods = [name for name in [*METHODS, *summary] if name in summary]
    kinds = list(dict.fromkeys(_kind(key, scores) for name in methods for key in summary[name]))
    if not kinds:
        return Html()
    heads = [element("th", *_kind_head(kind), scope="col", class_="number") for kind in kinds]
    bodies = []
    for stem in scores.stems:
        rows = [element("tr", element("th", stem, scope="rowgroup", colspan=len(kinds) + 1), class_="group")]
        for method in dict.fromkeys(methods):
            keys = [f"{measure}_{stem}{statistic}" for measure, statistic in kinds]
            own = method == ESTIMATE
            cells = [_summary_cell(scores, method, spread if own else {}, key) for key in keys]
            name = element("th", METHODS.get(method, method), scope="row")
            rows.append(element("tr", name, *cells, class_="own" if own else None))
        bodies.append(element("tbody", *rows))
    head = element("thead", element("tr", element("td"), *heads))
    measures = [measure_of(kind, ()) for kind in dict.fromkeys(kind for kind, _ in kinds)]
    meanings = "; ".join(f"{measure.name}: {measure.meaning}" for measure in measures if measure.meaning)
    spread_note = (
        f" ± is the standard deviation over {len(scores.runs)} runs." if spread and len(scores.runs) > 1 else ""
    )
    return element(
        "div",
        scrolling("Scores of this run and its baselines", head, *bodies, class_="summary"),
        element("p", f"{meanings}. ↓: lower is better.{spread_note}", class_="note") if meanings else "",
    )


def track_table(scores: Scores, anchors: Mapping[str, str]) -> Html:
    """All tracks with all scores, mean over runs."""
    columns = scores.columns
    heads = [("track", ""), ("length", "")]
    heads += [_measure_head(column, scores) for column in columns]
    rows = []
    for track in scores.tracks:
        record = next(run[track] for run in scores.runs.values() if track in run)
        cells = [sortable_cell(float(record.seconds), duration(float(record.seconds)))]
        for column in columns:
            value = scores.mean(track, column)
            cells.append(sortable_cell(value, number(value, measure_of(column, scores.stems).digits)))
        rows.append(element("tr", element("th", track, scope="row"), *cells, id=anchors[track]))
    return sortable_table("tracks", "All tracks", heads, rows)


def _kind(key: str, scores: Scores) -> tuple[str, str]:
    """("csdr", "_median") of "csdr_vocals_median"."""
    statistic = next((end for end in ("_median", "_mean") if key.endswith(end)), "")
    column = key.removesuffix(statistic)
    return column.removesuffix(f"_{stem_of(column, scores.stems)}"), statistic


def _kind_head(kind: tuple[str, str]) -> tuple[str, Html]:
    measure = measure_of(kind[0], ())
    below = ", ".join(part for part in (kind[1].removeprefix("_"), measure.unit) if part)
    return measure.name, element("small", below + ("" if measure.higher_is_better else " ↓"))


def _measure_head(column: str, scores: Scores) -> tuple[str, str]:
    return measure_of(column, scores.stems).name, stem_of(column, scores.stems)


def _summary_cell(scores: Scores, method: str, spread: Mapping[str, float], key: str) -> Html:
    values = scores.about["summary"][method]
    if key not in values:
        return element("td", "", class_="number")
    column = key.removesuffix("_median").removesuffix("_mean")
    digits = measure_of(column, scores.stems).digits
    text: list[str] = [number(float(values[key]), digits)]
    if len(scores.runs) > 1 and key in spread and not math.isnan(spread[key]):
        text.append(element("small", f" ± {number(float(spread[key]), digits)}", class_="spread"))
    count = (scores.about.get("counts") or {}).get(method, {}).get(key)
    if count and count < len(scores.tracks):
        text.append(element("small", f" {count} of {plural(len(scores.tracks), 'track')}"))
    return element("td", *text, class_="number")
