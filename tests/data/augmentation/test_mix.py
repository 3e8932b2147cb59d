import numpy as np
import pytest

from diffvs_jax.data import mixing


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def stems():
    """Three stems of ten stereo samples, no two values alike, read-only."""
    values = np.random.default_rng(0).uniform(0.1, 1, (3, 10, 2)).astype(np.float32)
    values.flags.writeable = False
    return values


def test_gain_scales_each_stem_by_its_own_factor_in_range(stems, rng):
    ratio = mixing.random_gain(stems, (0.25, 1.25), rng) / stems
    gains = ratio[:, 0, 0]
    np.testing.assert_allclose(ratio, np.broadcast_to(gains[:, None, None], ratio.shape), rtol=1e-6)
    assert np.diff(np.sort(gains)).min() > 1e-3
    many = [mixing.random_gain(stems, (0.25, 1.25), rng)[0, 0, 0] / stems[0, 0, 0] for _ in range(300)]
    assert 0.25 <= min(many) < 0.3 and 1.2 < max(many) <= 1.25


def test_channel_swap_reverses_channels(stems, rng):
    np.testing.assert_array_equal(mixing.random_channel_swap(stems, 1.0, rng), stems[:, :, ::-1])
    np.testing.assert_array_equal(mixing.random_channel_swap(stems, 0.0, rng), stems)


def test_channel_swap_leaves_mono(stems, rng):
    mono = stems[:, :, :1]
    np.testing.assert_array_equal(mixing.random_channel_swap(mono, 1.0, rng), mono)


def test_sign_flip_negates(stems, rng):
    np.testing.assert_array_equal(mixing.random_sign_flip(stems, 1.0, rng), -stems)
    np.testing.assert_array_equal(mixing.random_sign_flip(stems, 0.0, rng), stems)


@pytest.mark.parametrize("augmentation", [mixing.random_channel_swap, mixing.random_sign_flip])
def test_stems_are_treated_one_by_one(stems, rng, augmentation):
    touched = np.array([(augmentation(stems, 0.25, rng) != stems).all(axis=(1, 2)) for _ in range(400)])
    assert 0.2 < touched.mean() < 0.3
    assert len({tuple(row) for row in touched}) == 8


@pytest.mark.parametrize("num_targets", [1, 2])
def test_target_drop_silences_targets_and_nothing_else(stems, rng, num_targets):
    dropped = mixing.random_target_drop(stems, num_targets, 1.0, rng)
    assert not dropped[:num_targets].any()
    np.testing.assert_array_equal(dropped[num_targets:], stems[num_targets:])
    np.testing.assert_array_equal(mixing.random_target_drop(stems, num_targets, 0.0, rng), stems)


def test_targets_are_dropped_one_by_one(stems, rng):
    kept = np.array([mixing.random_target_drop(stems, 2, 0.5, rng).any(axis=(1, 2)) for _ in range(100)])
    assert {tuple(row) for row in kept} == {(a, b, True) for a in (True, False) for b in (True, False)}


EVERYTHING = mixing.Augmentation((0.25, 1.25), 0.5, 0.5, 0.5)


def test_augmented_stems_sum_to_a_mixture_of_scaled_sources(stems, rng):
    for _ in range(50):
        augmented = mixing.augment(stems, 1, EVERYTHING, rng)
        mixture = augmented.sum(axis=0)
        sources = np.concatenate([stems, stems[:, :, ::-1]]).reshape(6, -1)
        factors, residual, *_ = np.linalg.lstsq(sources.T, mixture.ravel(), rcond=None)
        assert residual < 1e-10
        for row, factor in zip(augmented, (factors[:3] + factors[3:]), strict=True):
            assert np.abs(row).max() <= 1.25 and (factor == pytest.approx(0, abs=1e-5)) == (not row.any())


def test_a_dropped_target_leaves_the_mixture_too(stems, rng):
    always = mixing.Augmentation(drop_target_probability=1.0)
    augmented = mixing.augment(stems, 2, always, rng)
    np.testing.assert_array_equal(augmented.sum(axis=0), stems[2])


def test_augment_is_seeded_and_keeps_shape_and_type(stems):
    first, again, other = (mixing.augment(stems, 1, EVERYTHING, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == stems.shape and first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_augmentation_changes_nothing(stems, rng):
    np.testing.assert_array_equal(mixing.augment(stems, 1, mixing.NO_AUGMENTATION, rng), stems)
