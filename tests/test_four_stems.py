"""More than vocals: four stems at once, trained, separated and scored."""

import os

import jax
import numpy as np
import pytest

from configs.four_stems import get_config as get_four_stems
from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.source import open_tracks
from diffvs_jax.evaluation.clips import load_clip
from diffvs_jax.evaluation.scoring import score
from diffvs_jax.evaluation.summary import summarize
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.training.loop import train
from tests.nano import at_nano_size

STEMS = ("vocals", "bass", "drums", "other")
SONGS = os.environ.get("DIFFVS_SONGS_DIR", "")  # real songs with these four stems, in MUSDB18's layout


def train_separate_score(config, workdir, seconds):
    """Scores of one track, with all that led there."""
    _, stats, _ = train(config, workdir, open_tracks(config, "train", workdir), lambda line: None)
    separator = Separator.from_checkpoint(workdir)
    clip = load_clip(open_tracks(config, "test", workdir)[0], config.data.targets, seconds)
    estimates = separator(clip.mixture, clip.sample_rate)
    return stats, clip, estimates, score(clip.name, clip.truth, estimates, clip.sample_rate)


def check(config, stats, clip, estimates, row):
    assert stats.targets.shape == (4, config.audio.num_bands)
    assert len(np.unique(np.round(np.asarray(stats.targets), 6), axis=0)) == 4, "statistics are each target's own"
    assert list(estimates) == [*STEMS, "instrumental"]
    assert {stem.shape for stem in estimates.values()} == {clip.mixture.shape}
    total = sum(estimates[name] for name in STEMS)
    np.testing.assert_allclose(total, clip.mixture, atol=1e-5)
    np.testing.assert_allclose(estimates["vocals"] + estimates["instrumental"], clip.mixture, atol=1e-6)
    summary = summarize([row])
    for name in STEMS:
        assert np.isfinite(row[f"usdr_{name}"])
        assert f"csdr_{name}_median" in summary


@pytest.fixture
def config():
    config = at_nano_size(get_four_stems())
    config.model.channel_mult, config.train.mesh = (1,), (1, 1)  # compiles in a third of the time
    config.train.num_steps = 3
    config.data.stats_batches = 8  # chunks are short, and a drum or bass may rest
    return config


def test_four_stems_of_procedural_songs(config, tmp_path):
    config.data.synthetic.num_train_songs = 4  # not all of them have a bass
    config.data.synthetic.seconds = 4.0
    stats, clip, estimates, row = train_separate_score(config, tmp_path, seconds=2.5)
    check(config, stats, clip, estimates, row)


@pytest.mark.skipif(not SONGS, reason="set DIFFVS_SONGS_DIR to real songs with four stems in MUSDB18's layout")
def test_four_stems_of_real_songs(config, tmp_path):
    config.data.root = SONGS
    config.data.stats_batches = 100  # in some of these songs the bass plays for seconds only
    stats, clip, estimates, row = train_separate_score(config, tmp_path, seconds=20.0)
    check(config, stats, clip, estimates, row)
    heard = [name for name in STEMS if np.any(clip.truth[name])]
    assert heard and all(np.isfinite(row[f"csdr_{name}"]) for name in heard)


def test_targets_lie_in_channels_in_the_order_of_the_config(config):
    """A model whose head answers with one target's channels alone, says so under that target's name."""
    config.separation.sum_to_mixture = False
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), abstract_params(config))
    bias = np.zeros_like(params["head"]["bias"])
    per_target = len(bias) // 4
    bias[2 * per_target : 3 * per_target] = 20.0  # the third target
    params["head"]["bias"] = bias
    separator = Separator(params, BandStats.ones(4, config.audio.num_bands), config)
    rng = np.random.default_rng(0)
    estimates = separator(rng.uniform(-0.5, 0.5, (4000, 2)).astype(np.float32), 8000)
    loudness = {name: float(np.sqrt(np.mean(estimates[name] ** 2))) for name in STEMS}
    assert loudness["drums"] > 3 * max(loudness[name] for name in STEMS if name != "drums")
