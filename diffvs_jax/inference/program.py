"""The compiled part of separation: a batch of chunks from waveform to waveform, in one pure function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from diffvs_jax.audio.representation import SignalPath, decode, encode_mixture
from diffvs_jax.diffusion.samplers import SAMPLERS, SamplerSettings, average
from diffvs_jax.errors import InputError
from diffvs_jax.model.denoiser import build_network, make_denoiser

LOOPS = ("auto", "unrolled", "scanned")


def make_program(config: Any) -> Callable[..., jax.Array]:
    """The function behind ``Separator.chunks``: STFT, encoding, all steps of the sampler, decoding, inverse STFT.

    ``(params, stats, mixture [B, N, A], first_frames [B], sigmas [steps + 1], key) ->
    [B, S, N, A]``, to be jitted.

    Raises:
      InputError: settings that make no network or no sampler.
    """
    path = SignalPath.from_config(config)
    network = build_network(config)
    settings = sampler_settings(config)
    sampler = SAMPLERS[config.sampler.name]

    def program(params, stats, mixture, first_frames, sigmas, key):
        condition, context = encode_mixture(mixture, stats, path)
        denoise = make_denoiser(network, params, condition, config.edm.sigma_data)
        shape = (path.num_frames, path.band_bins, network.out_channels)

        def sample(number):
            def draw(index):
                own = jax.random.fold_in(jax.random.fold_in(key, number), index)
                return frame_noise(own, first_frames, shape)

            return decode(sampler(denoise, draw, sigmas, settings), context, path)

        return average(sample, config.sampler.num_samples)

    return program


def sampler_settings(config: Any) -> SamplerSettings:
    """The settings of a config's sampler.

    Raises:
      InputError: names the key, its value and what it may be.
    """
    s = config.sampler
    if s.name not in SAMPLERS:
        raise InputError(f"sampler.name {s.name!r} is none of {tuple(SAMPLERS)}")
    if s.loop not in LOOPS:
        raise InputError(f"sampler.loop {s.loop!r} is none of {LOOPS}")
    if s.num_samples < 1:
        raise InputError(f"sampler.num_samples is {s.num_samples}; at least 1 is needed")
    if not s.s_churn >= 0 or (s.s_churn > 0 and s.name != "stochastic_heun"):
        raise InputError(f"sampler.s_churn is {s.s_churn}; it must be 0, or above it with sampler.name=stochastic_heun")
    if not 0 <= s.s_t_min <= s.s_t_max:
        raise InputError(f"sampler.s_t_min {s.s_t_min} and s_t_max {s.s_t_max} must be 0 or more, in rising order")
    if not s.s_noise >= 0:
        raise InputError(f"sampler.s_noise is {s.s_noise}; it must be 0 or more")
    return SamplerSettings(unroll(s.loop), s.s_churn, s.s_t_min, s.s_t_max, s.s_noise)


def unroll(loop: str) -> bool:
    """Whether ``sampler.loop`` means to copy the network into the program at every evaluation.

    "auto" does on accelerators, where the program runs often and fusion across evaluations may
    pay, and does not on a CPU, where compiling takes as long as separating a song.
    """
    return loop == "unrolled" or (loop == "auto" and jax.default_backend() != "cpu")


def frame_noise(key: jax.Array, first_frames: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """Standard normal ``[B, T, F, C]`` that depends on the key and the global frame number only."""

    def of_frame(frame: jax.Array) -> jax.Array:
        return jax.random.normal(jax.random.fold_in(key, frame), shape[1:])

    return jax.vmap(jax.vmap(of_frame))(first_frames[:, None] + jnp.arange(shape[0])[None])
