import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.model import layers
from tests.model.oracles import conv, group_norm, normal, silu

F32 = jnp.dtype("float32")
FACTORS = {"frequency": (1, 2), "both": (2, 2)}  # of time and frequency


@pytest.mark.parametrize("scale", [1.0, layers.NEAR_ZERO])
def test_convolutions_start_xavier_uniform_with_the_kernel_area_in_both_fans(scale):
    params = layers.conv(16, 3, F32, scale).init(jax.random.key(0), normal(1, 4, 4, 8))["params"]
    bound = scale * np.sqrt(6 / (9 * 8 + 9 * 16))
    largest = np.abs(params["kernel"]).max()
    assert 0.97 * bound < largest <= bound
    np.testing.assert_allclose(np.std(params["kernel"]), bound / np.sqrt(3), rtol=0.05)
    np.testing.assert_array_equal(params["bias"], np.zeros(16))


@pytest.mark.parametrize("kind", ["positional", "fourier"])
def test_noise_embedding_is_sinusoids_and_two_silu_layers(randomise, kind):
    module, c_noise = layers.NoiseEmbedding(8, F32, kind, 0.5), np.float32([-1.5, 0, 1.1])
    params = randomise(jax.eval_shape(module.init, jax.random.key(0), c_noise)["params"])
    angles = c_noise[:, None].astype(float) * np.array([1, 10_000 ** (-1 / 3), 10_000 ** (-2 / 3), 1e-4])
    hidden = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    if kind == "fourier":
        hidden = np.asarray(layers.fourier_embedding(jnp.asarray(c_noise), 8, 0.5))
    assert {name: sorted(layer) for name, layer in params.items()} == {
        "linear0": ["bias", "kernel"],
        "linear1": ["bias", "kernel"],
    }
    for name in ("linear0", "linear1"):
        hidden = silu(hidden @ params[name]["kernel"] + params[name]["bias"])
    got = jax.jit(module.apply)({"params": params}, c_noise)
    assert got.shape == (3, 32)
    np.testing.assert_allclose(got, hidden, atol=1e-5)


def test_fourier_features_turn_at_fixed_normal_frequencies():
    c_noise = jnp.linspace(-1.5, 1.1, 5)
    features = layers.fourier_embedding(c_noise, 2000, 4.0)
    sines, cosines = np.split(np.asarray(features), 2, axis=-1)
    np.testing.assert_allclose(sines**2 + cosines**2, np.ones((5, 1000)), atol=1e-5)
    np.testing.assert_array_equal(features, layers.fourier_embedding(c_noise, 2000, 4.0))
    np.testing.assert_allclose(features, layers.fourier_embedding(2 * c_noise, 2000, 2.0), atol=1e-3)
    tiny = layers.fourier_embedding(jnp.float32([1e-4]), 2000, 4.0)[0, :1000]
    frequencies = np.arcsin(tiny) / 1e-4 / (2 * np.pi)  # in turns per unit of c_noise
    np.testing.assert_allclose([frequencies.mean() / 4, frequencies.std() / 4], [0, 1], atol=0.1)


@pytest.mark.parametrize(("resample", "resampling"), [(None, "both"), *itertools.product(("down", "up"), FACTORS)])
@pytest.mark.parametrize("channels", [8, 16])
def test_res_block_is_ddpmpps(randomise, channels, resample, resampling):
    x, embedding = normal(2, 4, 6, 8), normal(2, 6, seed=1)
    module = layers.ResBlock(channels, F32, resample=resample, resampling=resampling)
    params = randomise(jax.eval_shape(lambda: module.init(jax.random.key(0), x, embedding, False))["params"])
    t, f = FACTORS[resampling]
    change = {
        None: lambda h: h,
        "down": lambda h: sum(h[:, i::t, j::f] for i in range(t) for j in range(f)) / (t * f),
        "up": lambda h: h.repeat(t, axis=1).repeat(f, axis=2),
    }[resample]
    h = conv(change(silu(group_norm(x, **params["norm0"], groups=2))), params["conv0"])
    h = h + (embedding @ params["shift"]["kernel"] + params["shift"]["bias"])[:, None, None]
    h = conv(silu(group_norm(h, **params["norm1"], groups=channels // 4)), params["conv1"])
    skip = change(x)
    assert ("skip" in params) == (channels != 8 or resample is not None)
    if "skip" in params:
        skip = conv(skip, params["skip"])
    got = jax.jit(module.apply, static_argnums=3)({"params": params}, x, embedding, False)
    np.testing.assert_allclose(got, (h + skip) / np.sqrt(2), atol=2e-5)


def test_dropout_acts_in_training_alone(randomise):
    x, embedding = normal(1, 3, 4, 8), normal(1, 6, seed=1)
    module = layers.ResBlock(8, F32, dropout=0.5)
    params = randomise(jax.eval_shape(lambda: module.init(jax.random.key(0), x, embedding, False))["params"])

    @jax.jit
    def run(key):
        variables, rngs = {"params": params}, {"dropout": key}
        calm = layers.ResBlock(8, F32).apply(variables, x, embedding, True)
        return (
            calm,
            module.apply(variables, x, embedding, False),
            module.apply(variables, x, embedding, True, rngs=rngs),
        )

    calm, evaluated, dropped = run(jax.random.key(0))
    np.testing.assert_allclose(evaluated, calm, atol=1e-6)
    assert np.abs(dropped - calm).max() > 0.1
    assert np.abs(run(jax.random.key(1))[2] - dropped).max() > 0.1
