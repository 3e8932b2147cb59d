"""Published figures beside a run, and whether it can be held against them."""

from pathlib import PurePath

from diffvs_jax.evaluation import published
from diffvs_jax.evaluation.report.markup import Html, element, number, plural
from diffvs_jax.evaluation.report.scores import Scores, text_of
from diffvs_jax.evaluation.report.tables import plain_table, scrolling


def published_tables(scores: Scores) -> list[Html]:
    """What others published, as theirs, and whether this run can stand beside it."""
    rows = [
        (p.name, p.kind, p.training_data, f"{p.parameters / 1e6:.0f} M", number(p.csdr), p.source)
        for p in sorted(published.CSDR, key=lambda p: -p.csdr)
    ]
    heads = ("", "kind", "training data", "parameters", "cSDR, median, dB", "whose figure")
    embeddings = [(p.name, number(p.mse, 3), p.source) for p in published.EMBEDDING]
    return [
        element("p", *_comparable(scores), class_="note"),
        scrolling("Published cSDR of vocals", *plain_table(heads, rows, {3, 4})),
        element("h3", "Embedding MSE of vocals, MERT layer 12, lower is better"),
        scrolling("Published embedding MSE", *plain_table(("", "MSE", "whose figure"), embeddings, {1})),
    ]


def _comparable(scores: Scores) -> list[str]:
    """Whether this run can be held against the published figures, and why not."""
    about, reasons = scores.about, []
    if "vocals" not in scores.stems:
        reasons.append("no vocals were scored")
    if about.get("seconds"):
        reasons.append(f"{about['seconds']:g} s of each track were scored, not all of it")
    if text_of(about, "split") not in ("test", ""):
        reasons.append(f"the split is '{text_of(about, 'split')}', not the test set")
    if len(scores.tracks) != published.TEST_TRACKS:
        reasons.append(f"{plural(len(scores.tracks), 'track')} scored, not {published.TEST_TRACKS}")
    root = PurePath(text_of(about, "root")).name
    if root and "musdb" not in root.lower():
        reasons.append(f"the folder '{root}' is not named as MUSDB18-HQ's")
    paper = element("a", "Diff-VS paper", href=published.PAPER_URL)
    theirs = [
        "Measured by others on the 50 test tracks of MUSDB18-HQ, whole, and taken from the ",
        paper,
        "; nothing in these tables was measured here. ",
    ]
    if not reasons:
        return [*theirs, "Compare them with this run's cSDR median of the vocals, if its data were MUSDB18-HQ's."]
    return [*theirs, element("strong", f"Not comparable with this run: {'; '.join(reasons)}.")]
