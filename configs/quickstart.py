"""A small model in minutes on two CPU cores: 16 kHz mono, two-second chunks, procedural songs."""

from ml_collections import ConfigDict

from configs.base import get_config as get_base


def get_config() -> ConfigDict:
    c = get_base()
    c.name = "quickstart"

    c.audio.sample_rate = 16_000
    c.audio.num_channels = 1
    c.audio.n_fft = 1024
    c.audio.hop_length = 256
    c.audio.num_frames = 128
    c.audio.num_bands = 4

    c.model.channels = 32
    c.model.channel_mult = (1, 2, 2)
    c.model.num_blocks = 1
    c.model.attention_levels = (2,)
    c.model.num_heads = 4
    c.model.head_dim = 16
    c.model.ffn_multiplier = 2
    c.model.dtype = "float32"
    c.model.remat = "none"

    c.sampler.sigma_max = 3.0
    c.sampler.unroll = False
    c.separation.step_frames = 64

    c.data.stats_batches = 16
    c.data.num_threads = 1

    c.train.batch_size = 8
    c.train.num_steps = 400
    c.train.learning_rate = 1e-3
    c.train.warmup_steps = 20
    c.train.ema_rates = (0.99,)
    c.train.log_every_steps = 10
    c.train.checkpoint_every_steps = 100
    return c
