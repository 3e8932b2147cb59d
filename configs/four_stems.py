"""Vocals, bass, drums and other at once: the targets are stacked in the network's channels."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "four_stems"
    c.data.targets = ("vocals", "bass", "drums", "other")
    c.separation.sum_to_mixture = True
    return c
