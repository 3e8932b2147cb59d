import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from diffvs_jax.errors import InputError
from diffvs_jax.model.layers import group_norm
from tests.model import oracles
from tests.model.oracles import normal

F32, BF16 = jnp.dtype("float32"), jnp.dtype("bfloat16")


def run(channels, params, x, dtype=F32):
    return jax.jit(lambda p, x: group_norm(channels, dtype).apply({"params": p}, x))(params, x)


@pytest.mark.parametrize(("channels", "groups"), [(4, 1), (12, 3), (128, 32), (256, 32)])
def test_groups_are_a_quarter_of_the_channels_and_32_at_most(channels, groups):
    x = normal(2, 3, 4, channels) * np.linspace(0.1, 3, channels, dtype=np.float32) + 1
    params = {"scale": normal(channels, seed=1), "bias": normal(channels, seed=2)}
    got = run(channels, params, x)
    np.testing.assert_allclose(got, oracles.group_norm(x.astype(float), **params, groups=groups), atol=1e-4)
    theirs = jax.jit(nn.GroupNorm(groups, epsilon=1e-6).apply)({"params": params}, x)
    np.testing.assert_allclose(got, theirs, atol=1e-4)


def test_parameters_are_flax_group_norms_own():
    x, key = normal(1, 2, 2, 8), jax.random.key(0)
    ours, theirs = (module.init(key, x) for module in (group_norm(8, BF16), nn.GroupNorm(2, dtype=BF16)))
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert {leaf.dtype for leaf in jax.tree.leaves(ours)} == {F32}


@pytest.mark.parametrize(("dtype", "tolerance"), [(F32, 1e-3), (BF16, 2e-2)])
def test_statistics_of_bfloat16_are_float32(dtype, tolerance):
    # Between 16 and 32 bfloat16 knows steps of 1/8: a mean held in it is off by a tenth of the spread.
    x = jnp.asarray(20 + 0.5 * normal(2, 16, 16, 8), jnp.bfloat16)
    params = {"scale": np.ones(8, np.float32), "bias": np.zeros(8, np.float32)}
    got = run(8, params, x, dtype)
    assert got.dtype == dtype
    expected = oracles.group_norm(np.asarray(x, np.float64), **params, groups=2)
    np.testing.assert_allclose(np.asarray(got, np.float64), expected, atol=tolerance)


@pytest.mark.parametrize("level", [0.0, 100.1, -1000.3, 12_345.6])
def test_a_constant_far_from_zero_becomes_the_bias(level):
    """The difference of two large squares comes out below zero at times: its root would be NaN."""
    x = np.full((2, 5, 7, 8), level, np.float32)
    params = {"scale": np.ones(8, np.float32), "bias": normal(8)}
    got = run(8, params, x)
    rounding = 1e3 * abs(level) * 2**-23  # of x, times 1 / sqrt(epsilon)
    np.testing.assert_allclose(got, np.broadcast_to(params["bias"], x.shape), atol=4 * rounding + 1e-6)

    def total(params, x):
        return jnp.sum(jnp.sin(group_norm(8, F32).apply({"params": params}, x)))

    gradients = jax.jit(jax.grad(total, argnums=(0, 1)))(params, x)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize(("channels", "groups"), [(260, 32), (6 * 4 + 3, 6)])
def test_widths_that_its_groups_do_not_divide_are_refused(channels, groups):
    with pytest.raises(InputError, match=f"{groups} groups do not divide a layer of {channels} channels"):
        group_norm(channels, F32)
