"""What is left of the mixture: its name, and stems that leave nothing."""

import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.inference.remainder import add_remainder
from tests.helpers import RATE, random_separator
from tests.inference.songs import music
from tests.nano import get_config

FOUR = ("vocals", "drums", "bass", "other")
MIXTURE = music(1500)


def separate(targets, sum_to_mixture=False):
    config = get_config()
    config.model.channel_mult = (1,)
    config.sampler.name = "euler"
    config.sampler.num_steps = 1
    config.data.targets = targets
    config.separation.sum_to_mixture = sum_to_mixture
    return random_separator(config)(MIXTURE, RATE)


@pytest.fixture(scope="module")
def free():
    return separate(FOUR)


@pytest.fixture(scope="module")
def bound():
    return separate(FOUR, sum_to_mixture=True)


def test_without_vocals_lies_the_instrumental():
    mixture, vocals, drums = np.float32([[1.0], [2.0]]), np.float32([[0.25], [0.5]]), np.float32([[8.0], [9.0]])
    stems = add_remainder(mixture, {"drums": drums, "vocals": vocals})
    assert list(stems) == ["drums", "vocals", "instrumental"]
    np.testing.assert_array_equal(stems["instrumental"], [[0.75], [1.5]])


def test_where_vocals_are_no_target_the_rest_is_without_all_of_them():
    mixture, bass, drums = np.float32([[1.0], [2.0]]), np.float32([[0.25], [0.5]]), np.float32([[0.5], [-1.0]])
    stems = add_remainder(mixture, {"drums": drums, "bass": bass})
    assert list(stems) == ["drums", "bass", "rest"]
    np.testing.assert_array_equal(stems["rest"], [[0.25], [2.5]])


def test_free_targets_leave_an_instrumental_of_their_own(free):
    assert list(free) == [*FOUR, "instrumental"]
    np.testing.assert_array_equal(free["instrumental"], MIXTURE - free["vocals"])
    assert np.std(free["vocals"] - free["drums"]) > 0.01
    assert np.std(sum(free[name] for name in FOUR) - MIXTURE) > 0.1


def test_targets_without_vocals_leave_the_rest():
    stems = separate(("drums", "bass"))
    assert list(stems) == ["drums", "bass", "rest"]
    scale = max(np.abs(stem).max() for stem in stems.values())
    np.testing.assert_allclose(sum(stems.values()), MIXTURE, atol=1e-6 * max(1, scale))


def test_bound_targets_are_the_mixture_together(bound):
    assert list(bound) == [*FOUR, "instrumental"]
    assert {stem.dtype for stem in bound.values()} == {np.dtype("float32")}
    scale = max(np.abs(stem).max() for stem in bound.values())
    np.testing.assert_allclose(sum(bound[name] for name in FOUR), MIXTURE, atol=1e-6 * max(1, scale))
    others = bound["drums"] + bound["bass"] + bound["other"]
    np.testing.assert_allclose(bound["instrumental"], others, atol=1e-6 * max(1, scale))


def test_what_bound_targets_lacked_is_spread_evenly(free, bound):
    added = [bound[name] - free[name] for name in FOUR]
    assert np.std(added[0]) > 0.01
    for one in added[1:]:
        np.testing.assert_allclose(one, added[0], atol=1e-5)


def test_one_target_cannot_be_the_whole_mixture():
    with pytest.raises(InputError, match=r"separation.sum_to_mixture needs .* data.targets names one"):
        separate(("vocals",), sum_to_mixture=True)
