"""The denoiser: the U-Net inside EDM's preconditioning, conditioned on the mixture."""

from typing import Any

import jax
import jax.numpy as jnp

from diffvs_jax.diffusion.edm import Denoise, precondition
from diffvs_jax.model.unet import UNet, UNetSettings

Params = Any  # nested dict of arrays


def build_network(config: Any) -> UNet:
    """The U-Net of a config; its head is as wide as all targets together.

    Raises:
      InputError: sizes that do not divide, named with their numbers.
    """
    settings = UNetSettings(**config.model)
    bins = config.audio.n_fft // 2 // config.audio.num_bands
    settings.check_sizes(config.audio.num_frames, bins, config.audio.num_bands)
    return UNet(settings, len(config.data.targets) * _waveform_channels(config))


def init_params(network: UNet, config: Any, key: jax.Array) -> Params:
    """Fresh float32 parameters; run under ``jax.eval_shape`` it costs nothing."""
    bins = config.audio.n_fft // 2 // config.audio.num_bands
    channels = network.out_channels + _waveform_channels(config)
    x = jnp.zeros((1, config.audio.num_frames, bins, channels))
    return network.init(key, x, jnp.zeros((1,)))["params"]


def abstract_params(config: Any) -> Params:
    """Shapes and types of a config's parameters, without computing any."""
    network = build_network(config)
    return jax.eval_shape(lambda: init_params(network, config, jax.random.key(0)))


def make_denoiser(
    network: UNet,
    params: Params,
    condition: jax.Array,
    sigma_data: float,
    dropout_key: jax.Array | None = None,
) -> Denoise:
    """``D(x [B, T, F, C], sigma [B])`` for one batch of mixtures.

    Args:
      network: the raw network F.
      params: its parameters.
      condition: ``[B, T, F, C_cond]`` encoded mixtures: clean, and not scaled by c_in.
      sigma_data: standard deviation of the targets.
      dropout_key: randomness for dropout; None turns dropout off.
    """

    def raw(scaled_x: jax.Array, c_noise: jax.Array) -> jax.Array:
        inputs = jnp.concatenate([scaled_x, condition], axis=-1)
        rngs = None if dropout_key is None else {"dropout": dropout_key}
        out = network.apply({"params": params}, inputs, c_noise, train=dropout_key is not None, rngs=rngs)
        assert isinstance(out, jax.Array)
        return out

    return precondition(raw, sigma_data)


def _waveform_channels(config: Any) -> int:
    """Network channels of one waveform: bands x audio channels x (re, im)."""
    return config.audio.num_bands * config.audio.num_channels * 2
