"""The noise levels that a sampler visits (EDM, Karras et al. 2022, eq. 5)."""

import numpy as np

from diffvs_jax.errors import InputError


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
    if rho <= 0:
        raise InputError(f"sampler.rho is {rho}; it must be positive")
    ramp = np.arange(num_steps) / max(num_steps - 1, 1)
    start, end = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return np.append((start + ramp * (end - start)) ** rho, 0.0)
