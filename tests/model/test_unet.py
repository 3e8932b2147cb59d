import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from diffvs_jax.errors import InputError
from diffvs_jax.model.layers import NoiseEmbedding, ResBlock, conv, group_norm
from diffvs_jax.model.roformer import DualPathRoFormer
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
FLAT = {"channel_mult": (1,), "num_blocks": 0, "attention_levels": ()}  # three blocks: compiles in a third of the time
C_NOISE = np.float32([-1.0, 0.3])


def network(**changes):
    return UNet(dataclasses.replace(NANO, **changes), out_channels=4)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((2, 7, 8, 6)).astype(np.float32)


def shapes(x, **changes):
    return jax.eval_shape(network(**changes).init, jax.random.key(0), x, C_NOISE)["params"]


@pytest.fixture(scope="module")
def params(randomise, x):
    return randomise(shapes(x, **FLAT))


@pytest.fixture(scope="module")
def gradients(params, x):
    """Output and parameter gradient of the smallest network, by its remat setting."""

    def run(remat):
        def total(params):
            out = network(remat=remat, **FLAT).apply({"params": params}, x, C_NOISE)
            return jnp.sum(jnp.sin(out)), out

        gradient, out = jax.jit(jax.grad(total, has_aux=True))(params)
        return out, gradient

    return {remat: run(remat) for remat in ("none", "block")}


def test_every_level_keeps_the_frames_and_halves_the_bins(x):
    def run():
        keep = {"capture_intermediates": True, "mutable": ["params", "intermediates"]}
        return network().init_with_output(jax.random.key(0), x, C_NOISE, **keep)

    out, state = jax.eval_shape(run)
    assert out.shape == (2, 7, 8, 4)
    expected = {
        "encoder0_0": (8, 8),
        "encoder1_down": (4, 8),
        "encoder1_0": (4, 16),
        "middle_0": (4, 16),
        "middle_1": (4, 16),
        "decoder1_0": (4, 16),
        "decoder1_1": (4, 16),
        "decoder0_up": (8, 16),
        "decoder0_0": (8, 8),
        "decoder0_1": (8, 8),
    }
    blocks = {name for name in state["params"] if name.startswith(("encoder", "middle", "decoder"))}
    got = {name: state["intermediates"][name]["__call__"][0].shape for name in blocks}
    assert got == {name: (2, 7, *shape) for name, shape in expected.items()}


def test_roformers_sit_at_their_levels_and_in_the_first_bottleneck_block(x):
    def places(levels):
        return {name for name, block in shapes(x, attention_levels=levels).items() if "roformer" in block}

    assert places((1,)) == {"encoder1_0", "middle_0", "decoder1_1"}
    assert places((0,)) == {"encoder0_0", "middle_0", "decoder0_1"}
    assert places(()) == {"middle_0"}


def test_skips_are_taken_last_in_first_out(randomise, x):
    """The two-level network written out, block by block."""
    params = randomise(shapes(x))
    dtype = jnp.dtype("float32")

    @jax.jit
    def run(x):
        embedding = NoiseEmbedding(8, dtype).apply({"params": params["noise"]}, C_NOISE)

        def block(name, h, *skip, resample=None):
            width = params[name]["res"]["conv0"]["bias"].size
            h = jnp.concatenate([h, *skip], axis=-1)
            module = ResBlock(width, dtype, resample=resample)
            h = module.apply({"params": params[name]["res"]}, h, embedding, False)
            if "roformer" in params[name]:
                h = DualPathRoFormer(2, 4, 2, "xla", dtype).apply({"params": params[name]["roformer"]}, h)
            return h

        stem = conv(8, 3, dtype).apply({"params": params["stem"]}, x)
        top = block("encoder0_0", stem)
        down = block("encoder1_down", top, resample="down")
        bottom = block("encoder1_0", down)
        h = block("middle_1", block("middle_0", bottom))
        h = block("decoder1_1", block("decoder1_0", h, bottom), down)
        h = block("decoder0_up", h, resample="up")
        h = block("decoder0_1", block("decoder0_0", h, top), stem)
        h = nn.silu(group_norm(8, dtype).apply({"params": params["head_norm"]}, h))
        expected = conv(4, 3, dtype).apply({"params": params["head"]}, h)
        return network().apply({"params": params}, x, C_NOISE), expected

    got, expected = run(x)
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_every_parameter_matters(gradients):
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients["none"][1]):
        assert np.abs(leaf).max() > 1e-6, jax.tree_util.keystr(path)


def test_remat_changes_neither_output_nor_gradient(gradients):
    (out, gradient), (out_block, gradient_block) = gradients["none"], gradients["block"]
    np.testing.assert_allclose(out_block, out, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), gradient_block, gradient)


def test_bfloat16_computes_nearly_the_same_and_returns_float32(gradients, params, x):
    exact = np.asarray(gradients["none"][0])
    out = jax.jit(network(dtype="bfloat16", **FLAT).apply)({"params": params}, x, C_NOISE)
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
    with pytest.raises(InputError, match="32 groups do not divide a layer of 132 channels"):
        shapes(x, channels=132)
