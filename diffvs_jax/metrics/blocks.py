"""Long audio as blocks of one size, on the device and in the precision that scores want."""

import contextlib
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Within, programs compute in "float32" on JAX's default device, or in "float64" on the CPU."""
    if dtype == "float32":
        yield
    elif dtype == "float64":
        with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
            yield
    else:
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")


def cut(
    signals: Sequence[np.ndarray], dtype: str, length: int, stride: int, before: int = 0
) -> Iterator[tuple[jax.Array, ...]]:
    """Blocks ``[length, channels]`` of signals ``[samples, channels]``, the same of all at a time.

    They start every ``stride`` samples, the first ``before`` samples ahead of the signals, and go on
    until none is left. Silence is around the signals. There is always one block.

    Raises:
      ValueError: the signals' shapes differ.
    """
    shapes = [signal.shape for signal in signals]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2:
        raise ValueError(f"need [samples, channels] alike, got {', '.join(map(str, shapes))}")
    samples, _ = shapes[0]
    for start in range(-before, max(samples, 1 - before), stride):
        yield tuple(jnp.asarray(_block(signal, start, length), dtype) for signal in signals)


def _block(signal: np.ndarray, start: int, length: int) -> np.ndarray:
    part = signal[max(start, 0) : max(start + length, 0)]
    first = max(-start, 0)
    if len(part) == length:
        return part
    return np.pad(part, [(first, length - first - len(part)), (0, 0)])
