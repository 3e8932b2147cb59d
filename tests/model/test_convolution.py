import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.model.convolution import Conv
from tests.model.oracles import conv, equations, normal

X = normal(2, 5, 6, 3)


def build(size, doubled, dtype="float32"):
    module = Conv(4, size, jnp.dtype(dtype), jax.nn.initializers.normal(), doubled)
    return module, {"kernel": normal(size, size, 3, 4, seed=1), "bias": normal(4, seed=2)}


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_convolution_is_its_taps_one_at_a_time(size):
    module, layer = build(size, ())
    np.testing.assert_allclose(module.apply({"params": layer}, X), conv(X, layer), atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("doubled", [(1,), (2,), (1, 2)])
def test_doubled_axes_are_repeated_elements(size, doubled):
    """Outputs and both gradients are those of a convolution over the elements written twice."""
    module, layer = build(size, doubled)

    def reference(layer, x):
        for axis in doubled:
            x = jnp.repeat(x, 2, axis=axis)
        y = jax.lax.conv_general_dilated(x, layer["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + layer["bias"][None, None, None]

    expected, backward = jax.vjp(reference, layer, X)
    got, ours = jax.vjp(lambda layer, x: module.apply({"params": layer}, x), layer, X)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    cotangent = normal(*expected.shape, seed=3)
    for a, b in zip(jax.tree.leaves(ours(cotangent)), jax.tree.leaves(backward(cotangent)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(("doubled", "share"), [((2,), 2 / 3), ((1, 2), 4 / 9)])
def test_doubled_axes_save_products(doubled, share):
    module, layer = build(3, doubled)

    def multiplications(equation):
        return equation.outvars[0].aval.size * np.prod(equation.invars[1].aval.shape[:3])

    program = equations(lambda x: module.apply({"params": layer}, x), X)
    convolutions = [each for each in program if each.primitive is jax.lax.conv_general_dilated_p]
    plainly = 2 ** len(doubled) * X[..., 0].size * 4 * 9 * 3
    assert sum(map(multiplications, convolutions)) == pytest.approx(share * plainly)


def test_one_tap_in_bfloat16_stays_bfloat16():
    module, layer = build(1, (2,), "bfloat16")
    got = module.apply({"params": layer}, X)
    assert got.dtype == jnp.bfloat16
    np.testing.assert_allclose(got.astype(np.float32), np.repeat(conv(X, layer), 2, axis=2), atol=0.1)
