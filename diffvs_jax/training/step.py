"""One training step: stems in, a better state out. One jitted, donated program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diffvs_jax.audio.representation import BandStats, SignalPath, encode_mixture, encode_targets
from diffvs_jax.diffusion import edm
from diffvs_jax.model.denoiser import build_network, make_denoiser
from diffvs_jax.training.optimizer import learning_rate, make_optimizer
from diffvs_jax.training.sharding import BATCH
from diffvs_jax.training.state import TrainState, update_ema

Metrics = dict[str, jax.Array]


def split_stems(stems_BSNA: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mixture ``[B, N, A]`` and targets ``[B, S, N, A]`` of stems whose last row is the rest.

    The mixture is the sum of the stems: here, after all augmentation, and nowhere else.
    """
    return stems_BSNA.sum(axis=1), stems_BSNA[:, :-1]


def encode_stems(stems_BSNA: jax.Array, stats: BandStats, path: SignalPath) -> tuple[jax.Array, jax.Array]:
    """Condition and clean targets that the network works on, ``[B, T, F, C]`` each."""
    mixture, targets = split_stems(stems_BSNA)
    condition, context = encode_mixture(mixture, stats, path)
    return condition, encode_targets(targets, context, path)


def make_train_step(config: Any, mesh: Mesh, shardings: TrainState) -> Callable:
    """Jitted ``(state, stems [B, S + 1, N, A], stats) -> (state, metrics)``; the state is donated."""
    path = SignalPath.from_config(config)
    network = build_network(config)
    optimizer = make_optimizer(config.train)
    schedule = learning_rate(config.train)
    sigma_data = config.edm.sigma_data

    def train_step(state: TrainState, stems: jax.Array, stats: BandStats) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        sigma_key, noise_key, dropout_key = jax.random.split(key, 3)
        condition, clean = encode_stems(stems, stats, path)
        sigma = edm.draw_sigma(sigma_key, stems.shape[0], config.edm.p_mean, config.edm.p_std)
        noise = jax.random.normal(noise_key, clean.shape)

        def mean_loss(params):
            dropout = dropout_key if config.model.dropout > 0 else None
            denoise = make_denoiser(network, params, condition, sigma_data, dropout)
            return edm.loss(denoise, clean, noise, sigma, sigma_data).mean()

        loss, gradients = jax.value_and_grad(mean_loss)(state.params)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        step = state.step + 1
        ema = tuple(
            update_ema(average, params, step, rate, config.train.ema_rampup)
            for average, rate in zip(state.ema, config.train.ema_rates, strict=True)
        )
        metrics = {
            "loss": loss,
            "gradient_norm": optax.tree.norm(gradients),
            "learning_rate": jnp.asarray(schedule(state.step)),
            "target_std": jnp.std(clean),  # of all frames; of those that sound it is sigma_data (see band_stats)
        }
        return TrainState(step, params, opt_state, ema), metrics

    replicated = NamedSharding(mesh, PartitionSpec())
    return jax.jit(
        train_step,
        donate_argnums=0,
        in_shardings=(shardings, NamedSharding(mesh, BATCH), replicated),
        out_shardings=(shardings, replicated),
    )
