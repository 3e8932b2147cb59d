import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.model import layers

F32 = jnp.dtype("float32")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def group_norm(x, scale, bias, groups):
    """Wu & He 2018, over time, frequency and consecutive channels."""
    split = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)
    mean, var = split.mean(axis=(1, 3), keepdims=True), split.var(axis=(1, 3), keepdims=True)
    return ((split - mean) / np.sqrt(var + 1e-6)).reshape(x.shape) * scale + bias


def silu(x):
    return x / (1 + np.exp(-x))


def conv(x, layer):
    """Zero-padded correlation, one tap at a time."""
    kernel = layer["kernel"]
    size = kernel.shape[0]
    padded = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    taps = [padded[:, i : i + x.shape[1], j : j + x.shape[2]] @ kernel[i, j] for i in range(size) for j in range(size)]
    return sum(taps) + layer["bias"]


@pytest.mark.parametrize(("channels", "groups"), [(4, 1), (12, 3), (128, 32), (256, 32)])
def test_group_norm_has_a_quarter_of_the_channels_as_groups_and_32_at_most(channels, groups):
    x = normal(2, 3, 4, channels) * np.linspace(0.1, 3, channels, dtype=np.float32) + 1
    params = {"scale": normal(channels, seed=1), "bias": normal(channels, seed=2)}
    got = jax.jit(layers.group_norm(channels, F32).apply)({"params": params}, x)
    np.testing.assert_allclose(got, group_norm(x, **params, groups=groups), atol=1e-4)


@pytest.mark.parametrize(("channels", "groups"), [(260, 32), (6 * 4 + 3, 6)])
def test_group_norm_refuses_widths_its_groups_do_not_divide(channels, groups):
    with pytest.raises(InputError, match=f"{groups} groups do not divide a layer of {channels} channels"):
        layers.group_norm(channels, F32)


def test_resampling_touches_frequency_alone():
    x = normal(2, 3, 8, 5)
    down, up = layers.downsample(x), layers.upsample(x)
    np.testing.assert_allclose(down, (x[:, :, 0::2] + x[:, :, 1::2]) / 2, atol=1e-6)
    assert up.shape == (2, 3, 16, 5)
    np.testing.assert_array_equal(up[:, :, 0::2], x)
    np.testing.assert_array_equal(up[:, :, 1::2], x)


@pytest.mark.parametrize("scale", [1.0, layers.NEAR_ZERO])
def test_convolutions_start_xavier_uniform_with_the_kernel_area_in_both_fans(scale):
    params = layers.conv(16, 3, F32, scale).init(jax.random.key(0), normal(1, 4, 4, 8))["params"]
    bound = scale * np.sqrt(6 / (9 * 8 + 9 * 16))
    largest = np.abs(params["kernel"]).max()
    assert 0.97 * bound < largest <= bound
    np.testing.assert_allclose(np.std(params["kernel"]), bound / np.sqrt(3), rtol=0.05)
    np.testing.assert_array_equal(params["bias"], np.zeros(16))


def test_noise_embedding_is_sinusoids_and_two_silu_layers(randomise):
    module, c_noise = layers.NoiseEmbedding(8, F32), np.float32([-1.5, 0, 1.1])
    params = randomise(jax.eval_shape(module.init, jax.random.key(0), c_noise)["params"])
    angles = c_noise[:, None].astype(float) * np.array([1, 10_000 ** (-1 / 3), 10_000 ** (-2 / 3), 1e-4])
    hidden = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    for name in ("linear0", "linear1"):
        hidden = silu(hidden @ params[name]["kernel"] + params[name]["bias"])
    got = jax.jit(module.apply)({"params": params}, c_noise)
    assert got.shape == (3, 32)
    np.testing.assert_allclose(got, hidden, atol=1e-5)


@pytest.mark.parametrize("resample", [None, "down", "up"])
@pytest.mark.parametrize("channels", [8, 16])
def test_res_block_is_ddpmpps(randomise, channels, resample):
    x, embedding = normal(2, 3, 4, 8), normal(2, 6, seed=1)
    module = layers.ResBlock(channels, F32, resample=resample)
    params = randomise(jax.eval_shape(lambda: module.init(jax.random.key(0), x, embedding, False))["params"])
    change = {
        None: lambda h: h,
        "down": lambda h: (h[:, :, ::2] + h[:, :, 1::2]) / 2,
        "up": lambda h: h.repeat(2, axis=2),
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
