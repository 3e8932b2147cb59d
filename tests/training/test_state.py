import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.training.state import init_state, update_ema


def averages(values, rate, rampup):
    """Running averages of ``values`` taken at steps 1, 2, ..., starting from zero."""
    ema, out = {"a": jnp.zeros(())}, []
    for step, value in enumerate(values, start=1):
        ema = update_ema(ema, {"a": jnp.float32(value)}, jnp.int32(step), rate, rampup)
        out.append(float(ema["a"]))
    return out


@pytest.mark.parametrize("rampup", [0.05, 0.5])
def test_average_follows_edms_rule(rampup):
    values = np.random.default_rng(0).standard_normal(60)
    rate, ema, expected = 0.9, 0.0, []
    for step, value in enumerate(values, start=1):
        half_life = min(np.log(0.5) / np.log(rate), rampup * step)
        decay = 0.5 ** (1 / half_life)
        ema = decay * ema + (1 - decay) * value
        expected.append(ema)
    np.testing.assert_allclose(averages(values, rate, rampup), expected, atol=1e-6)


def test_first_average_is_the_parameters_not_the_start():
    assert averages([3.0], 0.9999, 0.05)[0] == pytest.approx(3.0, rel=1e-5)


def test_without_ramp_up_the_rate_holds_from_the_first_step():
    np.testing.assert_allclose(averages([1.0, 1.0], 0.9, 0.0), [0.1, 0.19], rtol=1e-5)


def test_late_decay_is_the_rate():
    new = update_ema({"a": jnp.float32(1.0)}, {"a": jnp.float32(0.0)}, jnp.int32(10**6), 0.999, 0.05)
    assert float(new["a"]) == pytest.approx(0.999, rel=1e-5)


def test_a_fresh_state_is_float32_with_one_average_per_rate(nano_config):
    nano_config.model.dtype = "bfloat16"
    state = jax.eval_shape(lambda: init_state(nano_config))
    assert {leaf.dtype.name for leaf in jax.tree.leaves((state.params, state.ema))} == {"float32"}
    shapes = jax.tree.map(jnp.shape, state.params)
    assert [jax.tree.map(jnp.shape, ema) for ema in state.ema] == [shapes, shapes]
    assert state.step.dtype == jnp.int32
