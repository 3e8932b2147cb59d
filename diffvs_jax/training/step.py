"""One training step: stems in, a better state out. One jitted, donated program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.training.gradient import make_gradient
from diffvs_jax.training.optimizer import descend, learning_rate, make_optimizer
from diffvs_jax.training.sharding import BATCH
from diffvs_jax.training.state import TrainState, update_ema

Metrics = dict[str, jax.Array]


def make_train_step(config: Any, mesh: Mesh, shardings: TrainState) -> Callable:
    """Jitted ``(state, stems [B, S + 1, N, A], stats, wishes [devices]) -> (state, metrics)``; the state is donated.

    A step whose loss or gradient is not finite changes no parameter. Up to ``train.max_skipped_steps``
    of them are counted and passed over. With one more the run has halted: that step and all after it
    leave the state as it was before, but for ``skipped``, which is then above that maximum.

    ``wishes`` is an int32 per device of what its process wants to do next; the metric ``wish`` is their
    maximum, so that all processes hear of it after the same step.
    """
    gradient = make_gradient(config, shardings.params)
    optimizer = make_optimizer(config.train)
    schedule = learning_rate(config.train)
    max_skipped = config.train.max_skipped_steps

    def train_step(
        state: TrainState, stems: jax.Array, stats: BandStats, wishes: jax.Array
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        gradients, loss = gradient(state.params, stems, stats, key)
        norm = optax.tree.norm(gradients)
        directions, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        rate = jnp.asarray(schedule(state.step))
        params = descend(state.params, directions, rate)
        ema = tuple(
            update_ema(average, params, state.step + 1, ema_rate, config.train.ema_rampup)
            for average, ema_rate in zip(state.ema, config.train.ema_rates, strict=True)
        )

        finite = jnp.isfinite(loss.loss) & jnp.isfinite(norm)
        skipped = state.skipped + (~finite & (state.skipped <= max_skipped))
        counts = skipped <= max_skipped  # or the run has halted
        trained = jax.tree.map(
            lambda new, old: jnp.where(finite & counts, new, old),
            (params, opt_state, ema),
            (state.params, state.opt_state, state.ema),
        )
        metrics = {
            **loss._asdict(),
            "gradient_norm": norm,
            "learning_rate": rate,
            "skipped": skipped,
            "wish": wishes.max(),
        }
        return TrainState(state.step + counts, state.examples + counts * stems.shape[0], skipped, *trained), metrics

    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, BATCH)
    return jax.jit(
        train_step,
        donate_argnums=0,
        in_shardings=(shardings, split, whole, split),
        out_shardings=(shardings, whole),
    )
