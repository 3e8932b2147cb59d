import jax
import numpy as np
import pytest

from diffvs_jax.audio.representation import BandStats, FrameMoments, SignalPath, encode_mixture, encode_targets
from diffvs_jax.errors import InputError
from diffvs_jax.training.band_stats import (
    RunningMoments,
    batch_moments,
    check_band_stats,
    measure_band_stats,
    running_moments,
)
from diffvs_jax.training.gradient import split_stems


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
    """Features of the mixture and all targets, float64 ``[B, R, T, F, bands, channels x (re, im)]``."""

    @jax.jit
    def encode(batch):
        mixture, targets = split_stems(batch)
        condition, context = encode_mixture(mixture, stats, path)
        return condition, encode_targets(targets, context, path)

    condition, targets = (np.concatenate(parts) for parts in zip(*map(encode, batches), strict=True))
    condition = condition.reshape(*condition.shape[:3], 1, path.num_bands, -1)
    targets = targets.reshape(*targets.shape[:3], batches[0].shape[1] - 1, path.num_bands, -1)
    return np.moveaxis(np.concatenate([condition, targets], axis=3).astype(np.float64), 3, 1)


def closed_form(batches, frames, path):
    """Standard deviations ``[R, bands]`` over the frames that ``frames [B, R, T]`` names, all at once."""
    features = encoded(batches, BandStats.ones(batches[0].shape[1] - 1, path.num_bands), path) / path.sigma_data
    return np.array([features[:, row][frames[:, row]].std(axis=(0, 1, 3)) for row in range(frames.shape[1])])


def as_rows(stats):
    return np.concatenate([stats.mixture[None], stats.targets])


