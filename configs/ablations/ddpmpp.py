"""Ablation, row 1: DDPM++, with none of what makes Diff-VS (row 5 is configs/base.py)."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "ddpmpp"
    c.audio.peak_norm = False
    c.audio.num_bands = 1
    c.audio.band_norm = "none"
    c.model.resampling = "both"
    c.model.attention = "pixel"
    c.model.num_heads = 1  # as in EDM's DDPM++
    c.model.embedding = "fourier"
    return c
