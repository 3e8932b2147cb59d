import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.model.product import product
from tests.model.oracles import equations, normal

# More rows in either factor's place: the smaller matrix is the one that is transposed.
SHAPES = [
    ((5, 3), (3, 7)),
    ((5, 7), (7, 3)),
    ((2, 4, 5, 3), (3, 7)),
    ((2, 4, 5, 7), (2, 4, 7, 3)),
    ((2, 5, 3), (2, 3, 7)),
]


@pytest.mark.parametrize(("shape_a", "shape_b"), SHAPES)
def test_a_product_and_its_gradients_are_matmuls(shape_a, shape_b):
    a, b = normal(*shape_a), normal(*shape_b, seed=1)
    expected, theirs = jax.vjp(jnp.matmul, a, b)
    got, ours = jax.jit(lambda a, b: jax.vjp(product, a, b))(a, b)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    cotangent = normal(*expected.shape, seed=2)
    for mine, other in zip(ours(cotangent), theirs(cotangent), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_results_are_of_the_type_asked_for():
    a, b = (normal(4, 4, seed=seed).astype(jnp.bfloat16) for seed in range(2))
    assert product(a, b).dtype == jnp.bfloat16
    wide = product(a, b, jnp.float32)
    assert wide.dtype == jnp.float32
    np.testing.assert_allclose(wide, a.astype(np.float32) @ b.astype(np.float32), atol=1e-5)


def test_no_gradient_on_a_cpu_is_a_product_over_rows():
    """What XLA has no fast kernel for: both factors contracted over an axis that is not their last."""

    def loss(a, b):
        return product(a, b).sum()

    over_rows = []
    for equation in equations(jax.grad(loss, argnums=(0, 1)), normal(2, 6, 5), normal(2, 5, 4)):
        if equation.primitive is jax.lax.dot_general_p:
            (left, right), _ = equation.params["dimension_numbers"]
            ndims = [operand.aval.ndim for operand in equation.invars]
            over_rows.append(left[0] != ndims[0] - 1 and right[0] != ndims[1] - 1)
    assert len(over_rows) == 3 and not any(over_rows)


def test_leading_axes_of_one_stay():
    """Rematerialisation keeps products without batch axes, so that attention must have some even for one example."""
    (dot,) = [
        equation
        for equation in equations(product, normal(1, 1, 5, 3), normal(1, 1, 3, 5))
        if equation.primitive is jax.lax.dot_general_p
    ]
    assert dot.params["dimension_numbers"][1] == ((0, 1), (0, 1))
