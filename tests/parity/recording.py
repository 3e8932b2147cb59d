"""What a solver did, step by step."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from diffvs_jax.diffusion.edm import Denoise


class Course(NamedTuple):
    """Every state, and the noise level of every call of the denoiser."""

    states: list[np.ndarray]
    call_sigmas: list[float]


def record(solve: Callable[[Denoise], jax.Array], denoise: Denoise) -> Course:
    """Runs ``solve(denoise)``, unrolled and outside of ``jit``, where every call can be seen.

    Heun's method calls the denoiser at the state of a step, then at its prediction of the next.
    """
    calls = []

    def recording(x: jax.Array, sigma: jax.Array) -> jax.Array:
        assert sigma.shape == x.shape[:1] and (sigma == sigma[0]).all() and sigma.dtype == x.dtype
        calls.append((np.asarray(x), sigma[0].item()))
        return denoise(x, sigma)

    last = np.asarray(solve(recording))
    states, call_sigmas = zip(*calls, strict=True)
    return Course([*states[::2], last], list(call_sigmas))
