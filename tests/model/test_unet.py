import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.model.unet import UNet, UNetSettings

NANO = UNetSettings(
    channels=8,
    channel_mult=(1, 2),
    num_blocks=1,
    attention_levels=(1,),
    num_heads=2,
    head_dim=4,
    ffn_multiplier=2,
    dropout=0.0,
    attention="auto",
    dtype="float32",
    remat="none",
)
C_NOISE = np.float32([-1.0, 0.3])


def network(**changes):
    return UNet(dataclasses.replace(NANO, **changes), out_channels=4)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((2, 7, 8, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def params(randomise, x):
    return randomise(jax.eval_shape(network().init, jax.random.key(0), x, C_NOISE)["params"])


@pytest.fixture(scope="module")
def gradients(params, x):
    """Output and parameter gradient of the network, by its remat setting."""

    def run(remat):
        def total(params):
            out = network(remat=remat).apply({"params": params}, x, C_NOISE)
            return jnp.sum(jnp.sin(out)), out

        gradient, out = jax.jit(jax.grad(total, has_aux=True))(params)
        return out, gradient

    return {remat: run(remat) for remat in ("none", "block")}


def test_every_level_keeps_the_frames_and_halves_the_bins(params, x):
    def shapes():
        options = {"capture_intermediates": True, "mutable": ["intermediates"]}
        return network().apply({"params": params}, x, C_NOISE, **options)

    out, state = jax.eval_shape(shapes)
    assert out.shape == (2, 7, 8, 4)
    blocks = {name: value["__call__"][0].shape for name, value in state["intermediates"].items() if "_" in name[:-1]}
    expected = {"encoder0_0": (8, 8), "encoder1_down": (4, 8), "encoder1_0": (4, 16), "middle_0": (4, 16)}
    expected |= {"middle_1": (4, 16), "decoder1_0": (4, 16), "decoder1_1": (4, 16), "decoder0_up": (8, 16)}
    expected |= {"decoder0_0": (8, 8), "decoder0_1": (8, 8)}
    got = {name: shape for name, shape in blocks.items() if name.startswith(("encoder", "middle", "decoder"))}
    assert got == {name: (2, 7, *shape) for name, shape in expected.items()}


def test_roformers_sit_at_their_levels_and_in_the_first_bottleneck_block(params):
    assert {name for name, block in params.items() if "roformer" in block} == {"encoder1_0", "middle_0", "decoder1_1"}


def test_the_bottleneck_keeps_its_roformer_when_no_level_has_one(x):
    params = jax.eval_shape(network(attention_levels=()).init, jax.random.key(0), x, C_NOISE)["params"]
    assert [name for name, block in params.items() if "roformer" in block] == ["middle_0"]


def test_output_of_a_fresh_network_is_nearly_zero(x):
    def fresh(key):
        return network().init_with_output(key, x, C_NOISE)[0]

    out = np.abs(jax.jit(fresh)(jax.random.key(0)))
    assert 0 < out.max() < 1e-3


def test_every_parameter_matters(gradients):
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients["none"][1]):
        assert np.abs(leaf).max() > 1e-6, jax.tree_util.keystr(path)


def test_remat_changes_neither_output_nor_gradient(gradients):
    (out, gradient), (out_block, gradient_block) = gradients["none"], gradients["block"]
    np.testing.assert_allclose(out_block, out, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), gradient_block, gradient)


def test_bfloat16_computes_nearly_the_same_and_returns_float32(gradients, params, x):
    exact = np.asarray(gradients["none"][0])
    out = jax.jit(network(dtype="bfloat16").apply)({"params": params}, x, C_NOISE)
    assert out.dtype == jnp.float32
    error = np.linalg.norm(out - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 10}, "channels is 10; .* multiple of 4"),
        ({"channels": 0}, "channels is 0"),
        ({"head_dim": 5}, "head_dim is 5"),
        ({"attention_levels": (0, 2)}, r"attention_levels \(0, 2\) must lie in 0\.\.1"),
        ({"attention": "flash"}, "attention 'flash' is none of"),
        ({"remat": "all"}, "remat 'all' is none of"),
        ({"dtype": "float16"}, "dtype 'float16' is none of"),
    ],
)
def test_bad_settings_name_their_values(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(NANO, **changes)


def test_bins_must_halve_at_every_level():
    settings = dataclasses.replace(NANO, channel_mult=(1, 1, 1))
    settings.check_bins(12, num_bands=4)
    with pytest.raises(InputError, match=r"40 frequency bins must divide by .* 4 x 4"):
        settings.check_bins(10, num_bands=4)


def test_widths_that_group_norm_cannot_split_are_refused(x):
    wide = network(channels=132)  # 132 + 264 channels meet in the decoder
    with pytest.raises(InputError, match="32 groups do not divide a layer of 132 channels"):
        jax.eval_shape(wide.init, jax.random.key(0), x, C_NOISE)
