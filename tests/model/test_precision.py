"""bfloat16 is for activations alone: what must stay in float32 does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion import edm
from diffvs_jax.model.denoiser import make_denoiser
from diffvs_jax.model.roformer import rotary
from diffvs_jax.model.unet import UNet
from tests.model.networks import C_NOISE, FLAT, NANO, network
from tests.model.oracles import equations, normal

# Statistics of norms, softmax, the embedding's sinusoids, and EDM's coefficients.
DELICATE = {"exp", "reduce_max", "reduce_sum", "rsqrt", "sqrt", "sin", "cos", "log", "div"}
X = normal(2, 8, 8, 6)


@pytest.mark.parametrize("attention", ["dual_path", "pixel"])
@pytest.mark.parametrize("resampling", ["frequency", "both"])
def test_no_statistic_softmax_sinusoid_or_coefficient_is_bfloat16(attention, resampling):
    settings = dataclasses.replace(NANO, dtype="bfloat16", attention=attention, resampling=resampling)
    model = UNet(settings, out_channels=4)
    params = jax.eval_shape(model.init, jax.random.key(0), X, C_NOISE)["params"]

    def denoise(params, x, condition, sigma):
        return make_denoiser(model, params, condition, 0.5)(x, sigma)

    program = equations(denoise, params, X[..., :4], X[..., 4:], np.float32([0.3, 2]))
    types = {name: set() for name in (*DELICATE, "conv_general_dilated")}
    for equation in program:
        if equation.primitive.name in types:
            types[equation.primitive.name] |= {str(v.aval.dtype) for v in (*equation.invars, *equation.outvars)}
    assert types.pop("conv_general_dilated") == {"bfloat16"}
    assert types == {name: {"float32"} for name in DELICATE}


def test_parameters_and_output_are_float32():
    def run():
        return network(dtype="bfloat16").init_with_output(jax.random.key(0), X, C_NOISE)

    out, variables = jax.eval_shape(run)
    assert {leaf.dtype for leaf in (out, *jax.tree.leaves(variables))} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("dtype", "machine", "expected"),
    [
        ("auto", "cpu", "float32"),
        ("auto", "gpu", "bfloat16"),
        ("auto", "tpu", "bfloat16"),
        ("float32", "gpu", "float32"),
        ("bfloat16", "cpu", "bfloat16"),
    ],
)
def test_auto_is_bfloat16_but_on_a_cpu(monkeypatch, dtype, machine, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: machine)
    model = network(dtype=dtype, **FLAT)
    params = jax.eval_shape(model.init, jax.random.key(0), X, C_NOISE)["params"]
    program = equations(lambda params, x: model.apply({"params": params}, x, C_NOISE), params, X)
    products = [one for one in program if one.primitive.name in ("conv_general_dilated", "dot_general")]
    assert {str(v.aval.dtype) for product in products for v in product.invars} == {expected}


def test_positions_turn_in_float32():
    x = jnp.asarray(normal(2, 50, 3, 8), jnp.bfloat16)
    exact = rotary(x.astype(jnp.float32))  # of whole positions: up to 49 radians
    np.testing.assert_array_equal(np.float32(rotary(x)), np.float32(exact.astype(jnp.bfloat16)))


def test_preconditioning_is_float32_around_a_bfloat16_network():
    x, sigma = normal(2, 3), np.float32([0.1, 3])
    raw = jnp.asarray(normal(2, 3, seed=1), jnp.bfloat16)
    seen = []

    def half_network(scaled, c_noise):
        seen.extend([scaled.dtype, c_noise.dtype])
        return raw

    got = edm.precondition(half_network, 0.5)(x, jnp.asarray(sigma))
    assert {got.dtype, *seen} == {jnp.dtype("float32")}
    total = (sigma.astype(float) ** 2 + 0.25)[:, None]
    expected = x * 0.25 / total + 0.5 * sigma[:, None] / np.sqrt(total) * np.asarray(raw, float)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
