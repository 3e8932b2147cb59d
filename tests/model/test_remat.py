"""What the backward pass computes anew, and that nobody can tell from its result."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.model.networks import C_NOISE, FLAT, network
from tests.model.oracles import equations, normal

X = normal(2, 7, 8, 6)


@pytest.fixture(scope="module")
def params(randomise):
    return randomise(jax.eval_shape(network(**FLAT).init, jax.random.key(0), X, C_NOISE)["params"])


def gradient(remat, **changes):
    def total(params):
        out = network(remat=remat, **FLAT, **changes).apply({"params": params}, X, C_NOISE)
        return jnp.sum(jnp.sin(out)), out

    return jax.grad(total, has_aux=True)


@pytest.fixture(scope="module")
def plain(params):
    return jax.jit(gradient("none"))(params)


@pytest.mark.parametrize("remat", ["selective", "block"])
def test_remat_changes_neither_output_nor_gradient(params, plain, remat):
    got, out = jax.jit(gradient(remat))(params)
    np.testing.assert_allclose(out, plain[1], atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), got, plain[0])


@pytest.fixture(scope="module", params=["dual_path", "pixel"])
def counts(request):
    """How often the gradient's program holds each primitive, by its remat setting; "dense" are products of no batch."""

    def count(remat):
        shapes = jax.eval_shape(network(attention=request.param, **FLAT).init, jax.random.key(0), X, C_NOISE)["params"]
        names = collections.Counter()
        for equation in equations(gradient(remat, attention=request.param), shapes):
            name = equation.primitive.name
            if name == "dot_general":
                name = "attention" if equation.params["dimension_numbers"][1][0] else "dense"
            names[name] += 1
        return names

    return {remat: count(remat) for remat in ("none", "selective", "block")}


def test_selective_repeats_no_convolution_and_no_dense_layer(counts):
    for product in ("conv_general_dilated", "dense"):
        assert counts["selective"][product] == counts["none"][product] > 0


def test_block_repeats_the_convolutions_that_its_backward_pass_reads(counts):
    # Three blocks' first convolutions; the second one's output is only read where attention follows it.
    assert counts["block"]["conv_general_dilated"] == counts["none"]["conv_general_dilated"] + 3 + 1
    assert counts["block"]["dense"] > counts["none"]["dense"]


@pytest.mark.parametrize("cheap", ["rsqrt", "logistic", "exp", "attention"])
def test_both_repeat_norms_activations_and_attention(counts, cheap):
    assert counts["selective"][cheap] == counts["block"][cheap] > counts["none"][cheap] > 0
