"""What a report draws: a dot for each track, seconds by score, differences between two folders."""

from collections.abc import Mapping, Sequence

import numpy as np

from diffvs_jax.evaluation.report.axes import Axis, axis, level, plot
from diffvs_jax.evaluation.report.markup import Html, element, number, plural
from diffvs_jax.evaluation.report.scores import Scores, measure_of, stem_of


def track_plots(scores: Scores, anchors: Mapping[str, str]) -> list[Html]:
    """For every stem its tracks from the lowest cSDR to the highest, with the range over runs.

    Args:
      scores: what to draw.
      anchors: track to its row in the table.
    """
    columns = [f"csdr_{stem}" for stem in scores.stems]
    return [_sorted_tracks(scores, column, anchors) for column in columns if column in scores.columns]


def _sorted_tracks(scores: Scores, column: str, anchors: Mapping[str, str]) -> Html:
    measure, stem = measure_of(column, scores.stems), stem_of(column, scores.stems)
    means = {track: scores.mean(track, column) for track in scores.tracks}
    order = sorted((track for track in means if np.isfinite(means[track])), key=lambda track: means[track])
    ranges = {track: [value for value in scores.per_run(track, column) if np.isfinite(value)] for track in order}
    y_axis = axis(value for values in ranges.values() for value in values)
    median = scores.median(column)
    marks = [
        _hit(
            place,
            len(order),
            f"{track}\n{number(means[track])} {measure.unit}",
            anchors[track],
            _whisker(_middle(place, len(order)), ranges[track], y_axis),
            _dot(_middle(place, len(order)), means[track], y_axis),
        )
        for place, track in enumerate(order)
    ]
    if np.isfinite(median):
        marks.append(level(median, y_axis, f"median {number(median)}"))
    left_out = len(means) - len(order)
    note = "Every dot is a track; choosing one goes to its row below."
    note += " Lines span the runs." if len(scores.runs) > 1 else ""
    note += f" {plural(left_out, 'track')} without a finite score left out." if left_out else ""
    summary = f"cSDR of {stem} for {plural(len(order), 'track')}, median {number(median)} dB; the table has all values."
    return plot(f"{stem}: cSDR, dB", note, marks, y_axis, x_label="tracks, sorted", summary=summary)


def frame_plot(scores: Scores) -> Html:
    """How many seconds of the first run have which SDR, for the first stem; "" without seconds."""
    stem = next(iter(scores.stems), "")
    rows = [record.frames.get(f"sdr_{stem}", ()) for record in scores.first_run.values()]
    values = np.array([value for row in rows for value in row], np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Html()
    low, high = (int(end) for end in (np.floor(np.quantile(finite, 0.005)), np.ceil(np.quantile(finite, 0.995))))
    edges = np.arange(low, max(high, low + 1) + 1)
    counts, _ = np.histogram(np.clip(finite, edges[0], edges[-1]), edges)
    x_axis, y_axis = axis([edges[0], edges[-1]]), axis([0, counts.max()])
    marks = [_bar(x_axis, y_axis, edges, place, int(count)) for place, count in enumerate(counts) if count]
    median = float(np.median(finite))
    x = f"{x_axis.share(median):.2f}%"
    text = element("text", f"median {number(median)}", class_="beside", x=x, y="0", dx=5, dy=10)
    marks.append(element("g", element("line", class_="level", x1=x, x2=x, y1="0", y2="100%"), text))
    silent, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    note = f"{plural(len(finite), 'second')} of {plural(len(rows), 'track')}; the outermost bars hold what is beyond."
    note += f" {silent} without a score (something is silent)." if silent else ""
    note += f" {infinite} infinite." if infinite else ""
    summary = f"SDR of {stem} in {plural(len(finite), 'second')}, median {number(median)} dB."
    return plot(
        f"{stem}: number of seconds by their SDR",
        note,
        marks,
        y_axis,
        x_axis=x_axis,
        x_label="SDR, dB",
        summary=summary,
    )


def difference_plot(differences: Mapping[str, float], title: str, anchors: Mapping[str, str], median: float) -> Html:
    """A bar for each track's difference, from the most lost to the most gained."""
    order = sorted(differences, key=lambda track: differences[track])
    y_axis = axis([0.0, *differences.values()], least=0.2)
    zero, marks = 100 - y_axis.share(0.0), []
    for place, track in enumerate(order):
        top = 100 - y_axis.share(max(differences[track], 0.0))
        bottom = 100 - y_axis.share(min(differences[track], 0.0))
        bar = element(
            "rect",
            class_="bar gain" if differences[track] >= 0 else "bar loss",
            x=f"{100 * place / len(order):.3f}%",
            width=f"{100 / len(order):.3f}%",
            y=f"{top:.2f}%",
            height=f"{bottom - top:.2f}%",
        )
        tip = f"{track}\n{number(differences[track], sign=True)} dB"
        marks.append(_hit(place, len(order), tip, anchors[track], bar))
    marks.append(element("line", class_="zero", x1="0", x2="100%", y1=f"{zero:.2f}%", y2=f"{zero:.2f}%"))
    marks.append(level(median, y_axis, f"median {number(median, sign=True)}"))
    summary = f"Differences of {plural(len(order), 'track')}, median {number(median, sign=True)} dB; the table has all."
    note = "Every bar is a track; choosing one goes to its row."
    return plot(title, note, marks, y_axis, x_label="tracks, sorted", summary=summary)


def _bar(x_axis: Axis, y_axis: Axis, edges: np.ndarray, place: int, count: int) -> Html:
    left, right = x_axis.share(edges[place]), x_axis.share(edges[place + 1])
    return element(
        "rect",
        class_="bar",
        x=f"{left:.2f}%",
        width=f"{right - left:.2f}%",
        y=f"{100 - y_axis.share(count):.2f}%",
        height=f"{y_axis.share(count):.2f}%",
        data_tip=f"{number(edges[place], 0)} to {number(edges[place + 1], 0)} dB\n{plural(count, 'second')}",
    )


def _hit(place: int, count: int, tip: str, anchor: str, *marks: Html) -> Html:
    """Marks of a track that react in the whole column, which is easier to meet than a dot."""
    x, width = f"{100 * place / count:.3f}%", f"{100 / count:.3f}%"
    column = element("rect", class_="hit", x=x, width=width, y="0", height="100%")
    return element("a", column, *marks, href=f"#{anchor}", tabindex=-1, data_tip=tip)


def _middle(place: int, count: int) -> str:
    return f"{100 * (place + 0.5) / count:.3f}%"


def _whisker(x: str, values: Sequence[float], y_axis: Axis) -> Html:
    if len(values) < 2:
        return Html()
    low, high = (f"{100 - y_axis.share(end):.2f}%" for end in (min(values), max(values)))
    return element("line", class_="whisker", x1=x, x2=x, y1=low, y2=high)


def _dot(x: str, value: float, y_axis: Axis) -> Html:
    return element("circle", class_="dot", cx=x, cy=f"{100 - y_axis.share(value):.2f}%", r=4)
