"""AdamW with gradient clipping, warm-up and a schedule."""

from typing import Any

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
    """The optimiser of a config's ``train`` section."""
    return optax.chain(
        optax.clip_by_global_norm(train.clip_norm),
        optax.adamw(learning_rate(train), b1=train.beta1, b2=train.beta2, weight_decay=train.weight_decay),
    )
