import numpy as np
import pytest

from diffvs_jax.evaluation import baselines
from diffvs_jax.evaluation.baselines import BASELINES, baseline, ideal_ratio_masks
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.metrics.sdr import usdr

RATE = 8000


def noise(seed, num_samples):
    return np.random.default_rng(seed).standard_normal((num_samples, 2)).astype(np.float32)


def make_clip(num_samples=20_000, **stems):
    truth = {"vocals": noise(0, num_samples), "instrumental": noise(1, num_samples), **stems}
    return Clip("song", truth["vocals"] + truth["instrumental"], truth, RATE)


def tone(hertz, num_samples=20_000):
    return np.sin(2 * np.pi * hertz * np.arange(num_samples) / RATE)[:, None].repeat(2, axis=1).astype(np.float32)


def test_a_mask_parts_what_lies_apart():
    clip = make_clip(vocals=tone(500), instrumental=tone(2000))
    estimate = ideal_ratio_masks(clip, ("vocals",))["vocals"]
    assert usdr(clip.truth["vocals"], clip.mixture) < 1
    assert usdr(clip.truth["vocals"][4000:-4000], estimate[4000:-4000]) > 60


def test_a_mask_halves_what_is_alike():
    clip = make_clip(vocals=tone(500), instrumental=tone(500))
    np.testing.assert_allclose(ideal_ratio_masks(clip, ("vocals",))["vocals"], clip.mixture / 2, atol=1e-4)


def test_masks_of_several_targets_take_what_is_left_without_all_of_them_into_account():
    """Three equal sounds: each mask is a third, though the instrumental holds two of them."""
    one = tone(500)
    clip = Clip("song", 3 * one, {"vocals": one, "drums": one, "instrumental": 2 * one}, RATE)
    masked = ideal_ratio_masks(clip, ("vocals", "drums"))
    np.testing.assert_allclose(masked["drums"], one, atol=1e-4)
    assert list(masked) == ["vocals", "drums"]


@pytest.mark.parametrize("num_samples", [1, 4095, 4096, 50_000])
def test_parts_of_a_track_are_masked_as_the_whole(monkeypatch, num_samples):
    clip = make_clip(num_samples)
    whole = ideal_ratio_masks(clip, ("vocals",))["vocals"]
    monkeypatch.setattr(baselines, "_AT_ONCE", 12_000)
    np.testing.assert_allclose(ideal_ratio_masks(clip, ("vocals",))["vocals"], whole, atol=1e-6)
    assert whole.shape == (num_samples, 2)


def test_silence_where_there_is_silence():
    silent = np.zeros((9000, 2), np.float32)
    clip = Clip("song", silent, {"vocals": silent, "instrumental": silent}, RATE)
    np.testing.assert_array_equal(ideal_ratio_masks(clip, ("vocals",))["vocals"], silent)


def test_every_baseline_has_every_stem():
    clip = make_clip()
    one_step = dict.fromkeys(clip.truth, clip.mixture / 2)
    found = {name: baseline(name, clip, ("vocals",), lambda given: one_step) for name in BASELINES}
    assert all(stems is not None and list(stems) == ["vocals", "instrumental"] for stems in found.values())
    np.testing.assert_array_equal(found["mixture"]["instrumental"], clip.mixture)
    np.testing.assert_array_equal(found["silence"]["instrumental"], clip.mixture)
    assert not found["silence"]["vocals"].any()
    assert found["one_step"] is one_step
    assert baseline("one_step", clip, ("vocals",), None) is None
