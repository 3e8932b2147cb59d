"""Discrete Fourier transforms of real signals as two matrix products each, in pure jax.numpy.

``jnp.fft`` serves one device well, but XLA gathers the operand of an FFT on every device when its
batch is split, and with jaxlib 0.11.2 several FFTs at a time can stop a CPU for good, each waiting
for threads that the others hold. Products do neither. With n = a * b, about sqrt(n) each,
they cost n (a + b) steps instead of n log n: for a spectrogram, little beside the network.

Sample ``b * i + j`` and bin ``k + a * l`` make the transform a DFT of size a over i, a turn by
``exp(-2 pi i j k / n)`` and a DFT of size b over j (Cooley and Tukey, 1965). Real signals need
only half of that, k up to a / 2: bins n - m hold the conjugates of bins m.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# Without it TPUs and GPUs round the operands to fewer bits.
_einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


def rfft(signal: jax.Array) -> jax.Array:
    """Bins 0 ... n // 2 of the last axis: real ``[..., n]`` to complex ``[..., n // 2 + 1]``, as ``numpy.fft.rfft``.

    Real and imaginary parts stand side by side in both products: XLA multiplies complex matrices on a
    CPU at a fraction of the speed.
    """
    n = signal.shape[-1]
    a, b = _factors(n)
    kept = a // 2 + 1
    grid = signal.reshape(*signal.shape[:-1], a, b)
    wave = _wave(kept, a, a)
    columns = _einsum("...ij,ki->...kj", grid, np.concatenate([wave.real, wave.imag]).astype(signal.dtype))
    turn = _broadcast(_wave(kept, b, n)[:, None], columns)  # [k, 1, j]
    to_real = np.concatenate([turn.real, turn.imag], axis=-2).astype(signal.dtype)
    to_imag = np.concatenate([-turn.imag, turn.real], axis=-2).astype(signal.dtype)
    turned = columns[..., :kept, None, :] * to_real + columns[..., kept:, None, :] * to_imag  # [..., k, 2, j]
    wave = _wave(b, b, b)
    both = np.block([[wave.real, wave.imag], [-wave.imag, wave.real]]).astype(signal.dtype)
    bins = _einsum("...kx,xl->...kl", turned.reshape(*turned.shape[:-2], 2 * b), both)
    bins = jnp.swapaxes(jax.lax.complex(bins[..., :b], bins[..., b:]), -1, -2)  # [..., l, k]
    others = jnp.conj(jnp.flip(bins[..., 1 : (a + 1) // 2], axis=(-2, -1)))
    whole = jnp.concatenate([bins, others], axis=-1)
    return whole.reshape(*signal.shape[:-1], n)[..., : n // 2 + 1]


def irfft(spectrum: jax.Array, n: int) -> jax.Array:
    """Inverse of ``rfft``: complex ``[..., n // 2 + 1]`` to real ``[..., n]``, as ``numpy.fft.irfft``.

    Imaginary parts at DC and, for even n, Nyquist are ignored.
    """
    a, b = _factors(n)
    kept = a // 2 + 1
    others = jnp.conj(jnp.flip(spectrum[..., 1 : (n + 1) // 2], axis=-1))
    bins = jnp.concatenate([spectrum, others], axis=-1).reshape(*spectrum.shape[:-1], b, a)[..., :kept]
    columns = _einsum("...lk,lj->...kj", bins, _wave(b, b, b).conj().astype(spectrum.dtype))
    count = np.where(np.arange(kept) * 2 % a == 0, 1, 2)[:, None]  # rows that stand for a conjugate as well
    turn = _wave(kept, b, n).conj() * count / n
    columns = columns * _broadcast(turn.astype(spectrum.dtype), columns)
    wave = _wave(kept, a, a).conj().astype(spectrum.dtype)
    grid = _einsum("...kj,ki->...ij", columns.real, wave.real) - _einsum("...kj,ki->...ij", columns.imag, wave.imag)
    return grid.reshape(*spectrum.shape[:-1], n)


def _factors(n: int) -> tuple[int, int]:
    """The two factors of n that are closest to each other, the smaller first."""
    a = next(a for a in range(int(n**0.5), 0, -1) if n % a == 0)
    return a, n // a


@functools.cache
def _wave(rows: int, columns: int, n: int) -> np.ndarray:
    """``exp(-2 pi i r c / n)`` as ``[rows, columns]``."""
    return np.exp(-2j * np.pi * np.outer(np.arange(rows), np.arange(columns)) / n)


def _broadcast(table: np.ndarray, like: jax.Array) -> np.ndarray:
    """A table for the last two axes of ``like``, with as many axes."""
    return table.reshape((1,) * (like.ndim - 2) + table.shape)
