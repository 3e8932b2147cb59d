"""Ablation, row 2: DDPM++ with band-split normalisation."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "ddpmpp_norm"
    c.model.resampling = "both"
    c.model.attention = "pixel"
    c.model.num_heads = 1  # as in EDM's DDPM++
    c.model.embedding = "fourier"
    return c
