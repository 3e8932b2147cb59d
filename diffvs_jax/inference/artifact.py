"""The separation program in a file of its own, which runs wherever JAX does, without this package.

``jax.export`` stores the lowered program with its parameters, statistics and noise levels. What is
lowered serves CPUs, CUDA GPUs and TPUs alike, so nothing in it may depend on the machine that wrote it.
The JAX that reads it must be the one that wrote it or newer, by at most half a year:
https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.inference.program import make_program
from diffvs_jax.inference.separator import separation_plan
from diffvs_jax.model.weights import Model

NAME = "program.jax_export"  # in an export's folder
PLATFORMS = ("cpu", "cuda", "tpu")
_NEUTRAL = {  # for what the config leaves to the machine
    "dtype": "float32",
    "loop": "scanned",  # a file with one copy of the network
}


def make_artifact(model: Model) -> bytes:
    """The program of ``Separator.chunks`` with all that it needs, for ``jax.export.deserialize``.

    ``(mixture [b, chunk_samples, channels] float32, first_frames [b] int32, seed [] int32) ->
    [b, S, chunk_samples, channels]`` float32, for any b. Noise is that of a ``Separator`` of that seed.

    Raises:
      InputError: settings that no track can be separated with.
    """
    config = portable(model.config)
    sigmas, _ = separation_plan(config)
    program = make_program(config)

    def separate(mixture, first_frames, seed):
        key = jax.random.key(seed, impl="threefry2x32")  # JAX's default, whatever the reader's is
        grid = jnp.asarray(sigmas, jnp.float32)
        return program(model.params, BandStats(**model.stats), mixture, first_frames, grid, key)

    path = SignalPath.from_config(config)
    (b,) = export.symbolic_shape("b")
    mixture = jax.ShapeDtypeStruct((b, path.chunk_samples, path.num_channels), np.float32)
    first_frames, seed = jax.ShapeDtypeStruct((b,), np.int32), jax.ShapeDtypeStruct((), np.int32)
    with _no_source_locations():
        exported = export.export(jax.jit(separate), platforms=PLATFORMS)(mixture, first_frames, seed)
    return bytes(exported.serialize())


def portable(config: Any) -> Any:
    """A config whose program is the same on every machine: float32 and a scanned loop unless it says otherwise.

    Attention is always XLA's: cuDNN's kernels exist on GPUs alone.
    """
    config = config.copy_and_resolve_references()
    config.model.attention_backend = "xla"
    for section, key in ((config.model, "dtype"), (config.sampler, "loop")):
        if section[key] == "auto":
            section[key] = _NEUTRAL[key]
    return config


@contextlib.contextmanager
def _no_source_locations() -> Iterator[None]:
    """Keeps the paths of source files out of the program: it tells others nothing of its writer's folders."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)
