import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.diffusion import edm
from diffvs_jax.model.denoiser import abstract_params, build_network, make_denoiser
from diffvs_jax.training.gradient import encode_stems, make_gradient, sigma_edges, split_stems
from tests.helpers import random_params
from tests.training.conftest import fixed_batch, make_mesh, small_config

STATS = BandStats(np.float32([1.0, 0.5]), np.float32([[0.8, 0.3]]))


@pytest.fixture(scope="module")
def parted():
    """Gradient and loss of one batch by the number of parts, and what they were computed of."""
    config, found = small_config(), {}
    params, stems, key = random_params(config), fixed_batch(config), jax.random.key(3)
    one = NamedSharding(make_mesh(1, 1), PartitionSpec())
    shardings = jax.tree.map(lambda _: one, abstract_params(config))
    for parts in (1, 2, 4):
        config.train.accumulate_steps = parts
        found[parts] = jax.device_get(jax.jit(make_gradient(config, shardings))(params, stems, STATS, key))
    return found, (config, params, stems, key)


def test_mixture_is_the_sum_and_the_last_stem_is_no_target():
    stems = np.random.default_rng(0).standard_normal((2, 3, 50, 2)).astype(np.float32)
    mixture, targets = split_stems(jax.numpy.asarray(stems))
    np.testing.assert_allclose(mixture, stems[:, 0] + stems[:, 1] + stems[:, 2], atol=1e-6)
    np.testing.assert_array_equal(targets, stems[:, :2])


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_add_up_to_the_gradient_of_the_batch(parted, parts):
    whole, split = parted[0][1], parted[0][parts]
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(split), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * np.abs(a).max())


def test_bands_and_noise_levels_are_parts_of_edms_loss(parted):
    found, (config, params, stems, key) = parted
    loss = found[1][1]
    sigma_key, noise_key, _ = jax.random.split(key, 3)
    sigma = edm.draw_sigma(sigma_key, len(stems), config.edm.p_mean, config.edm.p_std)
    condition, clean = encode_stems(stems, STATS, SignalPath.from_config(config))
    noise = np.stack([jax.random.normal(k, clean.shape[1:]) for k in jax.random.split(noise_key, len(stems))])
    denoise = jax.jit(make_denoiser(build_network(config), params, condition, 0.5, None))
    x = clean + np.reshape(sigma, (-1, 1, 1, 1)) * noise
    weight = np.reshape(edm.loss_weight(sigma, 0.5), (-1, 1, 1, 1))
    clean = np.asarray(clean)
    error = np.square(np.asarray(denoise(x, sigma), np.float64) - clean) * np.asarray(weight)

    assert loss.loss == pytest.approx(error.mean(), rel=1e-5)
    channels = error.mean(axis=(0, 1, 2))  # two bands of two audio channels, real and imaginary
    np.testing.assert_allclose(loss.by_band, [[channels[:4].mean(), channels[4:].mean()]], rtol=1e-5)
    bins = np.digitize(sigma, sigma_edges(config))
    by_example = error.mean(axis=(1, 2, 3))
    for number in range(8):
        inside = bins == number
        assert loss.sigma_share[number] == pytest.approx(inside.mean())
        assert loss.by_sigma[number] == pytest.approx((by_example * inside).mean(), rel=1e-5)
    assert loss.target_mean == pytest.approx(np.mean(clean), rel=1e-4, abs=1e-7)
    assert loss.target_square == pytest.approx(np.mean(np.square(clean)), rel=1e-5)


def test_noise_levels_fall_into_all_bins_equally_often(nano_config):
    sigma = edm.draw_sigma(jax.random.key(0), 80_000, nano_config.edm.p_mean, nano_config.edm.p_std)
    counts = np.bincount(np.digitize(sigma, sigma_edges(nano_config)), minlength=8)
    np.testing.assert_allclose(counts, 10_000, rtol=0.04)
