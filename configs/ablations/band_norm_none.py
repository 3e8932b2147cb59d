"""Ablation: four bands, but one constant for all of them."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "band_norm_none"
    c.audio.band_norm = "none"
    return c
