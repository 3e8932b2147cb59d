import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from configs.base import get_config
from diffvs_jax.audio import representation
from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.errors import InputError

SMALL = SignalPath(
    sample_rate=8000,
    num_channels=2,
    n_fft=64,
    hop_length=16,
    num_frames=33,
    num_bands=4,
    peak_norm=True,
    peak_floor=1e-4,
    alpha=0.667,
    amplitude_scale=1.0,
    epsilon=1e-12,
    band_norm="dataset",
    sigma_data=0.5,
)
STATS = BandStats(np.float32([4.0, 3.0, 2.0, 1.0]), np.float32([[0.4, 0.3, 0.2, 0.1]] * 4))

encode_mixture = jax.jit(representation.encode_mixture, static_argnums=2)
encode_targets = jax.jit(representation.encode_targets, static_argnums=2)
decode = jax.jit(representation.decode, static_argnums=2)
frame_moments = jax.jit(representation.frame_moments, static_argnums=2)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.7, 0.7, shape).astype(np.float32)


def stats_for(num_targets, path=SMALL):
    return BandStats(STATS.mixture[: path.num_bands], STATS.targets[:num_targets, : path.num_bands])


def without_nyquist(audio, path):
    """``[..., N, A]`` with its last STFT bin zeroed, by scipy."""
    options = {"window": "hann", "nperseg": path.n_fft, "noverlap": path.n_fft - path.hop_length}
    spectrum = scipy.signal.stft(np.moveaxis(audio, -1, -2), boundary="even", padded=False, **options)[2]
    spectrum[..., -1, :] = 0
    return np.moveaxis(scipy.signal.istft(spectrum, **options)[1], -2, -1)


def tone(path, frequency_bin, phase=0.0):
    return np.cos(2 * np.pi * frequency_bin * np.arange(path.chunk_samples) / path.n_fft + phase).astype(np.float32)


def test_base_config_gives_256_frames_of_512_bins_and_16_channels_and_decodes_back():
    path = SignalPath.from_config(get_config())
    assert path.chunk_samples == 261_120
    mixture, target = noise(1, 261_120, 2), noise(1, 1, 261_120, 2, seed=1)
    condition, context = encode_mixture(mixture, stats_for(1), path)
    x = encode_targets(target, context, path)
    assert condition.shape == x.shape == (1, 256, 512, 16)
    assert condition.dtype == x.dtype == jnp.float32
    expected = without_nyquist(target, path)
    assert np.abs(expected - target).max() > 1e-3  # there was something at Nyquist to lose
    np.testing.assert_allclose(decode(x, context, path), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("num_targets", "changes"),
    [
        (1, {}),
        (4, {"alpha": 0.5, "amplitude_scale": 0.2}),
        (4, {"num_channels": 1, "alpha": 1.0}),
        (1, {"band_norm": "chunk", "num_bands": 2}),
        (4, {"band_norm": "none", "peak_norm": False}),
        (1, {"num_bands": 1, "num_channels": 1}),
    ],
)
def test_decode_undoes_encode_but_for_nyquist(num_targets, changes):
    path = dataclasses.replace(SMALL, **changes)
    mixture = noise(2, path.chunk_samples, path.num_channels)
    targets = noise(2, num_targets, path.chunk_samples, path.num_channels, seed=1)
    condition, context = encode_mixture(mixture, stats_for(num_targets, path), path)
    x = encode_targets(targets, context, path)
    assert condition.shape == (2, path.num_frames, path.band_bins, path.condition_channels)
    assert x.shape == (2, path.num_frames, path.band_bins, num_targets * path.condition_channels)
    np.testing.assert_allclose(decode(x, context, path), without_nyquist(targets, path), atol=1e-5)


@pytest.mark.parametrize(("gain", "band_norm"), [(0.25, "dataset"), (3.0, "dataset"), (0.25, "chunk")])
def test_gain_leaves_the_tensors_and_scales_the_decoded_sound(gain, band_norm):
    path = dataclasses.replace(SMALL, band_norm=band_norm)
    mixture, targets, x = noise(1, 512, 2), noise(1, 1, 512, 2, seed=1), noise(1, 33, 8, 16, seed=2)
    condition, context = encode_mixture(mixture, stats_for(1), path)
    louder, louder_context = encode_mixture(gain * mixture, stats_for(1), path)
    np.testing.assert_allclose(louder, condition, atol=1e-5)
    np.testing.assert_allclose(
        encode_targets(gain * targets, louder_context, path), encode_targets(targets, context, path), atol=1e-4
    )
    np.testing.assert_allclose(decode(x, louder_context, path), gain * decode(x, context, path), rtol=1e-4, atol=1e-6)


