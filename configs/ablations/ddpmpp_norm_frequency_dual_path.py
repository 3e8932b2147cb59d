"""Ablation, row 4: row 3 with dual-path RoFormers. Sinusoidal noise embedding makes it configs/base.py."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "ddpmpp_norm_frequency_dual_path"
    c.model.embedding = "fourier"
    return c
