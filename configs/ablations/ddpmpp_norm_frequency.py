"""Ablation, row 3: row 2 with resampling in frequency only."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "ddpmpp_norm_frequency"
    c.model.attention = "pixel"
    c.model.num_heads = 1  # as in EDM's DDPM++
    c.model.embedding = "fourier"
    return c
