import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.training.sharding import state_sharding
from diffvs_jax.training.state import init_state
from diffvs_jax.training.step import make_train_step


def test_loss_on_one_batch_falls(trainer, batch):
    one = trainer(1, 1)
    state, losses = one.run
    assert np.mean(losses[:3]) == pytest.approx(1.0, abs=0.3)  # EDM's weights make every noise level's loss near 1
    after = []
    for number in range(3):  # the step number seeds the noise: the same noise before and after training
        again = jax.device_put(state._replace(step=np.int32(number)), one.shardings)
        after.append(float(one.step(again, batch)[1]["loss"]))
    assert np.mean(after) < 0.92 * np.mean(losses[:3])


def test_same_seed_same_bits(trainer, batch):
    one = trainer(1, 1)
    states = []
    for _ in range(2):
        state = one.fresh()
        for _ in range(2):
            state, _ = one.step(state, batch)
        states.append(jax.device_get(state))
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_noise_changes_from_step_to_step(trainer, batch):
    one = trainer(1, 1)
    state = one.fresh()
    # The rate is zero at the first step of a warm-up, so parameters stay and only the noise moves the loss.
    first_state, first = one.step(state, batch)
    params = jax.device_get(first_state.params)
    jax.tree.map(np.testing.assert_array_equal, params, jax.device_get(one.fresh().params))
    _, second = one.step(first_state, batch)
    assert float(first["loss"]) != float(second["loss"])


def test_state_is_donated_and_counts_steps(trainer, batch):
    one = trainer(1, 1)
    state = one.fresh()
    new, metrics = one.step(state, batch)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))
    assert int(new.step) == 1
    assert int(new.examples) == len(batch) and int(new.skipped) == 0
    assert float(metrics["learning_rate"]) == 0.0


def test_the_greatest_wish_is_a_metric(trainer, batch):
    one = trainer(1, 1)
    assert [int(one.step(one.fresh(), batch, wish)[1]["wish"]) for wish in (0, 2)] == [0, 2]


def test_a_step_that_is_not_finite_changes_nothing_and_halts(trainer, batch):
    one = trainer(1, 1)
    state, _ = one.step(one.fresh(), batch)
    before = jax.device_get(state)
    bad = batch.copy()
    bad[1, 0, 5] = np.nan
    state, metrics = one.step(state, bad)
    assert not np.isfinite(metrics["loss"]) and int(metrics["skipped"]) == 1
    halted = jax.device_get(state)
    jax.tree.map(np.testing.assert_array_equal, halted._replace(skipped=before.skipped), before)
    state, metrics = one.step(state, batch)  # even a good one
    assert np.isfinite(metrics["loss"])
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), halted)


def test_a_skipped_step_is_counted_and_the_next_one_trains(trainer, batch):
    one = trainer(1, 1, max_skipped_steps=1)
    state = one.fresh()
    for _ in range(2):
        state, _ = one.step(state, batch)
    before = jax.device_get(state)
    state, _ = one.step(state, np.full_like(batch, np.inf))
    after = jax.device_get(state)
    assert (after.step, after.examples, after.skipped) == (3, 12, 1)
    for name in ("params", "opt_state", "ema"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, name), getattr(before, name))
    state, _ = one.step(state, batch)
    assert int(state.step) == 4 and not np.array_equal(state.params["head"]["kernel"], before.params["head"]["kernel"])
    state, _ = one.step(state, np.full_like(batch, np.inf))
    assert (int(state.step), int(state.skipped)) == (4, 2)  # one too many


def test_averages_lie_between_start_and_end(trainer):
    one = trainer(1, 1)
    state, _ = one.run
    start = jax.device_get(one.fresh().params)
    move = [np.linalg.norm(leaf - old) for leaf, old in zip(*map(jax.tree.leaves, (state.params, start)), strict=True)]
    for slow_or_fast in state.ema:
        rest = jax.tree.map(lambda new, old: np.linalg.norm(new - old), state.params, slow_or_fast)
        assert sum(jax.tree.leaves(rest)) < 0.9 * sum(move)
    assert not np.array_equal(state.ema[0]["head"]["kernel"], state.ema[1]["head"]["kernel"])


def test_two_targets_widen_the_network_and_train(nano_config, trainer, batch):
    nano_config.data.targets = ("vocals", "drums")
    state = jax.eval_shape(lambda: init_state(nano_config))
    assert state.params["head"]["kernel"].shape[-1] == 2 * 2 * 2 * 2  # targets, bands, channels, (re, im)
    mesh = trainer(1, 1).mesh
    step = make_train_step(nano_config, mesh, state_sharding(state, mesh))
    stems = np.concatenate([batch, batch[:, :1]], axis=1)
    wishes = np.zeros(1, np.int32)
    new, metrics = jax.eval_shape(step, state, stems, BandStats.ones(2, nano_config.audio.num_bands), wishes)
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    assert metrics["loss"].shape == ()
