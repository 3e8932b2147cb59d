import dataclasses

import numpy as np
import pytest

from diffvs_jax.evaluation.bootstrap import bootstrap_interval
from diffvs_jax.evaluation.records import load_records, save_record
from diffvs_jax.evaluation.report.comparison import compare, comparison_section
from diffvs_jax.evaluation.report.markup import element, join
from diffvs_jax.evaluation.report.scores import load_scores
from tests.evaluation.report.fabricated import ODD_NAMES, write_scores
from tests.evaluation.report.parsed import parse, read, rows, table_of


@pytest.fixture(scope="module")
def both(scores_folder, other_folder):
    return load_scores(scores_folder), load_scores(other_folder)


def in_records(folder, track, column):
    values = [r.scores["estimate"][column] for r in load_records(folder) if r.track == track]
    return float(np.mean(values))


def test_differences_are_those_of_the_means_over_runs(both, scores_folder, other_folder):
    one = compare(*both, "csdr_vocals")
    expected = {
        track: in_records(scores_folder, track, "csdr_vocals") - in_records(other_folder, track, "csdr_vocals")
        for track in ODD_NAMES[:3]
    }
    assert one.differences == pytest.approx(expected)
    values = list(one.differences.values())
    assert one.mean == pytest.approx((np.mean(values), *bootstrap_interval(values)))
    assert one.median == pytest.approx((np.median(values), *bootstrap_interval(values, np.median)))
    assert (one.wins, one.losses) == (sum(v > 0 for v in values), sum(v < 0 for v in values))


def test_the_other_way_round_is_the_opposite(both):
    one, other = compare(*both, "csdr_vocals"), compare(*both[::-1], "csdr_vocals")
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert other.mean.value == pytest.approx(-one.mean.value)


def test_infinite_scores_are_left_out(both):
    assert ODD_NAMES[0] not in compare(*both, "sisdr_vocals").pairs
    one = compare(*both, "sisdr_vocals")
    assert len(one.pairs) == 2 and one.infinite == 1 and compare(*both, "csdr_vocals").infinite == 0


def test_where_lower_is_better_less_wins(tmp_path):
    scores = []
    for name, value in (("here", 0.05), ("there", 0.08)):
        folder = write_scores(tmp_path / name, ["song"], (0,), excerpts=0)
        (record,) = load_records(folder)
        save_record(folder, dataclasses.replace(record, scores={"estimate": {"embedding_vocals": value}}))
        scores.append(load_scores(folder))
    one = compare(*scores, "embedding_vocals")
    assert (one.wins, one.losses) == (1, 0) and one.mean.value == pytest.approx(-0.03)


def test_the_page_says_what_differs(compared):
    page = parse(compared.read_text())
    assert read(page.find(".//h1")) == "fabricated beside other"
    warnings = [read(p) for p in page.iter("p") if p.get("class") == "warning"]
    assert warnings == [
        "They did not score the same music: seconds of each track: all here, 30.0 there.",
        "They did not score alike: precision: unknown here, float64 there.",
        "1 track only here and 0 only there are left out.",
    ]
    totals = {line[0]: line[1] for line in rows(table_of(page, "Wins and differences"))}
    assert totals["SI-SDR vocalsdB"] == "31 infinite" and totals["cSDR vocalsdB"] == "3"
    about = rows(table_of(page, "About these scores"))
    assert ["config", "fabricated", "other"] in about and ["seeds", "0, 1", "0"] in about


def test_the_page_has_every_difference(compared, both):
    table = table_of(parse(compared.read_text()), "vocals: cSDR of both")
    one = compare(*both, "csdr_vocals")
    for row in list(table.iter("tr"))[1:]:
        here, there = one.pairs[read(row[0])]
        shown = [float(cell.get("data-value")) for cell in row[1:]]
        assert shown == pytest.approx([here, there, here - there], rel=1e-4)


def test_where_all_is_exact_wins_are_counted(tmp_path):
    folders = [write_scores(tmp_path / name, ["song"], (0,), excerpts=0) for name in ("a", "b")]
    (record,) = load_records(folders[0])
    exact = dict.fromkeys(record.scores["estimate"], float("inf"))
    save_record(folders[0], dataclasses.replace(record, scores={"estimate": exact}))
    section = parse(element("div", join(comparison_section(*map(load_scores, folders)))))
    lines = rows(table_of(section, "Wins and differences"))
    assert lines[1][:4] == ["cSDR vocalsdB", "11 infinite", "1", "0"]
    assert "No track has a finite score in both" in read(section)


def test_what_the_other_folder_lacks_is_told(tmp_path):
    failed = {"there": "there: is damaged"}
    folders = [write_scores(tmp_path / "a", ["song"], (0,), excerpts=0)]
    folders.append(write_scores(tmp_path / "b", ["song"], (0,), excerpts=0, num_tracks=2, failed=failed))
    section = parse(element("div", join(comparison_section(*map(load_scores, folders)))))
    assert "1 track could not be scored:there: is damaged" in read(section)


def test_the_same_data_may_lie_elsewhere(tmp_path):
    roots = {"a": "songs", "b": "/data/songs", "c": "/data/others"}
    a, b, c = (
        load_scores(write_scores(tmp_path / name, ["song"], (0,), excerpts=0, root=root))
        for name, root in roots.items()
    )
    assert "the same music" not in join(comparison_section(a, b))
    assert "the same music: data: songs here, /data/others there" in join(comparison_section(a, c))


def test_folders_with_nothing_in_common(tmp_path):
    folders = [write_scores(tmp_path / name, [name], (0,), excerpts=0) for name in ("a", "b")]
    section = parse(element("div", join(comparison_section(*map(load_scores, folders)))))
    assert "No track has a finite score in both" in read(section)
