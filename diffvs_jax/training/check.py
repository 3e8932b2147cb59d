"""A config's mistakes, told before a song is rendered or a step is trained."""

import math
import operator
from typing import Any

from diffvs_jax.data.augmentation import Augmentation
from diffvs_jax.errors import InputError
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.training.optimizer import learning_rate
from diffvs_jax.training.sharding import make_mesh

_AT_LEAST_ONE = (
    *("audio.n_fft", "audio.hop_length", "audio.num_bands", "model.num_heads", "model.ffn_multiplier"),
    *("data.stats_batches", "data.synthetic.num_train_songs", "train.batch_size"),
    *("train.num_steps", "train.log_every_steps", "train.checkpoint_every_steps", "train.keep_checkpoints"),
    *("train.accumulate_steps", "validation.num_tracks", "validation.chunks_per_track"),
)
# Lowest and highest value.
_RANGES = {
    "seed": (0, 2**32 - 1),
    "train.max_minutes": (0, math.inf),
    "train.checkpoint_every_minutes": (0, math.inf),
    "train.validate_every_steps": (0, math.inf),
    "train.max_skipped_steps": (0, math.inf),
    "train.warmup_steps": (0, math.inf),
    "train.learning_rate": (0, 1e30),
    "train.weight_decay": (0, 1e30),
    "train.clip_norm": (1e-30, math.inf),
    "train.ema_rampup": (0, 1e30),
    "train.beta1": (0, 1 - 1e-12),
    "train.beta2": (0, 1 - 1e-12),
    "validation.num_examples": (0, math.inf),
    "separation.batch_size": (0, math.inf),
}


def check_config(config: Any) -> None:
    """Builds what a config shapes, without computing any of it.

    Raises:
      InputError: names the key, its value and the limit.
    """
    for name in _AT_LEAST_ONE:
        if operator.attrgetter(name)(config) < 1:
            raise InputError(f"{name} is {operator.attrgetter(name)(config)}; it must be at least 1")
    for name, (lowest, highest) in _RANGES.items():
        value = operator.attrgetter(name)(config)
        if not lowest <= value <= highest:  # NaN is in no range
            raise InputError(f"{name} is {value}; it must lie from {lowest:g} to {highest:g}")
    if config.init_optimizer and not config.init_from:
        raise InputError("init_optimizer is True, and init_from names no run")
    if not config.train.ema_rates or not all(0 < rate < 1 for rate in config.train.ema_rates):
        raise InputError(f"train.ema_rates is {config.train.ema_rates}; give at least one, each between 0 and 1")
    Augmentation.from_config(config.data.augment)
    if not config.data.targets:
        raise InputError("data.targets is empty; name at least one stem")
    learning_rate(config.train)
    make_mesh(config.train)
    abstract_params(config)
