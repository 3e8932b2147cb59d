import jax
import numpy as np
import pytest

from diffvs_jax.audio.representation import BandStats, SignalPath, encode_mixture, encode_targets
from diffvs_jax.errors import InputError
from diffvs_jax.training.band_stats import measure_band_stats
from diffvs_jax.training.step import split_stems


@pytest.fixture
def path(nano_config):
    return SignalPath.from_config(nano_config)


@pytest.fixture
def batches(path):
    """Two batches of three stems, the second one louder, with less and less treble from stem to stem."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 4, 3, path.chunk_samples, 2)).astype(np.float32)
    for stem in range(1, 3):
        noise[:, :, stem, 1:] += stem * 0.5 * noise[:, :, stem, :-1]
    return list(noise * np.float32([0.01, 0.1])[:, None, None, None, None])


def encoded(batches, stats, path):
    """All batches' conditions and targets, with the bands apart: ``[..., bands, channels x (re, im)]``."""

    @jax.jit
    def encode(batch):
        mixture, targets = split_stems(batch)
        condition, context = encode_mixture(mixture, stats, path)
        return condition, encode_targets(targets, context, path)

    condition, targets = (np.concatenate(parts) for parts in zip(*map(encode, batches), strict=True))
    condition = condition.reshape(*condition.shape[:3], path.num_bands, -1)
    return condition, targets.reshape(*targets.shape[:3], batches[0].shape[1] - 1, path.num_bands, -1)


def test_stats_are_the_deviations_of_what_the_network_sees(batches, path):
    stats = measure_band_stats(iter(batches), 2, path)
    condition, targets = encoded(batches, BandStats.ones(2, path.num_bands), path)
    np.testing.assert_allclose(stats.mixture, condition.std(axis=(0, 1, 2, 4)) / path.sigma_data, rtol=1e-3)
    np.testing.assert_allclose(stats.targets, targets.std(axis=(0, 1, 2, 5)) / path.sigma_data, rtol=1e-3)


def test_measured_stats_bring_every_band_to_sigma_data(batches, path):
    stats = measure_band_stats(iter(batches), 2, path)
    condition, targets = encoded(batches, stats, path)
    np.testing.assert_allclose(condition.std(axis=(0, 1, 2, 4)), path.sigma_data, rtol=1e-3)
    np.testing.assert_allclose(targets.std(axis=(0, 1, 2, 5)), path.sigma_data, rtol=1e-3)


def test_a_target_that_is_silent_throughout_is_bad_input(batches, path):
    for batch in batches:
        batch[:, 1] = 0
    with pytest.raises(InputError, match="a target is silent in some band of 2 training batches"):
        measure_band_stats(iter(batches), 2, path)


def test_silence_throughout_is_bad_input(path):
    with pytest.raises(InputError, match="a mixture is silent"):
        measure_band_stats(iter([np.zeros((2, 2, path.chunk_samples, 2), np.float32)]), 1, path)
