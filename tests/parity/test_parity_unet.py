"""Our U-Net, led back to DDPM++, against EDM's SongUNet."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.model.layers import SKIP_SCALE, positional_embedding
from diffvs_jax.model.unet import _Block
from tests.parity.golden import assert_near, each
from tests.parity.networks import channels_last, learned, settings, unet
from tests.parity.reference_names import block_layers, ours


@functools.cache
def network(golden):
    module, params = unet(golden, golden.facts["config"])
    return params, functools.partial(jax.jit(module.apply), {"params": params})


@each("golden", "edm_songunet_unet_*")
def test_the_network_has_as_many_parameters(golden):
    params, _ = network(golden)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == golden.facts["n_parameters"]
    assert params["noise"]["linear1"]["bias"].shape == (golden.facts["emb_channels"],)


@each("golden index", "edm_songunet_unet_*", lambda golden: [(index,) for index in golden.suffixes("x")])
def test_the_whole_network(golden, index):
    _, apply = network(golden)
    got = apply(channels_last(golden[f"x{index}"]), golden[f"noise_labels{index}"])
    assert_near(got, channels_last(golden[f"y{index}"]), golden.tolerance(r"<= NUMBER \* max\(1, max\|y\|\)"))


def block_cases(golden):
    """Every input of every case: "x", and "x_small", whose variance is near GroupNorm's epsilon."""
    return [(case, suffix) for case in golden.facts["config"] for suffix in golden.suffixes(f"{case}/x")]


@each("golden case suffix", "edm_songunet_blocks*", block_cases)
def test_a_block(golden, case, suffix):
    config = golden.facts["config"][case]
    expected = {"resample_filter": [1, 1], "resample_proj": True, "adaptive_scale": False}
    assert {key: config[key] for key in expected} == expected and config["skip_scale"] == pytest.approx(SKIP_SCALE)
    heads = config["num_heads"]
    resample = next((way for way in ("down", "up") if config.get(way)), None)
    block = _Block(settings(4, (1,), 0, (), heads), config["out_channels"], resample, config.get("attention", False))
    apply = jax.jit(functools.partial(block.apply, train=False))

    x, emb = channels_last(golden[f"{case}/x{suffix}"]), golden[f"{case}/emb"]
    shapes = jax.eval_shape(functools.partial(block.init, train=False), jax.random.key(0), x, emb)["params"]
    params = ours(learned(golden.under(f"{case}/param/")), block_layers(heads), shapes)
    got = apply({"params": params}, x, emb)
    np.testing.assert_allclose(
        got, channels_last(golden[f"{case}/y{suffix}"]), rtol=0, atol=golden.tolerance(r"<= NUMBER")
    )


def embeddings(golden):
    """DDPM++ has its lowest frequency at exactly 1 / max_positions; without "endpoint" is another network's."""
    return [(case["num_channels"],) for case in golden.facts["cases"] if case["endpoint"]]


@each("golden channels", "edm_songunet_posemb*", embeddings)
def test_the_noise_embedding(golden, channels):
    x = golden["x"]
    near, most = golden.numbers("tolerance", r"NUMBER abs for \|x\| <= NUMBER")
    far = golden.tolerance("up to NUMBER")
    cos, sin = np.split(golden[f"c{channels}_ep1/y_exact"], 2, axis=-1)  # SongUNet swaps them, as we have them
    expected = np.concatenate([sin, cos], axis=-1)
    got = np.asarray(positional_embedding(jnp.asarray(x), channels))
    for rows, atol in ((np.abs(x) <= most, near), (np.abs(x) > most, far)):
        np.testing.assert_allclose(got[rows], expected[rows], rtol=0, atol=atol)
