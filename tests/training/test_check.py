import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.training.check import check_config


def test_the_nano_config_has_no_mistake(nano_config):
    check_config(nano_config)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audio.num_bands", 0),
        ("audio.hop_length", 0),
        ("model.num_heads", 0),
        ("model.channels", 33),
        ("model.attention_backend", "cudnn"),
        ("separation.batch_size", -1),
        ("data.stats_batches", 0),
        ("data.augment.gain_range", (0.5,)),
        ("data.augment.reverb_probability", 1.5),
        ("data.targets", ()),
        ("train.log_every_steps", 0),
        ("train.ema_rates", ()),
        ("train.schedule", "linear"),
        ("train.batch_size", 3),
        ("train.learning_rate", float("nan")),
        ("train.learning_rate", -1.0),
        ("train.warmup_steps", -5),
        ("train.clip_norm", 0.0),
        ("train.beta1", 1.0),
        ("train.checkpoint_every_minutes", -1.0),
        ("train.max_skipped_steps", -1),
        ("validation.num_examples", -1),
        ("train.validate_every_steps", -1),
        ("validation.num_tracks", 0),
        ("validation.chunks_per_track", 0),
    ],
)
def test_a_mistake_is_named_with_its_value(nano_config, name, value):
    nano_config.update_from_flattened_dict({name: value})
    with pytest.raises(InputError, match=name if name.startswith("data") else name.split(".")[1]):
        check_config(nano_config)
