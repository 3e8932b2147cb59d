import numpy as np
import pytest

from diffvs_jax.data.augmentation import mix


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def stems():
    """Three stems of ten stereo samples, no two values alike, read-only."""
    values = np.random.default_rng(0).uniform(0.1, 1, (3, 10, 2)).astype(np.float32)
    values.flags.writeable = False
    return values


def draws(rng, count, *, num_targets=0, gain_range=(1.0, 1.0), swap=0.0, flip=0.0, drop=0.0):
    """Factors and swaps ``[count, 3]``."""
    pairs = [mix.draw_mix(3, num_targets, gain_range, swap, flip, drop, rng) for _ in range(count)]
    factors, swapped = (np.array(values) for values in zip(*pairs, strict=True))
    return factors, swapped


def test_gains_are_uniform_in_their_range_and_each_stem_has_its_own(rng):
    factors, _ = draws(rng, 300, gain_range=(0.25, 1.25))
    assert 0.25 <= factors.min() < 0.26 and 1.24 < factors.max() <= 1.25
    assert factors.mean() == pytest.approx(0.75, abs=0.04)
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.2


@pytest.mark.parametrize("kind", ["swap", "flip", "drop"])
def test_stems_are_treated_one_by_one_with_their_probability(rng, kind):
    factors, swapped = draws(rng, 400, num_targets=3, **{kind: 0.25})
    happened = {"swap": swapped, "flip": factors == -1, "drop": factors == 0}
    assert 0.2 < happened[kind].mean() < 0.3
    assert len({tuple(row) for row in happened[kind]}) == 8
    assert not any(values.any() for name, values in happened.items() if name != kind)


@pytest.mark.parametrize(("probability", "always"), [(0.0, False), (1.0, True)])
def test_probabilities_zero_and_one_mean_never_and_always(rng, probability, always):
    factors, swapped = draws(rng, 50, swap=probability, flip=probability)
    assert (swapped == always).all() and ((factors == -1) == always).all()


def test_only_targets_are_dropped(rng):
    factors, _ = draws(rng, 50, num_targets=2, drop=1.0)
    assert not factors[:, :2].any() and (factors[:, 2] == 1).all()


def test_every_draw_takes_as_much_from_the_dice(rng):
    mix.draw_mix(3, 1, (0.25, 1.25), 0.5, 0.5, 0.5, rng)
    other = np.random.default_rng(7)
    mix.draw_mix(3, 1, (1.0, 1.0), 0.0, 0.0, 0.0, other)
    assert rng.random() == other.random()


def test_stems_are_scaled_swapped_and_silenced(stems):
    factors, swapped = np.float32([0.5, -2, 0]), np.array([False, True, True])
    mixed = mix.scale_and_swap(stems, factors, swapped)
    np.testing.assert_array_equal(mixed[0], 0.5 * stems[0])
    np.testing.assert_array_equal(mixed[1], -2 * stems[1, :, ::-1])
    assert not mixed[2].any() and mixed.dtype == np.float32


def test_a_swap_alone_is_a_change(stems):
    mixed = mix.scale_and_swap(stems, np.ones(3, np.float32), np.array([False, True, False]))
    np.testing.assert_array_equal(mixed, [stems[0], stems[1, :, ::-1], stems[2]])


def test_mono_has_nothing_to_swap(stems):
    mono = stems[:, :, :1]
    np.testing.assert_array_equal(mix.scale_and_swap(mono, np.full(3, 2, np.float32), np.ones(3, bool)), 2 * mono)


def test_the_result_goes_where_it_is_wanted(stems):
    out = np.full_like(stems, np.nan)
    assert mix.scale_and_swap(stems, np.array([1, 2, 0], np.float32), np.zeros(3, bool), out) is out
    np.testing.assert_array_equal(out, stems * np.reshape([1, 2, 0], (3, 1, 1)))


def test_to_mono_is_the_mean_of_the_channels(stems):
    mono = mix.to_mono(stems)
    np.testing.assert_array_equal(mono[..., 0], mono[..., 1])
    np.testing.assert_allclose(mono[..., 0], stems.mean(axis=2), rtol=1e-6)
    np.testing.assert_allclose(mono.sum(axis=0), mix.to_mono(stems.sum(axis=0)), rtol=1e-6)
    np.testing.assert_array_equal(mix.to_mono(stems[:, :, :1]), stems[:, :, :1])
