import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from diffvs_jax.errors import InputError
from diffvs_jax.model.layers import NoiseEmbedding, ResBlock, conv, group_norm
from diffvs_jax.model.roformer import DualPathRoFormer
from tests.model.networks import C_NOISE, FLAT, NANO, network
from tests.model.oracles import normal


@pytest.fixture(scope="module")
def x():
    return normal(2, 7, 8, 6)


def shapes(x, **changes):
    return jax.eval_shape(network(**changes).init, jax.random.key(0), x, C_NOISE)["params"]


@pytest.fixture(scope="module")
def params(randomise, x):
    return randomise(shapes(x, **FLAT))


@pytest.fixture(scope="module")
def solved(params, x):
    """Output and parameter gradient of the smallest network."""

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def total(params):
        out = network(**FLAT).apply({"params": params}, x, C_NOISE)
        return jnp.sum(jnp.sin(out)), out

    gradient, out = total(params)
    return out, gradient


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


def test_every_parameter_matters(solved):
    for path, leaf in jax.tree_util.tree_leaves_with_path(solved[1]):
        assert np.abs(leaf).max() > 1e-6, jax.tree_util.keystr(path)


def test_bfloat16_computes_nearly_the_same(solved, params, x):
    exact = np.asarray(solved[0])
    out = jax.jit(network(dtype="bfloat16", **FLAT).apply)({"params": params}, x, C_NOISE)
    error = np.linalg.norm(out - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.05


def test_a_stem_of_size_one_mixes_no_neighbours(x):
    """Both the first and the last convolution; those of blocks stay as they are."""
    three, one = shapes(x), shapes(x, stem_size=1)
    changed = {name for name in three if jax.tree.leaves(three[name]) != jax.tree.leaves(one[name])}
    assert changed == {"stem", "head"}
    assert one["stem"]["kernel"].shape == (1, 1, 6, 8) and one["head"]["kernel"].shape == (1, 1, 8, 4)
    assert three["stem"]["kernel"].shape == (3, 3, 6, 8) and three["head"]["kernel"].shape == (3, 3, 8, 4)


def test_pixel_attention_takes_the_place_of_roformers(x):
    dual, pixel = shapes(x), shapes(x, attention="pixel")
    assert {name for name, block in dual.items() if "roformer" in block} == {
        name for name, block in pixel.items() if "pixels" in block
    }
    assert not [name for name, block in pixel.items() if "roformer" in block]


def test_the_embedding_of_the_noise_level_is_the_settings_own(params, x):
    """Parameters fit either; the output tells them and their scales apart."""

    @jax.jit
    def outputs(params):
        kinds = ({}, {"embedding": "fourier"}, {"embedding": "fourier", "fourier_scale": 1.0})
        return [network(**FLAT, **changes).apply({"params": params}, x, C_NOISE) for changes in kinds]

    positional, fourier, slow = outputs(params)
    assert min(np.abs(a - b).max() for a, b in ((positional, fourier), (fourier, slow), (positional, slow))) > 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 10}, "channels is 10; .* multiple of 4"),
        ({"channels": 0}, "channels is 0"),
        ({"head_dim": 5}, "head_dim is 5"),
        ({"attention_levels": (0, 2)}, r"attention_levels \(0, 2\) must lie in 0\.\.1"),
        ({"attention": "flash"}, r"model.attention 'flash' is none of \('dual_path', 'pixel'\)"),
        ({"attention_backend": "triton"}, r"attention_backend 'triton' is none of \('auto', 'xla', 'cudnn'\)"),
        ({"resampling": "time"}, r"resampling 'time' is none of \('frequency', 'both'\)"),
        ({"embedding": "learned"}, r"embedding 'learned' is none of \('positional', 'fourier'\)"),
        ({"stem_size": 2}, "stem_size is 2; it must be odd"),
        ({"remat": "all"}, r"remat 'all' is none of \('none', 'selective', 'block'\)"),
        ({"dtype": "float16"}, r"dtype 'float16' is none of \('auto', 'float32', 'bfloat16'\)"),
    ],
)
def test_bad_settings_name_their_values(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(NANO, **changes)


def test_widths_that_group_norm_cannot_split_are_refused(x):
    with pytest.raises(InputError, match="32 groups do not divide a layer of 132 channels"):
        shapes(x, channels=132)
