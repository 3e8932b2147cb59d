"""Ablation: 1 band, which is no band split."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "bands_1"
    c.audio.num_bands = 1
    return c
