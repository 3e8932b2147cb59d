"""The smallest model that still has every part: 8 kHz stereo, chunks of 0.12 s, a few thousand parameters."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "nano"

    c.audio.sample_rate = 8000
    c.audio.n_fft = 128
    c.audio.hop_length = 64
    c.audio.num_frames = 16
    c.audio.num_bands = 2

    c.model.channels = 16
    c.model.channel_mult = (1, 1)
    c.model.num_blocks = 0  # down and up, the bottleneck, and the decoder's one block per level
    c.model.attention_levels = ()  # the bottleneck has one
    c.model.num_heads = 2
    c.model.head_dim = 8
    c.model.ffn_multiplier = 2
    c.model.dtype = "float32"
    c.model.remat = "none"

    c.sampler.num_steps = 3
    c.sampler.sigma_max = 3.0
    c.separation.step_frames = 8
    c.separation.batch_size = 4
    c.separation.joint_chunks = 16

    c.data.num_threads = 1
    c.data.prefetch = 2
    c.data.stats_batches = 2
    c.data.synthetic.num_train_songs = 1
    c.data.synthetic.num_valid_songs = 1
    c.data.synthetic.num_test_songs = 1
    c.data.synthetic.seconds = 1.5

    c.train.batch_size = 4
    c.train.num_steps = 6
    c.train.learning_rate = 5e-3
    c.train.schedule = "constant"
    c.train.warmup_steps = 4  # beyond the first checkpoint
    c.train.ema_rates = (0.9, 0.5)
    c.train.ema_rampup = 1.0  # the two differ after six steps already
    c.train.log_every_steps = 1
    c.train.checkpoint_every_steps = 3
    c.train.validate_every_steps = 3
    c.validation.num_tracks = 1
    c.validation.chunks_per_track = 9  # just above a second, the least that has a cSDR
    c.validation.num_examples = 1
    c.demo.num_songs = 1
    c.demo.seconds = 1.0
    return c


def leaves(config, prefix=""):
    """Pairs ("section.key", value) of a config."""
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def at_nano_size(config):
    """The nano config with every key that ``config`` has otherwise than the paper."""
    nano, paper = get_config(), dict(leaves(get_base()))
    nano.update_from_flattened_dict({key: value for key, value in leaves(config) if value != paper[key]})
    return nano
