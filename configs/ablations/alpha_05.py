"""Ablation: amplitudes compressed to their square root."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "alpha_05"
    c.audio.alpha = 0.5
    return c