def test_targets_are_scaled_by_the_mixtures_joint_peak():
    mixture = np.zeros((1, 512, 2), np.float32)
    mixture[0, 100, 1] = -0.8
    context = encode_mixture(mixture, stats_for(1), SMALL)[1]
    np.testing.assert_allclose(context.peak, [0.8], rtol=1e-6)
    halved = encode_mixture(mixture / 2, stats_for(1), SMALL)[1]
    targets = noise(1, 1, 512, 2)
    expected = 2**0.667 * encode_targets(targets, context, SMALL)
    np.testing.assert_allclose(encode_targets(targets, halved, SMALL), expected, rtol=1e-4, atol=1e-4)


def test_without_peak_norm_a_gain_shows():
    path = dataclasses.replace(SMALL, peak_norm=False)
    mixture = noise(1, 512, 2)
    quiet, loud = (encode_mixture(gain * mixture, stats_for(1), path)[0] for gain in (np.float32(1), np.float32(2)))
    np.testing.assert_allclose(loud, 2**0.667 * quiet, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("side", "frequency_bin"), [(0, 4), (1, 4), (0, 20), (1, 30)])
def test_condition_channels_are_band_then_side_then_real_and_imaginary(side, frequency_bin):
    mixture = np.zeros((1, SMALL.chunk_samples, 2), np.float32)
    mixture[0, :, side] = tone(SMALL, frequency_bin)
    condition = np.asarray(encode_mixture(mixture, stats_for(1), SMALL)[0])
    band, place = divmod(frequency_bin, 8)
    peak = np.unravel_index(np.abs(condition[0, 16]).argmax(), condition.shape[2:])
    assert peak == (place, band * 4 + side * 2)
    # Frame 16 starts a whole number of periods after the first sample: a cosine is real there, a sine -i.
    assert condition[0, 16, place, band * 4 + side * 2] > 0
    mixture[0, :, side] = tone(SMALL, frequency_bin, -np.pi / 2)
    sine = np.asarray(encode_mixture(mixture, stats_for(1), SMALL)[0])[0, 16, place, band * 4 + side * 2 :][:2]
    assert abs(sine[0]) < 1e-2 * abs(sine[1]) and sine[1] < 0


def test_target_channels_are_target_then_band_then_side():
    targets = np.zeros((1, 3, SMALL.chunk_samples, 2), np.float32)
    targets[0, 1, :, 1] = tone(SMALL, 20)
    context = encode_mixture(noise(1, SMALL.chunk_samples, 2), stats_for(3), SMALL)[1]
    x = np.asarray(encode_targets(targets, context, SMALL))[0, 16]
    assert np.unravel_index(np.abs(x).argmax(), x.shape) == (20 % 8, 16 + 2 * 4 + 2)
    others = np.delete(x, np.s_[16:32], axis=1)
    np.testing.assert_array_equal(others, np.zeros_like(others))


@pytest.mark.parametrize("band_norm", representation.BAND_NORMS)
def test_a_silent_mixture_separates_to_exact_zeros(band_norm):
    path = dataclasses.replace(SMALL, band_norm=band_norm)
    mixture = np.stack([np.zeros((512, 2)), noise(512, 2), 0.9e-4 * np.ones((512, 2)), 1.1e-4 * np.ones((512, 2))])
    condition, context = encode_mixture(mixture.astype(np.float32), stats_for(1), path)
    np.testing.assert_array_equal(context.silent, [True, False, True, False])
    np.testing.assert_array_equal(condition[0], np.zeros((33, 8, 16)))
    assert np.isfinite(condition).all()
    audio = np.asarray(decode(noise(4, 33, 8, 16), context, path))
    np.testing.assert_array_equal(audio[[0, 2]], np.zeros((2, 1, 512, 2)))
    assert np.isfinite(audio).all() and np.abs(audio[1]).max() > 0 and np.abs(audio[3]).max() > 0


def test_gradients_at_silence_are_finite():
    def total(mixture, targets, x):
        condition, context = representation.encode_mixture(mixture, stats_for(1), SMALL)
        encoded = representation.encode_targets(targets, context, SMALL)
        return condition.sum() + encoded.sum() + representation.decode(x, context, SMALL).sum()

    gradients = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(
        jnp.zeros((1, 512, 2)), jnp.zeros((1, 1, 512, 2)), jnp.zeros((1, 33, 8, 16))
    )
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.abs(gradients[1]).max() > 0


