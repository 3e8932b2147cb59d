"""Parameters, FLOPs and memory of a config, counted without running it.

FLOPs are XLA's count of the network's program; a multiplication and an addition are two.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.diffusion import edm
from diffvs_jax.diffusion.samplers import num_evaluations
from diffvs_jax.model.denoiser import abstract_params, build_network, make_denoiser

# Compiles faster, and orders a CPU's program for little memory as accelerators do, not for parallel threads.
_CPU_OPTIONS = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_enable_concurrency_optimized_scheduler": False,
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}


def parameters_by_part(config: Any) -> dict[str, int]:
    """Parameters of every part of the network, in the order that data takes."""
    counts: dict[str, int] = {}
    for name, part in abstract_params(config).items():
        whole = re.sub(r"_(\d+|down|up|norm)$", "", name)  # encoder1_down and encoder1_0 are encoder1
        counts[whole] = counts.get(whole, 0) + sum(leaf.size for leaf in jax.tree.leaves(part))
    levels = len(config.model.channel_mult)
    decoder = [f"decoder{level}" for level in reversed(range(levels))]
    order = ["noise", "stem", *(f"encoder{level}" for level in range(levels)), "middle", *decoder, "head"]
    return {name: counts[name] for name in order if name in counts}


def evaluations_per_chunk(config: Any) -> int:
    """How often the network runs to separate one chunk."""
    sampler = config.sampler
    return num_evaluations(sampler.name, sampler.num_steps) * sampler.num_samples


def seconds_per_chunk(config: Any) -> float:
    """How much of a long track each chunk adds, overlaps counted once."""
    return config.separation.step_frames * config.audio.hop_length / config.audio.sample_rate


def evaluation_flops(config: Any) -> float:
    """FLOPs of one evaluation of the denoiser on one chunk."""
    function, arguments = evaluation(config, batch_size=1)
    return _flops(function, arguments)


def training_flops(config: Any, remat: str) -> float:
    """FLOPs of the loss and its gradient for one example, what ``remat`` computes twice included."""
    function, arguments = training_loss(config, remat, batch_size=1)
    return _flops(jax.value_and_grad(function), arguments)


def kept_bytes(config: Any, remat: str, batch_size: int) -> int:
    """Bytes of activations that the forward pass keeps for the backward pass.

    What it keeps whatever the batch, the parameters or their copies in another type, is not counted.
    """

    def kept(batch_size: int) -> int:
        function, (params, *batch) = training_loss(config, remat, batch_size)
        backward = jax.eval_shape(lambda p, *batch: jax.vjp(lambda p: function(p, *batch), p)[1], params, *batch)
        return _num_bytes(backward)

    return batch_size * (kept(2) - kept(1))


def temporary_bytes(config: Any, remat: str, batch_size: int) -> int:
    """Bytes of temporary memory that XLA reserves on this device for the loss and its gradient."""
    function, arguments = training_loss(config, remat, batch_size)
    options: Any = _CPU_OPTIONS if jax.default_backend() == "cpu" else None
    compiled: Any = jax.jit(jax.value_and_grad(function)).lower(*arguments).compile(compiler_options=options)
    return compiled.memory_analysis().temp_size_in_bytes


def state_bytes(config: Any) -> int:
    """Bytes of the train state: parameters, two moments of AdamW and the averages, all float32."""
    copies = 3 + len(config.train.ema_rates)
    return copies * _num_bytes(abstract_params(config))


def evaluation(config: Any, batch_size: int) -> tuple[Any, tuple]:
    """The denoiser as a function of (params, condition, x, sigma), and the shapes of those."""
    network, path = build_network(config), SignalPath.from_config(config)

    def evaluate(params, condition, x, sigma):
        return make_denoiser(network, params, condition, path.sigma_data)(x, sigma)

    shape = (batch_size, path.num_frames, path.band_bins)
    condition, x = _array(*shape, path.condition_channels), _array(*shape, network.out_channels)
    return evaluate, (abstract_params(config), condition, x, _array(batch_size))


def training_loss(config: Any, remat: str, batch_size: int) -> tuple[Any, tuple]:
    """The mean loss as a function of (params, condition, clean, noise, sigma), and the shapes of those."""
    config = config.copy_and_resolve_references()  # not the caller's
    config.model.remat = remat
    network, path = build_network(config), SignalPath.from_config(config)

    def loss(params, condition, clean, noise, sigma):
        denoise = make_denoiser(network, params, condition, path.sigma_data)
        return edm.loss(denoise, clean, noise, sigma, path.sigma_data).mean()

    _, (params, condition, clean, sigma) = evaluation(config, batch_size)
    return loss, (params, condition, clean, clean, sigma)


def _flops(function: Any, arguments: tuple) -> float:
    lowered: Any = jax.jit(function).lower(*arguments)
    return lowered.cost_analysis()["flops"]


def _array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _num_bytes(tree: Any) -> int:
    return sum(leaf.size * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))
