import csv
import json

import numpy as np
import pytest
import soundfile

from diffvs_jax.data.datasets import stems_folder
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.clips import load_references
from diffvs_jax.evaluation.scoring import score
from diffvs_jax.evaluation.summary import summarize
from diffvs_jax.metrics import sdr
from diffvs_jax.table import table
from tests.helpers import RATE, write_song


def noise(seed, num_samples=3 * RATE):
    return np.random.default_rng(seed).standard_normal((num_samples, 2)).astype(np.float32)


@pytest.fixture
def rows():
    """Three scored tracks; the second has no frame that can be scored."""
    return [
        {"track": "a", "csdr_vocals": 1.0, "usdr_vocals": 5.0},
        {"track": "b", "csdr_vocals": float("nan"), "usdr_vocals": float("inf")},
        {"track": "c", "csdr_vocals": 4.0, "usdr_vocals": 6.0},
    ]


def test_without_a_mixture_file_the_mixture_is_the_sum(tmp_path):
    track = stems_folder(write_song(tmp_path / "song", 0))
    mixture, truth, rate = load_references(track, ["vocals"])
    stems = {path.stem: soundfile.read(path, dtype="float32")[0] for path in (tmp_path / "song").iterdir()}
    np.testing.assert_allclose(mixture, sum(stems.values()), atol=1e-6)
    np.testing.assert_array_equal(truth["vocals"], stems["vocals"])
    np.testing.assert_allclose(truth["instrumental"], stems["drums"] + stems["other"], atol=1e-6)
    assert list(truth) == ["vocals", "instrumental"]
    assert rate == RATE


def test_a_mixture_file_is_taken_and_the_instrumental_is_what_it_leaves(tmp_path):
    folder = write_song(tmp_path / "song", 0)
    mastered = noise(1, round(1.3 * RATE))
    soundfile.write(folder / "mixture.wav", mastered, RATE, subtype="FLOAT")
    mixture, truth, _ = load_references(stems_folder(folder), ["vocals", "drums"])
    np.testing.assert_array_equal(mixture, mastered)
    np.testing.assert_allclose(truth["vocals"] + truth["instrumental"], mastered, atol=1e-5)


def test_references_that_do_not_fit_are_bad_input(tmp_path):
    folder = write_song(tmp_path / "song", 0)
    with pytest.raises(InputError, match=r"no stem 'piano' \(it has drums, other, vocals\)"):
        load_references(stems_folder(folder), ["piano"])
    soundfile.write(folder / "mixture.wav", noise(1, 100), RATE)
    with pytest.raises(InputError, match="song: stems differ in length"):
        load_references(stems_folder(folder), ["vocals"])


def test_a_row_holds_the_three_scores_of_every_stem():
    references = {"vocals": noise(0), "instrumental": noise(1)}
    estimates = {"instrumental": references["instrumental"] + 0.1 * noise(2), "vocals": 0.5 * references["vocals"]}
    row = score("song", references, estimates, RATE)
    assert list(row) == ["track", "csdr_vocals", "csdr_instrumental"] + [
        f"{kind}_{stem}" for stem in references for kind in ("usdr", "sisdr")
    ]
    assert row["track"] == "song"
    assert row["csdr_vocals"] == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert row["usdr_vocals"] == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert row["sisdr_vocals"] > 60  # a scaled copy
    assert row["csdr_instrumental"] == pytest.approx(20, abs=0.2)
    expected = float(sdr.usdr(references["instrumental"], estimates["instrumental"]))
    assert row["usdr_instrumental"] == pytest.approx(expected, abs=1e-4)


def test_summary_skips_tracks_without_a_score(rows):
    summary = summarize(rows)
    assert summary["csdr_vocals_median"] == 2.5
    assert summary["csdr_vocals_mean"] == 2.5
    assert summary["usdr_vocals_mean"] == float("inf")
    assert "usdr_vocals_median" not in summary
    assert np.isnan(summarize(rows[1:2])["csdr_vocals_median"])


def test_csdr_is_summed_up_by_the_median_not_the_mean(rows):
    rows[1]["csdr_vocals"] = 10.0
    summary = summarize(rows)
    assert (summary["csdr_vocals_median"], summary["csdr_vocals_mean"]) == (4.0, 5.0)


def test_scores_are_valid_json_and_csv_and_nothing_else(tmp_path, rows):
    folder = tmp_path / "new" / "scores"
    write_scores(folder, rows, {"seed": 3})
    assert sorted(path.name for path in folder.iterdir()) == ["scores.csv", "scores.json"]

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((folder / "scores.json").read_text(), parse_constant=refuse)
    assert content["seed"] == 3
    assert content["tracks"][1] == {"track": "b", "csdr_vocals": None, "usdr_vocals": "inf"}
    assert content["summary"]["csdr_vocals_median"] == 2.5
    with (folder / "scores.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["track", "csdr_vocals", "usdr_vocals"]
    assert [line["track"] for line in lines] == ["a", "b", "c"]
    assert [float(line["csdr_vocals"]) for line in lines[::2]] == [1.0, 4.0]


def test_scores_replace_earlier_ones(tmp_path, rows):
    write_scores(tmp_path, rows, {})
    write_scores(tmp_path, rows[:1], {})
    assert len(json.loads((tmp_path / "scores.json").read_text())["tracks"]) == 1
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 2


def test_a_table_lines_up():
    lines = table(["song", "SDR"], [["a", 1.0], ["longer", -12.345]]).splitlines()
    assert lines == ["song       SDR", "------  ------", "a         1.00", "longer  -12.35"]


def test_several_targets_are_scored_together_and_the_instrumental_beside_the_vocals():
    """A second in which one target is silent counts for none of them, but for vocals against the rest."""
    truth = {name: noise(index, 3 * RATE) for index, name in enumerate(("vocals", "bass", "drums"))}
    truth["bass"][:RATE] = 0
    truth["instrumental"] = truth["bass"] + truth["drums"]
    estimates = {name: stem + 0.1 * noise(9, 3 * RATE) for name, stem in truth.items()}
    estimates["drums"][:RATE] += noise(10, RATE)  # a bad first second: dropped for the drums
    row = score("song", truth, estimates, RATE)
    three = [truth[name] for name in ("vocals", "bass", "drums")], [estimates[n] for n in ("vocals", "bass", "drums")]
    np.testing.assert_allclose(
        [row[f"csdr_{n}"] for n in ("vocals", "bass", "drums")], sdr.csdr(*map(np.stack, three), RATE), atol=1e-4
    )
    pair = [truth[name] for name in ("vocals", "instrumental")], [estimates[n] for n in ("vocals", "instrumental")]
    np.testing.assert_allclose(row["csdr_instrumental"], sdr.csdr(*map(np.stack, pair), RATE)[1], atol=1e-4)
    assert row["csdr_drums"] > 15


def test_a_target_silent_in_the_whole_track_has_no_score_and_spoils_no_other():
    truth = {"vocals": noise(0), "bass": np.zeros_like(noise(1)), "drums": noise(2), "instrumental": noise(2)}
    row = score("song", truth, {name: stem + 0.1 * noise(9) for name, stem in truth.items()}, RATE)
    assert np.isnan(row["csdr_bass"])
    assert all(np.isfinite(row[f"csdr_{name}"]) for name in ("vocals", "drums", "instrumental"))