@pytest.mark.parametrize("alpha", [1.0, 0.667, 0.5])
def test_compress_raises_the_modulus_and_keeps_the_phase(alpha):
    rng = np.random.default_rng(0)
    z = (rng.standard_normal(100) + 1j * rng.standard_normal(100)) * 10.0 ** rng.uniform(-3, 3, 100)
    z = np.append(z, 0).astype(np.complex64)
    expected = 0.3 * np.abs(z) ** alpha * np.exp(1j * np.angle(z))
    compressed = representation.compress(z, alpha, 0.3, 1e-12)
    np.testing.assert_allclose(compressed, expected, rtol=1e-5)
    np.testing.assert_allclose(representation.expand(expected, alpha, 0.3, 1e-12), z, rtol=1e-5)


def test_measured_statistics_bring_every_band_to_sigma_data():
    mixture = noise(16, 512, 2).cumsum(axis=1)  # brown noise: the top band is far quieter
    targets = np.stack([0.3 * mixture[::-1], 0.1 * noise(16, 512, 2, seed=1)], axis=1)
    moments = frame_moments(mixture, targets, SMALL)
    std = np.sqrt(np.mean(moments.variance + moments.mean**2, axis=(0, 2)))
    stats = BandStats(std[0], std[1:])
    assert stats.mixture.shape == (4,) and stats.targets.shape == (2, 4)
    assert stats.mixture[0] > 2 * stats.mixture[3]
    condition, context = encode_mixture(mixture, stats, SMALL)
    x = encode_targets(targets, context, SMALL)
    np.testing.assert_allclose(np.asarray(condition).reshape(-1, 4, 4).std(axis=(0, 2)), [0.5] * 4, rtol=0.02)
    np.testing.assert_allclose(np.asarray(x).reshape(-1, 2, 4, 4).std(axis=(0, 3)), [[0.5] * 4] * 2, rtol=0.02)


@pytest.mark.parametrize("peak_norm", [True, False])
def test_levels_are_relative_to_the_mixtures_peak(peak_norm):
    mixture = np.zeros((2, 512, 2), np.float32)
    mixture[0, 100] = 0.5
    mixture[1, 100] = 0.5e-4
    wave = tone(SMALL, 5)[:, None] * np.float32([0.2, 0])
    wave[256:] = 0
    path = dataclasses.replace(SMALL, peak_norm=peak_norm)
    moments = frame_moments(mixture, np.stack([wave[None]] * 2), path)
    np.testing.assert_array_equal(moments.silent, [False, True])
    np.testing.assert_allclose(moments.level[0, 1, 1:14], 0.2 / 2 / 0.5, rtol=1e-3)  # one side of two
    np.testing.assert_allclose(moments.level[0, 1, 18:], 0, atol=1e-6)


def test_chunk_norm_brings_every_band_of_every_chunk_to_sigma_data():
    path = dataclasses.replace(SMALL, band_norm="chunk")
    mixture = np.concatenate([noise(1, 512, 2), noise(1, 512, 2).cumsum(axis=1)])
    condition = np.asarray(encode_mixture(mixture, stats_for(1), path)[0])
    rms = np.sqrt((condition.reshape(2, -1, 4, 4) ** 2).mean(axis=(1, 3)))
    np.testing.assert_allclose(rms, np.full((2, 4), 0.5), rtol=1e-3)


def test_without_band_norm_one_constant_scales_all_bands():
    mixture = noise(1, 512, 2)
    condition = {}
    for kind in ("dataset", "none"):
        path = dataclasses.replace(SMALL, band_norm=kind)
        condition[kind] = np.asarray(encode_mixture(mixture, stats_for(1), path)[0]).reshape(33, 8, 4, 4)
    ratio = (STATS.mixture / np.sqrt(np.mean(STATS.mixture**2)))[:, None]
    np.testing.assert_allclose(condition["none"], ratio * condition["dataset"], rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hop_length": 24}, "n_fft 64 .*hop_length 24"),
        ({"hop_length": 64}, "n_fft 64 .*hop_length 64"),
        ({"num_frames": 3}, "num_frames 3 gives 32 samples.* 32"),
        ({"num_bands": 5}, "num_bands 5 does not divide 32"),
        ({"num_channels": 3}, "num_channels is 3"),
        ({"band_norm": "song"}, "band_norm 'song' is none of .*dataset"),
    ],
)
def test_bad_settings_name_their_numbers(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **changes)
