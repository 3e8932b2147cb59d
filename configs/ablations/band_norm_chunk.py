"""Ablation: bands normalised by the statistics of each chunk, not of the data set."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "band_norm_chunk"
    c.audio.band_norm = "chunk"
    return c
