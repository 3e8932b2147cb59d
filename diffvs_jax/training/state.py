"""Everything a training run is, as one tree of arrays."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from diffvs_jax.model.denoiser import Params, build_network, init_params
from diffvs_jax.training.optimizer import make_optimizer


class TrainState(NamedTuple):
    """All that a run is: with it, and the config, training goes on bit for bit.

    The three counts are int32 scalars; ``examples`` bounds a run to two billion of them.
    """

    step: jax.Array  # steps taken; with the config's seed it decides noise levels, noise and dropout
    examples: jax.Array  # of the training set's sequence that are used up: where its batches go on
    skipped: jax.Array  # steps of them whose loss or gradient was not finite, which changed nothing else
    params: Params
    opt_state: optax.OptState
    ema: tuple[Params, ...]  # in the order of train.ema_rates; the first separates


def init_state(config: Any) -> TrainState:
    """A fresh state from ``config.seed``; jit it, or shape it with ``jax.eval_shape``."""
    return begin_with(init_params(build_network(config), config, jax.random.key(config.seed)), config)


def begin_with(params: Params, config: Any) -> TrainState:
    """A state of no steps whose averages, arrays of their own, begin with its parameters."""
    opt_state = make_optimizer(config.train).init(params)
    ema = tuple(jax.tree.map(jnp.copy, params) for _ in config.train.ema_rates)
    step, examples, skipped = (jnp.zeros((), jnp.int32) for _ in range(3))
    return TrainState(step, examples, skipped, params, opt_state, ema)


def update_ema(ema: Params, params: Params, step: jax.Array, rate: float, rampup: float) -> Params:
    """One step of an exponential moving average with EDM's ramp-up.

    The half-life is that of ``rate``, but at most ``rampup`` times the steps taken, so that an
    early average is not an average of the initial weights (EDM, appendix F).
    """
    half_life = jnp.log(0.5) / jnp.log(rate)
    half_life = jnp.minimum(half_life, rampup * step) if rampup > 0 else half_life
    decay = 0.5 ** (1 / jnp.maximum(half_life, 1e-8))
    return jax.tree.map(lambda average, new: new + decay * (average - new), ema, params)
