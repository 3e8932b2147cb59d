"""No seam can be told where one chunk hands over to the next: ``seams.py`` measures it, here on a stand-in network."""

import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.inference import program as program_module
from diffvs_jax.inference.program import chunk_plan
from diffvs_jax.inference.separator import Separator
from tests.helpers import RATE, random_params
from tests.inference.seams import both_grids, seams, summary, with_mode
from tests.nano import get_config


def noise(seconds):
    """Music whose level changes slowly: the peaks of chunks, and so their units, differ."""
    rng = np.random.default_rng(0)
    loudness = 0.05 + 0.25 * np.sin(np.arange(seconds * RATE) / 3000) ** 2
    return (loudness[:, None] * rng.standard_normal((seconds * RATE, 2))).astype(np.float32)


@pytest.fixture
def flawed(monkeypatch):
    """A network whose answer is wrong everywhere, and at a chunk's edges, where it sees half of what it needs, more."""

    def make_denoiser(_network, _params, condition, _sigma_data):
        def denoise(x, sigma):
            signs = np.random.default_rng(0).choice([-1.0, 1.0], condition.shape[2:])
            wrong = 0.3 * condition * jnp.asarray(signs, jnp.float32)[None, None]
            frames = jnp.arange(condition.shape[1])
            edge = (frames < 2) | (frames >= condition.shape[1] - 2)
            return condition + wrong * (1 + 2 * edge[None, :, None, None])

        return denoise

    monkeypatch.setattr(program_module, "make_denoiser", make_denoiser)

    def measure(mode):
        config = with_mode(get_config(), mode)
        config.audio.alpha = 0.8
        stats = BandStats(np.float32([0.7, 0.2]), np.float32([[0.7, 0.2]]))
        separator = Separator(random_params(config), stats, config)
        mixture, plan = noise(20), chunk_plan(config)
        runs = both_grids(lambda song: separator(song, RATE)["vocals"], mixture, plan)
        return summary([seams(*runs, mixture, plan, config.audio.hop_length)])

    return measure


def test_the_default_has_no_audible_seam(flawed):
    assert get_config().separation.joint
    seam = flawed("joint")
    assert max(seam[1::2]) < 0.2  # the measure is that exact
    assert max(abs(value) for value in seam[::2]) < 0.5


def test_the_measure_hears_the_seams_of_chunks_without_overlap(flawed):
    seam = flawed("none")
    assert seam.residual > 3 and seam.click > 1
