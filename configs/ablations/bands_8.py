"""Ablation: 8 bands."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "bands_8"
    c.audio.num_bands = 8
    return c
