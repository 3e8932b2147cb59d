"""Ablation: 2 bands."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "bands_2"
    c.audio.num_bands = 2
    return c
