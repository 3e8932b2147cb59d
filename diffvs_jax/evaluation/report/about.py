"""What was scored, with what and how."""

from collections.abc import Iterable, Sequence
from typing import Any

from diffvs_jax.evaluation.report.markup import Html, duration, element, plural
from diffvs_jax.evaluation.report.scores import Scores, text_of
from diffvs_jax.evaluation.report.tables import scrolling


def warnings(scores: Scores) -> list[Html]:
    """What the scores lack: tracks that failed, that are not scored yet, or that were scored anew since."""
    about = scores.about
    if about and "settings" not in about:
        text = f"The scores in {scores.folder} were written by another version: run evaluate again."
        return [element("p", text, class_="warning")]
    failed, left_out, tracks = about.get("failed") or {}, about.get("left_out") or [], about.get("tracks") or []
    told = []
    if lines := [*left_out, *failed.values()]:
        items = element("ul", *(element("li", line) for line in lines))
        told.append([f"{plural(len(lines), 'track')} could not be scored:", items])
    total = about.get("num_tracks", 0)
    if (left := total - len({*tracks, *failed}) - len(left_out)) > 0:
        told.append([f"{plural(left, 'track')} of {total} not scored yet."])
    for run, records in scores.runs.items():
        if lacking := len(scores.tracks) - len(records):
            told.append([f"{run} lacks {plural(lacking, 'track')} that other runs have."])
    if anew := {*tracks} - {*scores.tracks}:
        why = "scored anew, of other files or with other settings, or removed since these scores were summed up"
        told.append([f"{plural(len(anew), 'track')} of {len(tracks)} {why}: run evaluate again, to its end."])
    return [element("div", *parts, class_="warning") for parts in told]


def about_table(scores: Sequence[Scores]) -> Html:
    """What was scored, with what, how: a column for each folder."""
    listed = [dict(_facts(one)) for one in scores]
    names = list(dict.fromkeys(name for facts in listed for name in facts))
    rows = [
        element("tr", element("th", name, scope="row"), *(element("td", facts.get(name, "–")) for facts in listed))
        for name in names
    ]
    heads = [element("th", str(one.folder), scope="col") for one in scores]
    head = [element("thead", element("tr", element("td"), *heads))] if len(scores) > 1 else []
    return scrolling("About these scores", *head, element("tbody", *rows), class_="about")


def _facts(scores: Scores) -> Iterable[tuple[str, str]]:
    about = scores.about
    for name, key in (
        ("config", "config"),
        ("config hash", "config_hash"),
        ("checkpoint", "checkpoint"),
        ("checkpoint's step", "checkpoint_step"),
        ("model", "model"),
        ("estimates", "estimates"),
        ("data", "root"),
        ("split", "split"),
    ):
        if text_of(about, key):
            yield name, text_of(about, key)
    if "seconds" in about:
        yield "scored", "whole tracks" if not about["seconds"] else f"the middle {about['seconds']:g} s of each track"
    yield "tracks", str(len(scores.tracks) or text_of(about, "num_tracks"))
    yield "runs", ", ".join(scores.runs) or "none"
    if about.get("seeds"):
        yield "seeds", ", ".join(map(str, about["seeds"]))
    if about.get("sampler"):
        yield "sampler", ", ".join(f"{key} {_short(value)}" for key, value in about["sampler"].items())
    if about.get("sigmas"):
        yield "noise levels", ", ".join(f"{sigma:.4g}" for sigma in about["sigmas"])
    for name, key in (("embedding", "embedding"), ("BSS-eval", "bss_eval"), ("computed in", "dtype")):
        if text_of(about, key):
            yield name, text_of(about, key)
    if about.get("time"):
        yield "time", ", ".join(f"{key} {duration(float(value))}" for key, value in about["time"].items())
    for name, key in (("diffvs_jax", "diffvs_jax"), ("commit", "commit"), ("Python", "python"), ("JAX", "jax")):
        if text_of(about, key):
            yield name, text_of(about, key)
    if text_of(about, "device"):
        yield "device", text_of(about, "device")


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
