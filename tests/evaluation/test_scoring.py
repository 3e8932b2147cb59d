import numpy as np
import pytest

from diffvs_jax.evaluation.scoring import score
from diffvs_jax.metrics import sdr
from tests.helpers import RATE


def noise(seed, num_samples=3 * RATE):
    return np.random.default_rng(seed).standard_normal((num_samples, 2)).astype(np.float32)


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
