import csv
from dataclasses import replace

import numpy as np
import pytest

from diffvs_jax.evaluation.records import Record
from diffvs_jax.evaluation.summary import (
    count_tracks,
    provenance_of,
    rows_of,
    rows_over_runs,
    summarize,
    summary_of,
    summary_table,
    write_table,
)

NAN = float("nan")


def record(run, track, **scores):
    methods = {method.removesuffix("_"): {"csdr_vocals": a, "usdr_vocals": b} for method, (a, b) in scores.items()}
    return Record(track, run, "", "", 3.0, 8000, ["vocals"], methods, {"sdr_vocals": [1.0]})


@pytest.fixture
def rows():
    """Three scored tracks; the second has no frame that can be scored."""
    return [
        {"track": "a", "csdr_vocals": 1.0, "usdr_vocals": 5.0},
        {"track": "b", "csdr_vocals": NAN, "usdr_vocals": float("inf")},
        {"track": "c", "csdr_vocals": 4.0, "usdr_vocals": 6.0},
    ]


@pytest.fixture
def runs():
    """Two seeds of two tracks."""
    return {
        "seed_0": [
            record("seed_0", "a", estimate=(1.0, 2.0), silence=(NAN, 0.0)),
            record("seed_0", "b", estimate=(3.0, 4.0), silence=(NAN, 0.0)),
        ],
        "seed_1": [
            record("seed_1", "a", estimate=(2.0, 2.0), silence=(NAN, 0.0)),
            record("seed_1", "b", estimate=(6.0, 4.0), silence=(NAN, 0.0)),
        ],
    }


def test_summary_skips_tracks_without_a_score(rows):
    summary = summarize(rows)
    assert summary["csdr_vocals_median"] == 2.5
    assert summary["csdr_vocals_mean"] == 2.5
    assert np.isnan(summarize(rows[1:2])["csdr_vocals_median"])


def test_a_mean_is_of_what_is_finite_and_counts_say_of_how_many_tracks(rows):
    for row, level in zip(rows, (-30.0, float("-inf"), -40.0), strict=True):
        row["leakage_vocals"] = level
    summary, counts = summarize(rows), count_tracks(rows)
    assert (summary["usdr_vocals_mean"], summary["usdr_vocals_median"]) == (5.5, 6.0)
    assert summary["leakage_vocals_median"] == -40 and "leakage_vocals_mean" not in summary
    assert (counts["csdr_vocals_mean"], counts["usdr_vocals_mean"], counts["usdr_vocals_median"]) == (2, 2, 3)
    assert summarize(rows[1:2])["usdr_vocals_mean"] == float("inf") and count_tracks(rows[1:2])["usdr_vocals_mean"] == 1


def test_the_summary_counts_the_tracks_of_the_run_that_has_fewest(runs):
    del runs["seed_1"][1].scores["silence"]
    runs["seed_1"][0].scores["estimate"]["csdr_vocals"] = NAN
    counts = summary_of(runs)["counts"]
    assert counts["estimate"]["csdr_vocals_median"] == 1 and counts["estimate"]["usdr_vocals_mean"] == 2
    assert counts["silence"] == dict.fromkeys(counts["silence"], 0) | {
        "usdr_vocals_mean": 1, "usdr_vocals_median": 1
    }  # fmt: skip


def test_what_differs_in_how_records_were_made_is_all_named(runs):
    (first, second), _ = runs.values()
    made = [replace(first, made={"commit": "a", "jax": "1"}), replace(second, made={"commit": "b", "jax": "1"})]
    assert provenance_of(made) == {"commit": "a, b", "jax": "1"}
    assert provenance_of([*made, first]) == {"commit": "a, b, unknown", "jax": "1, unknown"}
    assert provenance_of([replace(first, made={"commit": ""})]) == {"commit": ""}


def test_unequal_runs_have_no_spread(runs):
    assert summary_of(runs)["spread"]
    del runs["seed_1"][1]
    assert summary_of(runs)["spread"] == {}


def test_a_table_can_name_any_track(tmp_path):
    write_table(tmp_path / "scores.csv", [{"track": "s\udcff", "csdr_vocals": 1.0}])
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()[1] == "s\\udcff,1.0"


def test_csdr_is_summed_up_by_the_median_not_the_mean(rows):
    rows[1]["csdr_vocals"] = 10.0
    summary = summarize(rows)
    assert (summary["csdr_vocals_median"], summary["csdr_vocals_mean"]) == (4.0, 5.0)


def test_seeds_give_mean_and_spread(runs):
    summary = summary_of(runs)
    assert summary["runs"]["seed_0"]["csdr_vocals_median"] == 2.0
    assert summary["runs"]["seed_1"]["csdr_vocals_median"] == 4.0
    assert summary["summary"]["estimate"]["csdr_vocals_median"] == 3.0
    assert summary["spread"]["csdr_vocals_median"] == pytest.approx(np.sqrt(2))
    assert summary["spread"]["usdr_vocals_mean"] == 0
    assert np.isnan(summary["summary"]["silence"]["csdr_vocals_median"])
    assert summary["summary"]["silence"]["usdr_vocals_mean"] == 0


def test_one_seed_has_no_spread(runs):
    assert summary_of({"seed_0": runs["seed_0"]})["spread"] == {}
    assert rows_over_runs({"seed_0": runs["seed_0"]}) == rows_of(runs["seed_0"])


def test_a_row_per_track_and_a_column_per_score(tmp_path, runs):
    write_table(tmp_path / "new" / "scores.csv", rows_over_runs(runs))
    with (tmp_path / "new" / "scores.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == ["track", "csdr_vocals", "csdr_vocals_std", "usdr_vocals", "usdr_vocals_std"]
    assert (first["track"], first["csdr_vocals"], second["csdr_vocals"]) == ("a", "1.5", "4.5")
    assert float(second["csdr_vocals_std"]) == pytest.approx(np.std([3, 6], ddof=1))


def test_a_track_that_one_seed_alone_has_scored_has_no_spread(tmp_path, runs):
    write_table(tmp_path / "scores.csv", rows_over_runs(runs | {"seed_0": runs["seed_0"][1:]}))
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = {row["track"]: row for row in csv.DictReader(file)}
    assert (rows["a"]["csdr_vocals"], rows["a"]["csdr_vocals_std"]) == ("2.0", "")
    assert float(rows["b"]["csdr_vocals_std"]) > 0


def test_the_table_on_screen_has_a_row_per_method(runs):
    for record_ in (r for own in runs.values() for r in own):
        for scores in record_.scores.values():
            scores["sisdr_vocals"] = 0.5
    lines = summary_table({**summary_of(runs), "stems": ["vocals"], "tracks": ["a", "b"]}).splitlines()
    assert lines[0].split() == ["dB", "cSDR", "vocals", "uSDR", "vocals", "SI-SDR", "vocals"]
    assert lines[2].split() == ["estimate", "3.00", "±", "1.41", "3.00", "±", "0.00", "0.50", "±", "0.00"]
    assert lines[3].split() == ["silence", "nan", "0.00", "0.50"]
