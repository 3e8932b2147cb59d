"""The noise levels that a sampler visits (EDM, Karras et al. 2022, eq. 5)."""

import numpy as np
from numpy.typing import ArrayLike

from diffvs_jax.errors import InputError

_LARGEST = 1e6  # the noise leaves nothing of the data in float32, and squares must stay finite


def sigma_grid(num_steps: int, sigma_min: float, sigma_max: float, rho: float) -> np.ndarray:
    """Noise levels of ``num_steps`` steps and a final zero, float64 ``[num_steps + 1]``.

    One step is legal: it goes from ``sigma_max`` to zero and returns D(sigma_max).

    Raises:
      InputError: names what is out of range.
    """
    if num_steps < 1:
        raise InputError(f"sampler.num_steps is {num_steps}; at least 1 is needed")
    if not 0 < sigma_min < sigma_max:
        raise InputError(f"sampler needs 0 < sigma_min < sigma_max, got {sigma_min} and {sigma_max}")
    if sigma_max > _LARGEST:
        raise InputError(f"sampler.sigma_max is {sigma_max}; at most {_LARGEST:g} is of use in float32")
    if rho <= 0:
        raise InputError(f"sampler.rho is {rho}; it must be positive")
    ramp = np.arange(num_steps) / max(num_steps - 1, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        start, end = np.float64(sigma_max) ** (1 / rho), np.float64(sigma_min) ** (1 / rho)
        grid = np.append((start + ramp * (end - start)) ** rho, 0.0)
    if not (np.isfinite(grid).all() and (np.diff(grid.astype(np.float32)) < 0).all()):
        raise InputError(
            f"{num_steps} noise levels from sampler.sigma_max {sigma_max} to sampler.sigma_min {sigma_min} with "
            f"sampler.rho {rho} do not fall from one to the next in float32; widen the range or take another rho"
        )
    return grid


def check_sigmas(sigmas: ArrayLike) -> np.ndarray:
    """Noise levels that somebody gives, float64 ``[steps + 1]``.

    Raises:
      InputError: fewer than two, or not falling, in float32, to zero.
    """
    try:
        grid = np.asarray(sigmas, np.float64)
    except (TypeError, ValueError):
        grid = np.zeros(0)
    with np.errstate(over="ignore"):
        single = grid.astype(np.float32)
    falling = grid.ndim == 1 and grid.size > 1 and np.isfinite(single).all() and (np.diff(single) < 0).all()
    if not falling or grid[-1] != 0:
        raise InputError(f"sigmas {sigmas!r}: give at least two noise levels, falling to zero")
    return grid
