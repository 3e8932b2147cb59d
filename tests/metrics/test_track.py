import os

import numpy as np
import pytest

from diffvs_jax.data.datasets import open_split
from diffvs_jax.metrics import bss_eval, sdr, track
from diffvs_jax.metrics.blocks import precision
from diffvs_jax.metrics.leakage import leakage
from diffvs_jax.metrics.spectral import HOP, log_spectral_distance

RATE = 2000
SONGS = os.environ.get("DIFFVS_SONGS_DIR", "")


def stems_of(seconds, seed=0):
    """Vocals that are silent in the third second, the rest, and estimates of both with errors of -20 dB."""
    rng = np.random.default_rng(seed)
    shape = round(seconds * RATE), 2
    truth = {name: 0.1 * rng.standard_normal(shape).astype(np.float32) for name in ("vocals", "instrumental")}
    truth["vocals"][2 * RATE : 3 * RATE] = 0
    estimates = {name: stem + 0.01 * rng.standard_normal(shape).astype(np.float32) for name, stem in truth.items()}
    return truth, estimates, truth["vocals"] + truth["instrumental"]


@pytest.fixture(scope="module")
def song():
    """Longer than a block of seconds, and than one of spectra, with a tail."""
    return stems_of(135.7)


@pytest.fixture(scope="module")
def scored(song):
    return track.score_track(*song, RATE)


def test_a_track_scores_what_it_does_as_a_whole(song, scored):
    truth, estimates, mixture = song
    pairs = np.stack(list(truth.values())), np.stack(list(estimates.values()))
    with precision("float64"):
        pairs = [stems.astype(np.float64) for stems in pairs]
        frames, csdr = (np.asarray(score(*pairs, RATE)) for score in (sdr.framewise_sdr, sdr.csdr))
        others = {
            "usdr": sdr.usdr(*pairs),
            "sisdr": sdr.si_sdr(*pairs),
            "lsd": log_spectral_distance(*pairs),
            "leakage": leakage(*pairs, np.stack([mixture.astype(np.float64)] * 2), RATE),
        }
    exact = track.score_sdr(truth, estimates, RATE, dtype="float64")
    np.testing.assert_allclose([exact.scores[f"csdr_{name}"] for name in truth], csdr, rtol=1e-12)
    np.testing.assert_allclose([exact.scores[f"sisdr_{name}"] for name in truth], others["sisdr"], rtol=1e-12)
    assert list(scored.frames) == ["sdr_vocals", "sdr_instrumental"]
    assert len(scored.scores) == 10
    for index, name in enumerate(truth):
        np.testing.assert_allclose(scored.frames[f"sdr_{name}"], frames[index], atol=1e-4)
        for kind, values in {"csdr": csdr, **others}.items():
            np.testing.assert_allclose(scored.scores[f"{kind}_{name}"], values[index], atol=1e-3, err_msg=kind)
    assert np.isnan(scored.frames["sdr_vocals"]).sum() == 1 and np.isnan(scored.scores["leakage_instrumental"])
    assert scored.scores["csdr_vocals"] == pytest.approx(20, abs=0.1)


def test_spectra_are_the_same_where_blocks_meet(scored):
    """Silence but for the start and where the second block begins: frames that are lost or counted twice tell."""
    meeting, sound = track._FRAMES * HOP, 3000
    rng = np.random.default_rng(0)
    reference = np.zeros((meeting + 8192, 2), np.float32)
    for part in (slice(sound), slice(meeting - sound, meeting + sound)):
        reference[part] = rng.uniform(0.01, 0.1, (reference[part].shape[0], 1)) * rng.standard_normal(2)
    estimate = reference * np.linspace(1, 3, len(reference), dtype=np.float32)[:, None]
    (found,) = track._track_distances(reference, [estimate], "float32")
    short = [np.concatenate([audio[:8192], audio[meeting - 8192 :]]) for audio in (reference, estimate)]
    assert found == pytest.approx(float(log_spectral_distance(*short)), abs=1e-4)