def loud(batches, path):
    """Frames in which a row's windowed samples are above a thousandth of the mixture's peak, by numpy."""
    stems = np.concatenate(batches).astype(np.float64)
    rows = np.concatenate([stems.sum(axis=1, keepdims=True), stems[:, :-1]], axis=1)
    rows /= np.abs(rows[:, :1]).max(axis=(2, 3), keepdims=True)
    padded = np.pad(rows, [(0, 0), (0, 0), (path.n_fft // 2,) * 2, (0, 0)], mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(path.n_fft) / path.n_fft)
    cut = np.lib.stride_tricks.sliding_window_view(padded, path.n_fft, axis=2)[:, :, :: path.hop_length]
    level = np.sqrt(np.square(cut * window).mean(axis=(3, 4)) / np.square(window).mean())
    frames = level > 1e-3
    frames[:, 0] = True
    return frames


def test_moments_are_those_of_all_numbers_at_once_however_they_are_batched(batches, path):
    batches[1][:, 0] += 0.05  # a constant: band 0 has a mean
    batches[0][1:3, 0, 300:] = 0
    batches[1][2, 1] = 0
    frames = loud(batches, path)
    assert 0.3 < frames[:, 1].mean() < 0.9 and frames[:, 2].mean() == 7 / 8
    expected = closed_form(batches, frames, path)
    np.testing.assert_allclose(running_moments(iter(batches), 2, path).std(), expected, rtol=2e-6)

    parts = [jax.device_get(batch_moments(batch, path)) for batch in batches]
    chunks = FrameMoments(*map(np.concatenate, zip(*parts, strict=True)))
    rng = np.random.default_rng(1)
    for _ in range(5):
        order = rng.permutation(8)
        running = RunningMoments(3, path)
        for part in np.split(order, np.sort(rng.integers(0, 9, 3))):
            running.add(FrameMoments(*(values[part] for values in chunks)))
        np.testing.assert_allclose(running.std(), expected, rtol=2e-6)
        np.testing.assert_array_equal(running.frames, frames.sum(axis=(0, 2)))
        assert running.chunks == 8


def test_moments_do_not_drift_with_the_number_of_batches(path):
    rng = np.random.default_rng(0)
    shape = (3, 2, path.num_frames, path.num_bands)
    means, variances = rng.normal(100, 1, (500, *shape)), rng.uniform(0, 1e-3, (500, *shape))
    running = RunningMoments(2, path)
    for mean, variance in zip(means, variances, strict=True):
        running.add(FrameMoments(mean, variance, np.ones(shape[:3]), np.zeros(3, bool)))
    expected = np.sqrt(means.var(axis=(0, 1, 3)) + variances.mean(axis=(0, 1, 3)))
    np.testing.assert_allclose(running.std(), expected, rtol=1e-11)


def test_the_error_is_the_spread_between_sets_of_chunks(path):
    rng = np.random.default_rng(0)

    def measured():
        loudness = rng.lognormal(0, 0.5, (64, 1, 1, 1))
        shape = (64, 1, path.num_frames, path.num_bands)
        levels = np.ones(shape[:3]) * (rng.random((64, 1, 1)) < 0.8)
        running = RunningMoments(1, path)
        running.add(FrameMoments(np.zeros(shape), np.broadcast_to(loudness, shape), levels, np.zeros(64, bool)))
        return running.std()[0, 0], running.error()[0, 0]

    stds, errors = np.array([measured() for _ in range(300)]).T
    assert np.mean(errors) == pytest.approx(stds.std() / stds.mean(), rel=0.15)


def test_measured_stats_bring_every_band_to_sigma_data(batches, path):
    stats = measure_band_stats(iter(batches), 2, path).stats
    np.testing.assert_allclose(encoded(batches, stats, path).std(axis=(0, 2, 3, 5)), path.sigma_data, rtol=1e-3)


def test_rests_and_dropped_targets_do_not_count(batches, path):
    whole = measure_band_stats(iter(batches), 2, path)
    np.testing.assert_allclose(whole.active_seconds, 2 * [8 * path.num_frames * path.hop_length / path.sample_rate])
    assert whole.seconds == 8 * path.chunk_samples / path.sample_rate
    half = path.chunk_samples // 2
    for batch in batches:  # where the first target rests, the other stems go on
        batch[:, 2, half:] += batch[:, 0, half:]
        batch[:, 0, half:] = 0
        batch[::2, 1] = 1e-5 * batch[::2, 1]
    rested = measure_band_stats(iter(batches), 2, path)
    np.testing.assert_allclose(rested.stats.targets[0], whole.stats.targets[0], rtol=0.1)  # and not by the root of 2
    np.testing.assert_allclose(np.divide(rested.active_seconds, whole.active_seconds), [9 / 16, 1 / 2])
    odd = measure_band_stats(iter([batch[1::2] for batch in batches]), 2, path)
    np.testing.assert_allclose(rested.stats.targets[1], odd.stats.targets[1], rtol=1e-6)


def test_silent_mixtures_do_not_count(batches, path):
    expected = measure_band_stats(iter([batch[:2] for batch in batches]), 2, path)
    for batch in batches:
        batch[2:] *= 1e-5
    stats = measure_band_stats(iter(batches), 2, path).stats
    np.testing.assert_allclose(as_rows(stats), as_rows(expected.stats), rtol=1e-6)


def test_a_target_that_is_silent_throughout_is_bad_input(batches, path):
    for batch in batches:
        batch[:, 1] = 0
    with pytest.raises(InputError, match="a target is silent in some band of 2 training batches"):
        measure_band_stats(iter(batches), 2, path)


def test_silence_throughout_is_bad_input(path):
    with pytest.raises(InputError, match="a mixture is silent"):
        measure_band_stats(iter([np.zeros((4, 3, path.chunk_samples, 2), np.float32)]), 1, path)


def test_the_check_gives_the_deviations_of_what_the_network_is_fed(batches, path):
    batches[0][1, 0, 300:] = 0
    stats = BandStats(np.float32([0.8, 0.5]), np.float32([[0.6, 0.3], [0.2, 0.7]]))
    check = check_band_stats(iter(batches), 2, stats, path)
    features, frames = encoded(batches, stats, path), loud(batches, path)
    expected = [features[:, row][frames[:, row]].std(axis=(0, 1, 3)) for row in range(3)]
    np.testing.assert_allclose(check.std, expected, rtol=2e-6)
    assert check.chunks == 8
    assert np.isinf(check.tolerance).all() and not check.misses(0.5)  # too few chunks to tell


def test_the_check_tells_wrong_statistics_from_right_ones(batches, path):
    batches = [batch / batch.std() for batch in batches] * 2
    stats = measure_band_stats(iter(batches), 4, path).stats
    check = check_band_stats(iter(batches), 4, stats, path)
    np.testing.assert_array_equal(check.tolerance, np.full((3, 2), 0.2))
    assert check.misses(path.sigma_data) == []
    stats.mixture[1] *= 1.3
    stats.targets[1, 0] /= 1.3
    stats.targets[0, 0] *= 1.1
    assert check_band_stats(iter(batches), 4, stats, path).misses(path.sigma_data) == [(0, 1), (2, 0)]
