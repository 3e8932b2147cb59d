import numpy as np
import pytest

from diffvs_jax.data.augmentation import dynamics

RATE = 44_100


def tone(seconds=1.0, level=0.5):
    return (level * np.sin(2 * np.pi * 1000 * np.arange(int(seconds * RATE)) / RATE))[:, None].astype(np.float32)


def rms_db(audio):
    return 10 * np.log10(np.mean(audio.astype(float) ** 2))


@pytest.mark.parametrize("ratio", [2.0, 4.0])
def test_a_steady_tone_is_turned_down_by_ratio_and_threshold(ratio):
    compressed = dynamics.compress(tone(), ratio, 12.0, RATE)
    change = rms_db(compressed[RATE // 2 :]) - rms_db(tone()[RATE // 2 :])
    assert change == pytest.approx(-12 * (1 - 1 / ratio), abs=0.05)


def test_below_the_threshold_nothing_changes():
    stem = tone(level=0.05)
    stem[:100] = tone(level=0.5)[:100]  # the peak that the threshold refers to
    compressed = dynamics.compress(stem, 4.0, 6.0, RATE)
    np.testing.assert_allclose(compressed[RATE // 2 * 2 - 1000 :], stem[RATE // 2 * 2 - 1000 :], rtol=1e-3)


def test_attack_and_release_take_their_time():
    level = np.full(3 * RATE, 0.05, np.float32)
    level[RATE : 2 * RATE] = 0.5
    gains = dynamics.compress(level[:, None], 1e6, 20.0, RATE)[:, 0] / level
    reduction = -20 * np.log10(gains)
    assert reduction[RATE + round(0.005 * RATE)] == pytest.approx(20 * (1 - np.exp(-1)), abs=2.5)
    assert reduction[2 * RATE - 1] == pytest.approx(20, abs=0.01)
    assert reduction[2 * RATE + round(0.1 * RATE)] == pytest.approx(20 * np.exp(-1), abs=0.5)
    assert np.abs(np.diff(gains)).max() < 0.01


def test_all_channels_share_the_gain_of_the_louder():
    stem = np.concatenate([tone(level=0.5), tone(level=0.01)], axis=1)
    compressed = dynamics.compress(stem, 4.0, 12.0, RATE)
    heard = np.abs(stem[:, 1]) > 1e-3
    np.testing.assert_allclose(compressed[heard, 0] / stem[heard, 0], compressed[heard, 1] / stem[heard, 1], rtol=1e-5)
    assert rms_db(compressed[:, 1]) < rms_db(stem[:, 1]) - 8


def test_soft_clipping_is_tanh_below_the_peak():
    stem = tone(0.1)
    peak, drive = np.abs(stem).max(), 10 ** (9 / 20)
    np.testing.assert_allclose(dynamics.soft_clip(stem, 9.0), peak / drive * np.tanh(stem * drive / peak), atol=1e-7)


def test_quiet_passages_are_not_clipped():
    stem = np.concatenate([tone(0.1), tone(0.1, level=1e-4)])
    clipped = dynamics.soft_clip(stem, 6.0)
    np.testing.assert_allclose(clipped[len(stem) // 2 :], stem[len(stem) // 2 :], rtol=1e-5)
    assert np.abs(clipped).max() < 0.8 * np.abs(stem).max()


EFFECTS = [lambda stem: dynamics.compress(stem, 4.0, 12.0, RATE), lambda stem: dynamics.soft_clip(stem, 9.0)]


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("scale", [1e-3, 100.0])
def test_a_quiet_stem_is_treated_like_a_loud_one(effect, scale):
    stem = np.random.default_rng(0).standard_normal((5000, 2)).astype(np.float32)
    np.testing.assert_allclose(effect(np.float32(scale) * stem), np.float32(scale) * effect(stem), rtol=1e-4)


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("num_samples", [1, 65, 66, 67, 1001])
@pytest.mark.parametrize("peak", [0.0, 1e-44, 1e-39, 1.0])
def test_length_silence_and_finiteness(effect, num_samples, peak):
    stem = np.zeros((num_samples, 2), np.float32)
    stem[num_samples // 2, 0] = peak
    changed = effect(stem)
    assert changed.shape == stem.shape and changed.dtype == np.float32
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(changed[stem == 0], 0)


def test_settings_are_drawn_from_their_ranges():
    rng = np.random.default_rng(0)
    stem = tone(0.01)
    words = [dynamics.random_compression(stem, (2.0, 6.0), (6.0, 20.0), RATE, rng)[1].split() for _ in range(200)]
    ratios = [float(ratio.removesuffix(":1")) for _, ratio, *_ in words]
    thresholds = [-float(level) for *_, level, _ in words]
    assert 2 <= min(ratios) < 2.2 and 5.8 < max(ratios) <= 6
    assert 6 <= min(thresholds) < 7 and 19 < max(thresholds) <= 20
    drives = [float(dynamics.random_soft_clip(stem, (0.0, 12.0), rng)[1].split()[1]) for _ in range(200)]
    assert 0 <= min(drives) <= 1 and 11 <= max(drives) <= 12
