"""The report: one HTML file that needs nothing beside it."""

import datetime
from importlib import resources
from pathlib import Path, PurePath

from diffvs_jax.evaluation.records import ESTIMATE
from diffvs_jax.evaluation.report.about import about_table, warnings
from diffvs_jax.evaluation.report.comparison import comparison_section
from diffvs_jax.evaluation.report.markup import Html, element, join, number, plural
from diffvs_jax.evaluation.report.players import extremes, players
from diffvs_jax.evaluation.report.plots import frame_plot, track_plots
from diffvs_jax.evaluation.report.results import summary_table, track_table
from diffvs_jax.evaluation.report.scores import Scores, load_scores, text_of
from diffvs_jax.evaluation.report.sweeps import sweep_plot
from diffvs_jax.evaluation.report.theirs import published_tables
from diffvs_jax.whole import whole_file

# The browser itself then fetches nothing, whatever the page says.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_report(folder: Path, compare: Path | None = None, output: Path | None = None) -> Path:
    """Writes what a folder of scores says as one HTML file; it appears whole or not at all.

    Args:
      folder: that ``evaluate`` wrote: ``summary.json``, records, and what records name.
      compare: another one, whose tracks are held against these.
      output: the file; ``folder/report.html`` without.

    Returns:
      Where it is.

    Raises:
      InputError: a folder holds no scores, or something in it cannot be read.
    """
    scores = load_scores(folder)
    other = load_scores(compare) if compare else None
    path = Path(output) if output else scores.folder / "report.html"
    text = page(scores, other)
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files need not be text
    return path


def page(scores: Scores, other: Scores | None = None) -> Html:
    """The whole page."""
    title = f"{_name(scores)} beside {_name(other)}" if other else f"Scores of {_name(scores)}"
    sections = [(name, heading, parts) for name, heading, parts in _sections(scores, other) if any(parts)]
    links = [element("a", heading, href=f"#{name}") for name, heading, _ in sections]
    body = [
        element(
            "header",
            element("h1", title),
            element("p", _subtitle(scores)),
            element("p", _provenance(scores), class_="note"),
            _headline(scores),
        ),
        element("nav", *links, aria_label="Sections"),
        element(
            "main",
            *(element("section", element("h2", heading), *parts, id=name) for name, heading, parts in sections),
        ),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", title),
        element("style", Html(_asset("report.css"))),
    ]
    script = element("script", Html(_asset("report.js")))
    return join(
        [Html("<!doctype html>\n"), element("html", element("head", *head), element("body", *body, script), lang="en")]
    )


def _sections(scores: Scores, other: Scores | None) -> list[tuple[str, str, list[Html]]]:
    """Anchor, heading and content of what there may be."""
    anchors = {track: f"track-{place}" for place, track in enumerate(scores.tracks)}
    worst, best = extremes(scores)
    tracks = [element("div", *track_plots(scores, anchors), class_="plots"), track_table(scores, anchors)]
    first = next(iter(scores.stems), "")
    listen = [
        part
        for heading, heard in (("Worst seconds", worst), ("Best seconds", best))
        if heard
        for part in (element("h3", f"{heading} of the {first}"), players(scores, heard, anchors))
    ]
    return [
        ("comparison", "Comparison", comparison_section(scores, other) if other else []),
        ("summary", "Summary", [*warnings(scores), summary_table(scores)]),
        ("published", "Published figures", published_tables(scores)),
        ("tracks", "Tracks", tracks if anchors else []),
        ("seconds", "Seconds", [frame_plot(scores)]),
        ("listen", "Listen", listen),
        ("sweep", "Sweep", [sweep_plot(scores.folder / "sweep.csv")]),
        ("about", "About these scores", [about_table([scores, other] if other else [scores])]),
    ]


def _name(scores: Scores) -> str:
    about = scores.about
    estimates = PurePath(text_of(about, "estimates")).name
    return text_of(about, "config") or estimates or scores.folder.resolve().name


def _subtitle(scores: Scores) -> str:
    about = scores.about
    data = "/".join(part for part in (PurePath(text_of(about, "root")).name, text_of(about, "split")) if part)
    told = [plural(len(scores.tracks), "track") + (f" of {data}" if data else "")]
    if "seconds" in about:
        told.append(f"the middle {about['seconds']:g} s of each" if about["seconds"] else "whole")
    if len(scores.runs) > 1:
        told.append(plural(len(scores.runs), "run"))
    told.append(_when(scores))
    return " · ".join(part for part in told if part)


def _provenance(scores: Scores) -> str:
    """What made the scores, in a line; the table at the page's end has all of it."""
    about, told = scores.about, []
    checkpoint, step = text_of(about, "checkpoint"), text_of(about, "checkpoint_step")
    if checkpoint:
        told.append(checkpoint + (f", step {step}" if step else ""))
    if text_of(about, "config_hash"):
        told.append(f"config {text_of(about, 'config_hash')[:12]}")
    if about.get("seeds"):
        told.append(f"{'seed' if len(about['seeds']) == 1 else 'seeds'} {', '.join(map(str, about['seeds']))}")
    sampler = about.get("sampler") or {}
    if sampler:
        told.append(f"{text_of(sampler, 'name')}, {plural(sampler.get('num_steps', 0), 'step')}")
    version, commit = text_of(about, "diffvs_jax"), text_of(about, "commit")
    if version:
        told.append(f"diffvs_jax {version}" + (f" ({commit})" if commit else ""))
    return " · ".join(told)


def _when(scores: Scores) -> str:
    """The day on which the scores were summed up."""
    try:
        day = datetime.date.fromisoformat(text_of(scores.about, "date"))
    except ValueError:
        return ""
    return f"{day.day} {day:%B %Y}"


def _headline(scores: Scores) -> Html:
    """The figures that papers report, in large."""
    summary, spread = scores.about.get("summary") or {}, scores.about.get("spread") or {}
    tiles = []
    for stem in scores.stems:
        key = f"csdr_{stem}_median"
        value = float(summary.get(ESTIMATE, {}).get(key, float("nan")))
        if value == value:
            more = f" ± {number(float(spread[key]))}" if len(scores.runs) > 1 and key in spread else ""
            shown = element("dd", number(value), element("small", f"{more} dB"))
            tiles.append(element("div", element("dt", f"{stem}, cSDR median"), shown))
    return element("dl", *tiles, class_="headline") if tiles else Html()


def _asset(name: str) -> str:
    return (resources.files("diffvs_jax") / "assets" / "report" / name).read_text(encoding="utf-8")
