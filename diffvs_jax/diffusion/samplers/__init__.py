"""Ways to solve the probability-flow ODE from noise to a sample, one file each, all of one signature.

``sampler(denoise, draw, sigmas, settings)`` takes a denoiser ``D(x [B, ...], sigma [B])``; a source
of noise, ``draw(i)``, standard normal ``[B, ...]`` for every i (0 is where sampling starts, i + 1
what a stochastic sampler adds before step i; i may be traced); falling noise levels ``[N + 1]``
that end in zero; and ``SamplerSettings``. It gives the sample ``[B, ...]`` in the noise's type,
which the state never leaves. All are made to be jitted: the noise levels are an argument of the
compiled program, so a sweep over sigma_max or rho never recompiles; only N shapes it.
"""

from diffvs_jax.diffusion.samplers.average import average
from diffvs_jax.diffusion.samplers.dpmpp_2m import dpmpp_2m
from diffvs_jax.diffusion.samplers.euler import euler
from diffvs_jax.diffusion.samplers.grid import check_sigmas, sigma_grid
from diffvs_jax.diffusion.samplers.heun import heun
from diffvs_jax.diffusion.samplers.settings import Draw, Sampler, SamplerSettings
from diffvs_jax.diffusion.samplers.stochastic_heun import stochastic_heun

SAMPLERS: dict[str, Sampler] = {
    "heun": heun,
    "stochastic_heun": stochastic_heun,
    "euler": euler,
    "dpmpp_2m": dpmpp_2m,
}

__all__ = ["SAMPLERS", "Draw", "Sampler", "SamplerSettings", "average", "check_sigmas", "num_evaluations", "sigma_grid"]


def num_evaluations(name: str, num_steps: int) -> int:
    """How often a sampler calls the network in ``num_steps`` steps."""
    return 2 * num_steps - 1 if name in ("heun", "stochastic_heun") else num_steps
