"""A config's mistakes, told before a song is rendered or a step is trained."""

import operator
from typing import Any

from diffvs_jax.data.augmentation import Augmentation
from diffvs_jax.errors import InputError
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.training.optimizer import learning_rate
from diffvs_jax.training.sharding import make_mesh

_AT_LEAST_ONE = (
    *("audio.n_fft", "audio.hop_length", "audio.num_bands", "model.num_heads", "model.ffn_multiplier"),
    *("separation.batch_size", "data.stats_batches", "data.synthetic.num_train_songs", "train.batch_size"),
    *("train.num_steps", "train.log_every_steps", "train.checkpoint_every_steps", "train.keep_checkpoints"),
    *("train.accumulate_steps", "validation.num_tracks", "validation.chunks_per_track"),
)


def check_config(config: Any) -> None:
    """Builds what a config shapes, without computing any of it.

    Raises:
      InputError: names the key, its value and the limit.
    """
    for name in _AT_LEAST_ONE:
        if operator.attrgetter(name)(config) < 1:
            raise InputError(f"{name} is {operator.attrgetter(name)(config)}; it must be at least 1")
    if not config.train.ema_rates or not all(0 < rate < 1 for rate in config.train.ema_rates):
        raise InputError(f"train.ema_rates is {config.train.ema_rates}; give at least one, each between 0 and 1")
    if config.train.validate_every_steps < 0:
        raise InputError(f"train.validate_every_steps is {config.train.validate_every_steps}; 0 is never")
    Augmentation.from_config(config.data.augment)
    if not config.data.targets:
        raise InputError("data.targets is empty; name at least one stem")
    learning_rate(config.train)
    if config.train.max_skipped_steps < 0:
        raise InputError(f"train.max_skipped_steps is {config.train.max_skipped_steps}; 0 stops at the first")
    make_mesh(config.train)
    abstract_params(config)
