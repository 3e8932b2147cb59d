"""EDM's loss of a batch of stems and its gradient, at once or in parts, and what the loss is made of."""

import functools
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.audio.representation import BandStats, SignalPath, encode_mixture, encode_targets
from diffvs_jax.diffusion import edm
from diffvs_jax.model.denoiser import Params, build_network, make_denoiser
from diffvs_jax.training.sharding import gathered

_NUM_SIGMA_BINS = 8


class Loss(NamedTuple):
    """EDM's loss and its parts; every number is a mean over examples, so those of parts of a batch average."""

    loss: jax.Array
    by_band: jax.Array  # [S, bands]
    by_sigma: jax.Array  # [bins]: over all examples, those of other noise levels counted as zero
    sigma_share: jax.Array  # [bins] of examples whose noise level is in the bin; by_sigma / sigma_share is their loss
    target_mean: jax.Array  # of what the network is to find ...
    target_square: jax.Array  # ... and of its squares


def split_stems(stems_BSNA: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mixture ``[B, N, A]`` and targets ``[B, S, N, A]`` of stems whose last row is the rest.

    The mixture is the sum of the stems: here, after all augmentation, and nowhere else.
    """
    rows = [stems_BSNA[:, row] for row in range(stems_BSNA.shape[1])]
    return functools.reduce(jnp.add, rows), stems_BSNA[:, :-1]  # on a CPU sum(axis=1) takes fifty times as long


def encode_stems(stems_BSNA: jax.Array, stats: BandStats, path: SignalPath) -> tuple[jax.Array, jax.Array]:
    """Condition and clean targets that the network works on, ``[B, T, F, C]`` each."""
    mixture, targets = split_stems(stems_BSNA)
    condition, context = encode_mixture(mixture, stats, path)
    return condition, encode_targets(targets, context, path)


def sigma_edges(config: Any) -> np.ndarray:
    """Noise levels between the bins of ``Loss.by_sigma``: training draws from each bin equally often."""
    normal = NormalDist(config.edm.p_mean, config.edm.p_std)
    return np.exp([normal.inv_cdf(place / _NUM_SIGMA_BINS) for place in range(1, _NUM_SIGMA_BINS)])


def make_gradient(
    config: Any, shardings: Any
) -> Callable[[Params, jax.Array, BandStats, jax.Array], tuple[Params, Loss]]:
    """``(params, stems [B, S + 1, N, A], stats, key) -> (gradient, loss)``, in ``train.accumulate_steps`` parts.

    The gradient is sharded as ``shardings`` says of the parameters, part by part: no device keeps all of it.
    Noise belongs to the example, so the number of parts changes nothing but the rounding of sums
    (and dropout, which is drawn part by part).
    """
    loss_of_batch = _make_loss(config)
    mesh = jax.tree.leaves(shardings)[0].mesh
    num_parts = config.train.accumulate_steps

    def loss_of_part(params: Params, *part: Any) -> tuple[jax.Array, Loss]:
        return loss_of_batch(gathered(params, mesh), *part)

    def gradient(params: Params, stems: jax.Array, stats: BandStats, key: jax.Array) -> tuple[Params, Loss]:
        sigma_key, noise_key, dropout_key = jax.random.split(key, 3)
        sigma = edm.draw_sigma(sigma_key, stems.shape[0], config.edm.p_mean, config.edm.p_std)
        examples = (stems, sigma, jax.random.split(noise_key, stems.shape[0]))

        def of_part(part, dropout_key):
            gradients, loss = jax.grad(loss_of_part, has_aux=True)(params, *part, stats, dropout_key)
            return jax.lax.with_sharding_constraint(gradients, shardings), loss

        if num_parts == 1:
            return of_part(examples, dropout_key)
        parts = jax.tree.map(lambda values: _parted(values, num_parts), examples)
        keys = jax.random.split(dropout_key, num_parts)
        zero = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
            jax.eval_shape(of_part, jax.tree.map(lambda values: values[0], parts), dropout_key),
        )

        def add(total, part):
            return jax.tree.map(jnp.add, total, of_part(*part)), None

        total, _ = jax.lax.scan(add, zero, (parts, keys))
        return jax.tree.map(lambda leaf: leaf / num_parts, total)

    return gradient


def _parted(values: jax.Array, num_parts: int) -> jax.Array:
    """``[B, ...]`` as ``[parts, B / parts, ...]``, every device keeping the examples that it has."""
    return jnp.swapaxes(values.reshape(values.shape[0] // num_parts, num_parts, *values.shape[1:]), 0, 1)


def _make_loss(config: Any) -> Callable[..., tuple[jax.Array, Loss]]:
    path = SignalPath.from_config(config)
    network = build_network(config)
    sigma_data = config.edm.sigma_data
    edges = jnp.asarray(sigma_edges(config), jnp.float32)

    def loss(params, stems, sigma, noise_keys, stats, dropout_key) -> tuple[jax.Array, Loss]:
        condition, clean = encode_stems(stems, stats, path)
        noise = jax.vmap(lambda key: jax.random.normal(key, clean.shape[1:]))(noise_keys)
        denoise = make_denoiser(
            network, params, condition, sigma_data, dropout_key if config.model.dropout > 0 else None
        )
        error = edm.squared_error(denoise, clean, noise, sigma, sigma_data)
        by_example = error.mean(axis=(1, 2, 3))
        by_band = error.mean(axis=(0, 1, 2)).reshape(stems.shape[1] - 1, path.num_bands, -1).mean(axis=-1)
        in_bin = jax.nn.one_hot(jnp.searchsorted(edges, sigma), _NUM_SIGMA_BINS)
        mean = by_example.mean()
        return mean, Loss(
            mean, by_band, by_example @ in_bin / len(sigma), in_bin.mean(axis=0), clean.mean(), jnp.square(clean).mean()
        )

    return loss
