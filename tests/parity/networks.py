"""EDM's U-Net and blocks as ours, with the reference's parameters."""

from typing import Any

import jax
import numpy as np

from diffvs_jax.model.unet import UNet, UNetSettings
from tests.parity.golden import Golden
from tests.parity.reference_names import ours, unet_layers


def settings(
    channels: int, channel_mult: tuple[int, ...], num_blocks: int, attention_levels: tuple[int, ...], heads: int
):
    """DDPM++ in our settings; dropout is off, since all figures are of a network at rest."""
    return UNetSettings(
        channels=channels,
        channel_mult=channel_mult,
        num_blocks=num_blocks,
        attention_levels=attention_levels,
        attention="pixel",
        attention_backend="xla",
        num_heads=heads,
        head_dim=2,  # of dual-path RoFormers alone, like the next
        ffn_multiplier=1,
        resampling="both",
        embedding="positional",
        fourier_scale=1.0,  # of a Fourier embedding alone
        stem_size=3,
        dropout=0.0,
        dtype="float32",
        remat="none",
    )


def unet(golden: Golden, config: dict[str, Any]) -> tuple[UNet, Any]:
    """The network of a SongUNet's config, and its parameters."""
    expected = {
        "embedding_type": "positional",
        "channel_mult_noise": 1,
        "encoder_type": "standard",
        "decoder_type": "standard",
        "resample_filter": [1, 1],
    }
    assert {key: config[key] for key in expected} == expected, "DDPM++ alone is what we have"
    levels = range(len(config["channel_mult"]))
    attention = [level for level in levels if config["img_resolution"] >> level in config["attn_resolutions"]]
    s = settings(
        config["model_channels"], tuple(config["channel_mult"]), config["num_blocks"], tuple(attention), heads=1
    )
    network = UNet(s, config["out_channels"])
    side = config["img_resolution"]
    x = jax.ShapeDtypeStruct((1, side, side, config["in_channels"]), np.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), x, jax.ShapeDtypeStruct((1,), np.float32))["params"]
    layers = unet_layers(side, len(levels), config["num_blocks"])
    return network, ours(learned(golden.under("param/")), layers, shapes)


def learned(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without the buffers of resampling, which must be the means of 2 x 2 that we compute."""
    for name, values in parameters.items():
        if name.endswith("resample_filter"):
            np.testing.assert_array_equal(values, np.full((1, 1, 2, 2), 0.25))
    return {name: values for name, values in parameters.items() if not name.endswith("resample_filter")}


def channels_last(x_BCTF: np.ndarray) -> np.ndarray:
    return x_BCTF.transpose(0, 2, 3, 1)
