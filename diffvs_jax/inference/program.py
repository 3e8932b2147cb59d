"""The compiled part of separation: a batch of chunks from waveform to waveform, in one pure function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from diffvs_jax.audio.chunking import ChunkPlan
from diffvs_jax.audio.representation import SignalPath, decode, encode_mixture, units
from diffvs_jax.diffusion.samplers import SAMPLERS, SamplerSettings, average
from diffvs_jax.errors import InputError
from diffvs_jax.inference.joint import blend, frame_weights
from diffvs_jax.model.denoiser import build_network, make_denoiser

LOOPS = ("auto", "unrolled", "scanned")


def make_program(config: Any, at_once: int | None = None, mesh: Mesh | None = None) -> Callable[..., jax.Array]:
    """The function behind ``Separator``: STFT, encoding, all steps of the sampler, decoding, inverse STFT.

    ``(params, stats, mixture [K, N, A], first_frames [K], sigmas [steps + 1], key, before=None, used=None) ->
    [K, S, N, A]``, to be jitted. With ``before`` (int ``[K]``, the place of the chunk before on the same
    track, or -1) chunks are solved jointly; without, each alone. With ``used`` the network leaves out
    chunks from there on.

    Args:
      config: as of ``Separator``.
      at_once: chunks that the network sees at once on each device; None: all. Fewer take less memory.
      mesh: devices to split chunks over, along its only axis.

    Raises:
      InputError: settings that make no network or no sampler.
    """
    path = SignalPath.from_config(config)
    network = build_network(config)
    settings = sampler_settings(config)
    sampler = SAMPLERS[config.sampler.name]
    weights = frame_weights(chunk_plan(config), path.hop_length)

    def denoise_part(params, condition, x, sigma):
        return make_denoiser(network, params, condition, config.edm.sigma_data)(x, sigma)

    denoise_all = over_devices(in_parts(denoise_part, at_once), mesh)

    def program(params, stats, mixture, first_frames, sigmas, key, before=None, used=None):
        condition, context = encode_mixture(mixture, stats, path)

        def denoise(x, sigma):
            denoised = denoise_all(params, condition, x, sigma, mixture.shape[0] if used is None else used)
            if before is None:
                return denoised
            return blend(denoised, units(context, path), before, weights, config.separation.step_frames)

        shape = (path.num_frames, path.band_bins, network.out_channels)

        def sample(number):
            def draw(index):
                own = jax.random.fold_in(jax.random.fold_in(key, number), index)
                return frame_noise(own, first_frames, shape)

            return decode(sampler(denoise, draw, sigmas, settings), context, path)

        return average(sample, config.sampler.num_samples)

    return program


def chunk_plan(config: Any) -> ChunkPlan:
    """How a config cuts long tracks.

    Raises:
      InputError: a step that leaves gaps.
    """
    path, separation = SignalPath.from_config(config), config.separation
    step, taper = (frames * path.hop_length for frames in (separation.step_frames, separation.taper_frames))
    return ChunkPlan(path.chunk_samples, step, taper)


def chunks_at_once(config: Any, platform: str) -> int:
    """How many chunks the network is to see at once on each device; more are no faster on a CPU."""
    return config.separation.batch_size or (2 if platform == "cpu" else 16)


def in_parts(denoise: Callable[..., jax.Array], at_once: int | None) -> Callable[..., jax.Array]:
    """``denoise(params, condition, x, sigma)`` for so many chunks at once, one part after the other.

    The function that comes back takes also how many of the chunks are used; the others may be left zero.
    """

    def denoise_all(params, condition, x, sigma, used):
        if at_once is None or at_once >= x.shape[0]:
            return denoise(params, condition, x, sigma)

        def part(number, denoised):
            def cut(array):
                return jax.lax.dynamic_slice_in_dim(array, number * at_once, at_once)

            new = denoise(params, cut(condition), cut(x), cut(sigma))
            return jax.lax.dynamic_update_slice_in_dim(denoised, new, number * at_once, 0)

        return jax.lax.fori_loop(0, (used + at_once - 1) // at_once, part, jnp.zeros_like(x))

    return denoise_all


def over_devices(denoise_all: Callable[..., jax.Array], mesh: Mesh | None) -> Callable[..., jax.Array]:
    """The same with chunks split over a mesh: every device goes through its own."""
    if mesh is None:
        return denoise_all
    (axis,) = mesh.axis_names

    def own(params, condition, x, sigma, used):
        first = jax.lax.axis_index(axis) * x.shape[0]
        return denoise_all(params, condition, x, sigma, jnp.clip(used - first, 0, x.shape[0]))

    whole, split = PartitionSpec(), PartitionSpec(axis)
    return jax.shard_map(own, mesh=mesh, in_specs=(whole, split, split, split, whole), out_specs=split, check_vma=False)


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
