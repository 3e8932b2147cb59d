import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.training.optimizer import descend, learning_rate, make_optimizer


@pytest.fixture
def settings(nano_config):
    settings = nano_config.train
    settings.schedule = "cosine"
    settings.learning_rate, settings.warmup_steps, settings.num_steps = 0.5, 10, 110
    return settings


def test_warm_up_is_linear_and_cosine_falls_to_zero(settings):
    rate = learning_rate(settings)
    np.testing.assert_allclose([rate(step) for step in (0, 3, 10)], [0, 0.15, 0.5], atol=1e-6)
    np.testing.assert_allclose([rate(step) for step in (35, 60, 110)], [0.25 + 0.25 * 2**-0.5, 0.25, 0], atol=1e-6)


def test_constant_stays_after_the_warm_up(settings):
    settings.schedule = "constant"
    rate = learning_rate(settings)
    np.testing.assert_allclose([rate(step) for step in (5, 10, 60, 1000)], [0.25, 0.5, 0.5, 0.5], atol=1e-6)


def test_without_warm_up_the_first_step_has_the_full_rate(settings):
    settings.warmup_steps = 0
    assert learning_rate(settings)(0) == pytest.approx(0.5)


def test_unknown_schedule_is_bad_input(settings):
    settings.schedule = "linear"
    with pytest.raises(InputError, match=r"train\.schedule 'linear'"):
        learning_rate(settings)


def first_update(settings, params, gradients):
    settings.warmup_steps = 0
    optimizer = make_optimizer(settings)
    return optimizer.update(gradients, optimizer.init(params), params)


@pytest.mark.parametrize(("size", "seen"), [(1000.0, 1.0), (0.5, 0.5)])
def test_gradients_are_clipped_by_their_common_norm(settings, size, seen):
    settings.clip_norm = 1.0
    params = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    gradients = {"a": jnp.array([0.6, 0.0]) * size, "b": jnp.array([0.0, 0.8]) * size}
    _, state = first_update(settings, params, gradients)
    momentum = optax.tree.get(state, "mu")  # after one step: (1 - beta1) times the clipped gradient
    np.testing.assert_allclose(momentum["a"], [0.1 * 0.6 * seen, 0], rtol=1e-5)
    np.testing.assert_allclose(momentum["b"], [0, 0.1 * 0.8 * seen], rtol=1e-5)


def test_weight_decay_shrinks_parameters_without_a_gradient(settings):
    settings.weight_decay = 0.1
    params = {"a": jnp.array([2.0, -4.0])}
    directions, _ = first_update(settings, params, {"a": jnp.zeros(2)})
    new = descend(params, directions, jnp.float32(0.5))
    np.testing.assert_allclose(new["a"], (1 - 0.5 * 0.1) * params["a"], rtol=1e-6)


def test_a_step_is_that_of_optax_adamw(settings):
    rng = np.random.default_rng(0)
    params = {"a": jnp.asarray(rng.standard_normal(5), jnp.float32)}
    optimizer, rate = make_optimizer(settings), learning_rate(settings)
    oracle = optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(rate, settings.beta1, settings.beta2, weight_decay=settings.weight_decay),
    )
    ours, theirs = params, params
    our_state, their_state = optimizer.init(params), oracle.init(params)
    for step in range(12):
        gradients = {"a": jnp.asarray(rng.standard_normal(5), jnp.float32)}
        directions, our_state = optimizer.update(gradients, our_state, ours)
        ours = descend(ours, directions, rate(step))
        updates, their_state = oracle.update(gradients, their_state, theirs)
        theirs = optax.apply_updates(theirs, updates)
        np.testing.assert_allclose(ours["a"], theirs["a"], rtol=1e-6, atol=1e-7)


def test_betas_are_the_configs(settings):
    settings.beta1, settings.beta2, settings.clip_norm = 0.8, 0.9, 10.0
    _, state = first_update(settings, {"a": jnp.zeros(1)}, {"a": jnp.full(1, 2.0)})
    np.testing.assert_allclose(optax.tree.get(state, "mu")["a"], 0.2 * 2, rtol=1e-5)
    np.testing.assert_allclose(optax.tree.get(state, "nu")["a"], 0.1 * 4, rtol=1e-5)
