"""Ablation: 16 bands."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "bands_16"
    c.audio.num_bands = 16
    return c
