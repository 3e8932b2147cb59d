import re
from collections import Counter

import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.records import load_records
from diffvs_jax.evaluation.report.axes import axis
from diffvs_jax.evaluation.report.plots import difference_plot, frame_plot, track_plots
from diffvs_jax.evaluation.report.scores import load_scores
from diffvs_jax.evaluation.report.sweeps import sweep_plot
from tests.evaluation.report.fabricated import ODD_NAMES
from tests.evaluation.report.parsed import parse, read


@pytest.fixture(scope="module")
def scores(scores_folder):
    return load_scores(scores_folder)


def share(text):
    assert text.endswith("%")
    return float(text[:-1])


def height(plot, value):
    """Where a value should lie, in percent from the top, by the labels of the axis."""
    ticks = [text for text in plot.iter("text") if text.get("class") == "tick"]
    known = sorted((float(read(tick).replace("−", "-")), share(tick.get("y"))) for tick in ticks)
    return np.interp(value, *zip(*known, strict=True))


def test_an_axis_holds_its_values_and_ends_at_ticks():
    one = axis([1.23, 7.9, float("nan"), float("inf")])
    assert one.low <= 1.23 and one.high >= 7.9 and (one.ticks[0], one.ticks[-1]) == (one.low, one.high)
    assert one.share((one.low + one.high) / 2) == pytest.approx(50)
    assert (one.share(-100), one.share(100)) == (0, 100)
    assert axis([2.0, 2.0]).high > axis([2.0, 2.0]).low and axis([]).high > 0


def test_tracks_are_sorted_and_as_high_as_they_score(scores):
    plot = parse(track_plots(scores, {name: f"track-{n}" for n, name in enumerate(scores.tracks)})[0])
    links = list(plot.iter("a"))
    expected = sorted(ODD_NAMES[:3], key=lambda name: scores.mean(name, "csdr_vocals"))
    assert [link.get("data-tip").split("\n")[0] for link in links] == expected
    for name, link in zip(expected, links, strict=True):
        value = scores.mean(name, "csdr_vocals")
        assert share(link.find("circle").get("cy")) == pytest.approx(height(plot, value), abs=0.02)
        low, high = (share(link.find("line").get(key)) for key in ("y1", "y2"))
        assert low - high == pytest.approx(
            np.subtract(*[height(plot, end(scores.per_run(name, "csdr_vocals"))) for end in (min, max)]), abs=0.03
        )
        assert link.get("href") == f"#track-{scores.tracks.index(name)}"
    assert "1 track without a finite score" in read(plot)


def test_the_median_is_the_summarys(scores):
    assert scores.median("csdr_vocals") == pytest.approx(scores.about["summary"]["estimate"]["csdr_vocals_median"])


def test_every_second_is_in_a_bar(scores):
    plot = parse(frame_plot(scores))
    frames = np.concatenate([r.frames["sdr_vocals"] for r in scores.first_run.values()])
    finite = frames[np.isfinite(frames)]
    tips = [re.match(r"(\S+) to \S+ dB\n(\d+) second", bar.get("data-tip")).groups() for bar in plot.iter("rect")]
    counts = {float(low.replace("−", "-")): int(count) for low, count in tips}
    assert sum(counts.values()) == len(finite)
    low, high = np.quantile(finite, [0.005, 0.995])
    assert (min(counts), max(counts)) == (np.floor(low), np.ceil(high) - 1)
    inner = {low: n for low, n in Counter(np.floor(finite)).items() if min(counts) < low < max(counts)}
    assert {low: n for low, n in counts.items() if min(counts) < low < max(counts)} == inner
    note = read(plot.findall("p")[-1])
    assert f"{np.isnan(frames).sum()} without a score" in note and f"{np.isinf(frames).sum()} infinite" in note


def test_lines_of_a_sweep_go_through_the_best(scores_folder, tmp_path):
    plot = parse(sweep_plot(scores_folder / "sweep.csv"))
    assert [read(item) for item in plot.iter("li")] == ["heun", "dpmpp_2m"]
    tips = [dot.get("data-tip") for dot in plot.iter("circle")]
    assert len(tips) == 12 and "heun, steps 3, sigma_max 10.0, rho 7.0\n5.10 dB, 5 evaluations" in tips
    ends = [line.get("y2") for line in plot.iter("line") if line.get("class") == "line series-1"]
    assert [share(end) for end in ends] == pytest.approx([height(plot, 5.1), height(plot, 5.6714)], abs=0.02)
    assert sweep_plot(tmp_path / "none.csv") == ""
    (tmp_path / "sweep.csv").write_text("sampler,evaluations\nheun,1\n")
    with pytest.raises(InputError, match="sweep again"):
        sweep_plot(tmp_path / "sweep.csv")


def test_bars_of_differences_start_at_zero():
    plot = parse(difference_plot({"up": 1.0, "down": -0.5}, "differences", {"up": "u", "down": "d"}, 0.25))
    down, up = (link.findall("rect")[1] for link in plot.iter("a"))
    zero = height(plot, 0.0)
    assert (share(down.get("y")), share(up.get("y"))) == pytest.approx((zero, height(plot, 1.0)), abs=0.02)
    assert share(up.get("height")) == pytest.approx(2 * share(down.get("height")), abs=0.03)
    assert ("loss" in down.get("class"), "gain" in up.get("class")) == (True, True)


def test_seconds_without_scores_draw_nothing(tmp_path, scores_folder):
    assert all(record.frames for record in load_records(scores_folder))
    (tmp_path / "summary.json").write_text('{"config": "x"}')
    assert frame_plot(load_scores(tmp_path)) == ""
