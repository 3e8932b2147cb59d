import numpy as np
import pytest

from diffvs_jax.diffusion.samplers import sigma_grid
from diffvs_jax.errors import InputError


def test_grid_ends_exactly_and_falls():
    grid = sigma_grid(7, 0.002, 80, 7)
    assert grid.shape == (8,) and grid[-1] == 0
    np.testing.assert_allclose(grid[[0, 6]], [80, 0.002], rtol=1e-12)
    assert (np.diff(grid) < 0).all()


def test_grid_is_evenly_spaced_in_its_rho_th_root():
    for rho in (1, 3, 7):
        roots = sigma_grid(9, 0.01, 10, rho)[:-1] ** (1 / rho)
        np.testing.assert_allclose(np.diff(roots), np.full(8, (0.01 ** (1 / rho) - 10 ** (1 / rho)) / 8), rtol=1e-9)
    np.testing.assert_allclose(sigma_grid(3, 1, 9, 2), [9, 4, 1, 0])


def test_one_step_goes_from_sigma_max_to_zero():
    np.testing.assert_allclose(sigma_grid(1, 0.002, 5, 7), [5, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.002, 80, 7), "num_steps is 0"),
        ((7, 0, 80, 7), "sigma_min < sigma_max, got 0 and 80"),
        ((7, 5, 5, 7), "got 5 and 5"),
        ((7, 0.002, 80, 0), "rho is 0"),
    ],
)
def test_bad_grids_name_their_numbers(arguments, message):
    with pytest.raises(InputError, match=message):
        sigma_grid(*arguments)