def test_float64_differs_in_the_last_digits_alone(scored):
    truth, estimates, mixture = stems_of(4.3)
    single, double = (
        track.score_track(truth, estimates, mixture, RATE, dtype=dtype) for dtype in ("float32", "float64")
    )
    assert single.scores != double.scores
    np.testing.assert_allclose(list(single.scores.values()), list(double.scores.values()), atol=1e-4)


def test_a_track_of_another_length_compiles_nothing(scored):
    programs = track._second_sums, track._levels, track._distances
    before = [program._cache_size() for program in programs]
    for seconds in (0.3, 7.9, 8.0, 20.0):
        track.score_track(*stems_of(seconds), RATE)
    track.score_sdr(*stems_of(5)[:2], RATE)
    assert [program._cache_size() for program in programs] == before


def test_several_methods_score_what_each_does_alone(scored):
    truth, estimates, mixture = stems_of(6.2)
    methods = {"estimate": estimates, "mixture": dict.fromkeys(truth, mixture)}
    methods["silence"] = dict.fromkeys(truth, np.zeros_like(mixture))
    found = track.score_methods(truth, methods, mixture, RATE)
    assert list(found) == list(methods)
    for name, stems in methods.items():
        alone = track.score_track(truth, stems, mixture, RATE)
        np.testing.assert_array_equal(list(found[name].scores.values()), list(alone.scores.values()))
    assert found["mixture"].scores["leakage_vocals"] == 0
    assert found["silence"].scores["leakage_vocals"] == -np.inf
    assert found["silence"].scores["usdr_vocals"] == pytest.approx(0, abs=1e-6)
    assert np.isnan(found["silence"].scores["csdr_vocals"]) and np.isnan(found["silence"].scores["sisdr_vocals"])


def test_scores_without_spectra_are_the_same(scored):
    truth, estimates, mixture = stems_of(4.3)
    whole, part = track.score_track(truth, estimates, mixture, RATE), track.score_sdr(truth, estimates, RATE)
    assert part.scores == {name: whole.scores[name] for name in part.scores}
    assert set(part.scores) == {f"{kind}_{stem}" for kind in ("csdr", "usdr", "sisdr") for stem in truth}
    assert track.track_usdr(truth["vocals"], estimates["vocals"], RATE) == whole.scores["usdr_vocals"]


def test_a_track_of_less_than_a_second_has_no_frames(scored):
    found = track.score_track(*stems_of(0.4), RATE)
    assert found.frames["sdr_vocals"].shape == (0,)
    assert np.isnan([found.scores["csdr_vocals"], found.scores["leakage_vocals"]]).all()
    assert found.scores["usdr_vocals"] == pytest.approx(20, abs=0.5)
    assert found.scores["lsd_vocals"] > 0


@pytest.mark.skipif(not SONGS, reason="set DIFFVS_SONGS_DIR to real songs in MUSDB18's layout")
@pytest.mark.parametrize("dtype, atol", [("float32", 1e-3), ("float64", 1e-4)])
def test_real_songs_score_what_museval_says(dtype, atol):
    rate, seconds = 44_100, 6
    for song in open_split(SONGS, "test")[:2]:
        voice = song.read_stem("vocals", 0, round(song.seconds * rate), rate, 2)
        start = max(0, int(np.argmax(np.abs(voice).max(axis=1))) - 2 * rate)
        truth = {stem: song.read_stem(stem, start, seconds * rate + 100, rate, 2) for stem in song.stems}
        vocals, mixture = truth["vocals"], sum(truth.values())
        references = {"vocals": vocals, "instrumental": mixture - vocals}
        leaky = vocals + np.float32(0.2) * references["instrumental"]
        estimates = {"vocals": leaky, "instrumental": mixture - leaky}
        pairs = [np.stack(list(stems.values())) for stems in (references, estimates)]
        expected = bss_eval.museval_frames(*pairs, rate).sdr
        found = track.score_sdr(references, estimates, rate, dtype=dtype)
        np.testing.assert_allclose(list(found.frames.values()), expected, rtol=0, atol=atol)
