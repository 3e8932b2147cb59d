"""AdamW with gradient clipping, warm-up and a schedule."""

from typing import Any

import jax
import optax

from diffvs_jax.errors import InputError


def learning_rate(train: Any) -> optax.Schedule:
    """Rate at each step: linear warm-up, then cosine to zero at ``num_steps``, or constant."""
    warmup = optax.linear_schedule(0.0, train.learning_rate, max(train.warmup_steps, 1))
    if train.schedule == "constant":
        after = optax.constant_schedule(train.learning_rate)
    elif train.schedule == "cosine":
        after = optax.cosine_decay_schedule(train.learning_rate, max(train.num_steps - train.warmup_steps, 1))
    else:
        raise InputError(f"train.schedule {train.schedule!r} is none of ('cosine', 'constant')")
    return optax.join_schedules([warmup, after], [train.warmup_steps])


def make_optimizer(train: Any) -> optax.GradientTransformation:
    """AdamW up to its learning rate: the train state's step is the one clock, and ``descend`` applies the rate."""
    return optax.chain(
        optax.clip_by_global_norm(train.clip_norm),
        optax.scale_by_adam(b1=train.beta1, b2=train.beta2),
        optax.add_decayed_weights(train.weight_decay),
    )


def descend(params: Any, directions: Any, rate: jax.Array) -> Any:
    """Parameters after a step of size ``rate`` down the optimiser's directions."""
    return jax.tree.map(lambda param, direction: param - rate * direction, params, directions)
