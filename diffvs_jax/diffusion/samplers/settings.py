"""What every sampler is given besides its denoiser, noise and noise levels."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from diffvs_jax.diffusion.edm import Denoise

Draw = Callable[[Any], jax.Array]
Sampler = Callable[[Denoise, Draw, jax.Array, "SamplerSettings"], jax.Array]


@dataclasses.dataclass(frozen=True)
class SamplerSettings:
    """Settings of all samplers; most read the first alone."""

    unroll: bool = True  # copy the network into the program at every evaluation, or loop over one copy
    s_churn: float = 0.0  # noise that the stochastic sampler adds before steps with sigma in
    s_t_min: float = 0.0  # [s_t_min,
    s_t_max: float = float("inf")  # s_t_max],
    s_noise: float = 1.0  # times this factor


DEFAULT = SamplerSettings()


def repeat(body: Callable[[Any, Any], Any], state: Any, count: int, unroll: bool) -> Any:
    """``state = body(state, i)`` for i in 0 ... count - 1, copied into the program or looped over.

    Copied, the compiler may fuse across repetitions and i is a number; looped, the program
    compiles several times faster and i is traced.
    """
    if unroll:
        for i in range(count):
            state = body(state, i)
        return state
    return jax.lax.scan(lambda state, i: (body(state, i), None), state, jnp.arange(count))[0]


def per_example(sigma: jax.Array, x: jax.Array) -> jax.Array:
    """One noise level for all of ``x [B, ...]``, as ``[B]``."""
    return jnp.full((x.shape[0],), sigma, x.dtype)
