"""Ablation: amplitudes left alone."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "alpha_1"
    c.audio.alpha = 1.0
    return c
