"""The smallest networks that still have every part."""

import dataclasses

import numpy as np

from diffvs_jax.model.unet import UNet, UNetSettings

NANO = UNetSettings(
    channels=8,
    channel_mult=(1, 2),
    num_blocks=1,
    attention_levels=(1,),
    num_heads=2,
    head_dim=4,
    ffn_multiplier=2,
    dropout=0.0,
    attention="dual_path",
    attention_backend="xla",  # on every machine: flash attention takes no heads of 4
    resampling="frequency",
    embedding="positional",
    fourier_scale=16.0,
    stem_size=3,
    dtype="float32",
    remat="none",
)
FLAT = {"channel_mult": (1,), "num_blocks": 0, "attention_levels": ()}  # three blocks: compiles in a third of the time
C_NOISE = np.float32([-1.0, 0.3])


def network(**changes):
    return UNet(dataclasses.replace(NANO, **changes), out_channels=4)
