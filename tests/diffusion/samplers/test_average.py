import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion.samplers import SamplerSettings, average, heun, sigma_grid
from tests.diffusion.problems import gaussian


def seeded(number):
    return jax.random.normal(jax.random.fold_in(jax.random.key(0), number), (3, 4))


@pytest.mark.parametrize("num_samples", [2, 5])
def test_it_is_the_mean_of_differently_seeded_samples_from_one_copy_of_the_program(num_samples):
    traces = []

    def sample(number):
        traces.append(number)
        return seeded(number)

    got = jax.jit(lambda: average(sample, num_samples))()
    samples = [seeded(number) for number in range(num_samples)]
    np.testing.assert_allclose(got, np.mean(samples, axis=0), atol=1e-6)
    assert len(traces) == 1
    assert traces[0].dtype == jnp.uint32 and traces[0].shape == ()


def test_one_sample_is_itself():
    np.testing.assert_array_equal(average(seeded, 1), seeded(jnp.uint32(0)))


def test_more_samples_come_nearer_to_the_posterior_mean():
    """Samples of a Gaussian posterior lie its variance away from its mean; their average, a share of that."""
    mean, variance = jnp.linspace(-1, 1, 20_000)[None], 0.04
    sigmas = jnp.asarray(sigma_grid(40, 0.002, 20, 5), jnp.float32)

    def sample(number):
        def draw(index):
            key = jax.random.fold_in(jax.random.key(0), number)
            return jax.random.normal(jax.random.fold_in(key, index), mean.shape)

        return heun(gaussian(variance, mean), draw, sigmas, SamplerSettings(unroll=False))

    errors = [float(jnp.mean(jnp.square(jax.jit(lambda n=n: average(sample, n))() - mean))) for n in (1, 8)]
    np.testing.assert_allclose(errors, [variance, variance / 8], rtol=0.05)
