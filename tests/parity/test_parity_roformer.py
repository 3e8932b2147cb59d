"""The parts of a RoFormer layer against BS-RoFormer's and rotary-embedding-torch's."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from diffvs_jax.model import roformer
from tests.parity.golden import assert_near, each
from tests.parity.reference_names import ATTENTION, FEED_FORWARD, LAYER, NORM, ours

DTYPE = jnp.dtype("float32")


def inputs(start):
    """Cases (name, index of an input) whose names start so."""
    return lambda golden: [
        (name, index)
        for name in dict.fromkeys(key.split("/")[0] for key in golden.arrays)
        for index in golden.suffixes(f"{name}/x")
        if name.startswith(start)
    ]


def tolerance(golden, case=None):
    """Of a case: wider for those that the tolerance names, at positions where the reference's angles lose digits."""
    if case and re.search(rf"{case}\b", golden.facts["tolerance"]):
        return golden.tolerance(rf"{case}\b.*?: NUMBER")
    return golden.tolerance(r"float32: NUMBER\*max\(1,max\|y\|\)")


def run(module, parameters, layers, x):
    """One of our modules on ``x``, with the reference's parameters."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    # A function of its own compiles anew, so it never meets what another test had put in a module's place.
    return np.asarray(jax.jit(lambda params: module.apply({"params": params}, x))(ours(parameters, layers, shapes)))


def attention(golden):
    config = golden.facts["config"]
    return roformer.Attention(config["heads"], config["dim_head"], "xla", DTYPE)


def feed_forward(golden):
    return roformer.FeedForward(golden.facts["config"]["ff_mult"], DTYPE)


def layer(golden):
    config = golden.facts["config"]
    return roformer.RoFormerLayer(config["heads"], config["dim_head"], config["ff_mult"], "xla", DTYPE)


def without_frequencies(parameters):
    """The learned parameters; a rotary embedding's frequencies must be ours."""
    learned = {name: values for name, values in parameters.items() if not name.endswith("rotary_embed.freqs")}
    for name in parameters.keys() - learned.keys():
        check_frequencies(parameters[name])
    return learned


def check_frequencies(expected):
    """Ours are the angles by which every pair (1, 0) turns at position 1."""
    turned = roformer.rotary(jnp.tile(jnp.float32([1, 0]), (2, 1, expected.size)))[1, 0]
    np.testing.assert_allclose(np.arctan2(turned[1::2], turned[0::2]), expected, rtol=1e-6)


@pytest.fixture
def exact_gelu(monkeypatch):
    """The reference's GELU, by the error function, in the place of ours, which is the tanh form on purpose.

    So that all else can be compared to the last digit; how far the two forms lie apart has a test of its own.
    """
    monkeypatch.setattr(nn, "gelu", functools.partial(jax.nn.gelu, approximate=False))


@each("golden case index", "roformer*", inputs("rmsnorm"))
def test_rms_norm(golden, case, index):
    x = golden[f"{case}/x{index}"]
    got = run(roformer.rms_norm(DTYPE, "norm"), golden.under(f"{case}/param/"), {"": ("", NORM)}, x)
    assert_near(got, golden[f"{case}/y{index}"], tolerance(golden))
    zero = ~x.any(axis=-1)
    np.testing.assert_array_equal(got[zero], np.zeros_like(got[zero]))


@each("golden case index", "roformer*", inputs("ff"))
def test_feed_forward(golden, case, index):
    got = run(feed_forward(golden), golden.under(f"{case}/param/"), FEED_FORWARD, golden[f"{case}/x{index}"])
    assert_near(got, golden[f"{case}/y{index}_tanh_gelu"], tolerance(golden))


@each("golden case index", "roformer*", inputs("ff"))
def test_feed_forward_with_the_references_gelu(golden, case, index, exact_gelu):
    got = run(feed_forward(golden), golden.under(f"{case}/param/"), FEED_FORWARD, golden[f"{case}/x{index}"])
    assert_near(got, golden[f"{case}/y{index}"], tolerance(golden))


@each("golden case index", "roformer*", inputs("ff"))
def test_our_gelu_hardly_changes_a_feed_forward(golden, case, index):
    """By no more than the largest distance of the two forms, times the weights that sum them up."""
    parameters = golden.under(f"{case}/param/")
    got = run(feed_forward(golden), parameters, FEED_FORWARD, golden[f"{case}/x{index}"])
    points = jnp.linspace(-8, 8, 10_001)
    distance = np.abs(nn.gelu(points) - jax.nn.gelu(points, approximate=False)).max()
    assert distance < 5e-4
    most = distance * np.abs(parameters["net.4.weight"]).sum(axis=1) + tolerance(golden)
    assert (np.abs(got - golden[f"{case}/y{index}"]) <= most).all()


@each("golden suffix", "roformer*", lambda golden: [(suffix,) for suffix in golden.suffixes("rope/y")])
def test_rotary(golden, suffix):
    check_frequencies(golden["rope/freqs"])
    offset = re.search(r"_offset(\d+)", suffix)
    before = int(offset[1]) if offset else 0  # positions: ours start at 0, so that many rows go in front
    t = golden["rope/t" + re.sub(r"_offset\d+", "", suffix)].swapaxes(1, 2)  # [B, heads, L, dim] to [B, L, heads, dim]
    padded = np.pad(t, [(0, 0), (before, 0), (0, 0), (0, 0)])
    got = roformer.rotary(jnp.asarray(padded))[:, before:]
    assert_near(got, golden[f"rope/y{suffix}"].swapaxes(1, 2), tolerance(golden, f"rope/y{suffix}"))


@each("golden case index", "roformer*", inputs("attn"))
def test_attention(golden, case, index, monkeypatch):
    parameters = golden.under(f"{case}/param/")
    if "rotary_embed.freqs" not in parameters:
        monkeypatch.setattr(roformer, "rotary", lambda x: x)
    got = run(attention(golden), without_frequencies(parameters), ATTENTION, golden[f"{case}/x{index}"])
    assert_near(got, golden[f"{case}/y{index}"], tolerance(golden, f"{case} case {index}"))


@each("golden case index", "roformer*", inputs("transformer"))
def test_transformer(golden, case, index, exact_gelu):
    """Layers in a row, and a last norm where the reference has one."""
    x = golden[f"{case}/x{index}"]
    parameters = without_frequencies(golden.under(f"{case}/param/"))
    for depth in itertools.count():
        start = f"layers.{depth}."
        mine = {name.removeprefix(start): values for name, values in parameters.items() if name.startswith(start)}
        if not mine:
            break
        x = run(layer(golden), mine, LAYER, x)
    last = {name: values for name, values in parameters.items() if not name.startswith("layers.")}
    if last:
        x = run(roformer.rms_norm(DTYPE, "norm"), last, {"norm": ("", NORM)}, x)
    assert_near(x, golden[f"{case}/y{index}"], tolerance(golden))
