"""Times of a config's programs on this machine, with random weights and noise for music."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.compilation import Compiled
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model.denoiser import build_network, init_params
from diffvs_jax.profiling import cost
from diffvs_jax.profiling.operations import time_by_kind


def evaluation(config: Any, batch_size: int) -> tuple[float, dict[str, float]]:
    """Seconds of one evaluation of the denoiser, best of three, and the share of each kind of operation."""
    function, shapes = cost.evaluation(config, batch_size)
    compiled = jax.jit(function).lower(*shapes).compile()
    arguments = (_params(config), *(jnp.ones(shape.shape, shape.dtype) for shape in shapes[1:]))

    def run() -> None:
        jax.block_until_ready(compiled(*arguments))

    return _best_of(3, run), time_by_kind(compiled, run)


def separation(config: Any, seconds: float) -> tuple[float, Compiled]:
    """Seconds that a whole song of noise takes, and what compiling took before."""
    separator = _separator(config)
    compiled = separator.compile()
    rate = config.audio.sample_rate
    song = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), config.audio.num_channels))
    song = song.astype(np.float32)
    start = time.perf_counter()
    separator(song, rate)
    return time.perf_counter() - start, compiled


def compilation(config: Any, loop: str, folder: str) -> tuple[Compiled, Compiled]:
    """The separation program compiled with an empty cache in ``folder``, and again with what that left there."""
    config = config.copy_and_resolve_references()  # not the caller's
    config.sampler.loop = loop
    settings: Any = jax.config
    before = settings.jax_compilation_cache_dir, settings.jax_persistent_cache_min_compile_time_secs
    try:
        _set_cache(folder, 0)
        cold = _separator(config).compile()
        jax.clear_caches()
        return cold, _separator(config).compile()
    finally:
        _set_cache(*before)


def gradient(config: Any, remat: str, batch_size: int) -> tuple[float, int]:
    """Seconds of the loss and its gradient, best of three, and the bytes of memory that XLA plans for them."""
    function, shapes = cost.training_loss(config, remat, batch_size)
    compiled: Any = jax.jit(jax.value_and_grad(function)).lower(*shapes).compile()
    arguments = (_params(config), *(jnp.ones(shape.shape, shape.dtype) for shape in shapes[1:]))
    seconds = _best_of(3, lambda: jax.block_until_ready(compiled(*arguments)))
    memory = compiled.memory_analysis()
    return seconds, memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes


def _separator(config: Any) -> Separator:
    stats = BandStats.ones(len(config.data.targets), config.audio.num_bands)
    return Separator(_params(config), stats, config)


def _params(config: Any) -> Any:
    network = build_network(config)
    return jax.jit(lambda: init_params(network, config, jax.random.key(0)))()


def _best_of(count: int, run: Callable[[], Any]) -> float:
    run()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _set_cache(folder: str | None, least_seconds: float) -> None:
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least_seconds)
    reset_cache()
