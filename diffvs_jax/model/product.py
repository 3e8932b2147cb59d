"""Matrix products whose gradients a CPU computes as fast as the products themselves."""

from typing import Any

import jax
import jax.numpy as jnp


def product(a: jax.Array, b: jax.Array, dtype: jnp.dtype | None = None) -> jax.Array:
    """``a [..., M, K]`` times ``b [..., K, N]`` with equal leading axes, or ``b [K, N]`` with any; ``dtype`` results.

    The gradient of ``b`` is a^T times that of the result, a product over rows. XLA has no fast kernel
    for it on a CPU and takes two to ten times as long as over others: there the smaller of the two
    is transposed first.
    """
    if jax.default_backend() == "cpu" and a.dtype == b.dtype == (dtype or a.dtype):
        return _product(a, b)
    return _matmul(a, b, dtype)


def dense_product(x: jax.Array, kernel: jax.Array, axes: Any, **_: Any) -> jax.Array:
    """``product`` as the ``dot_general`` of ``nn.Dense``, whose ``axes`` are always the last and the first."""
    return product(x, kernel)


def _matmul(a: jax.Array, b: jax.Array, dtype: jnp.dtype | None = None) -> jax.Array:
    """``jnp.matmul``, but leading axes of one stay leading axes: by them rematerialisation tells attention apart."""
    return jnp.einsum("...mk,...kn->...mn" if b.ndim > 2 else "...k,kn->...n", a, b, preferred_element_type=dtype)


@jax.custom_vjp
def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return _matmul(a, b)


def _forward(a: jax.Array, b: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _matmul(a, b), (a, b)


def _backward(saved: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    a, b = saved
    to_a = _matmul(gradient, jnp.swapaxes(b, -1, -2))
    if b.ndim == 2:  # one matrix for all leading axes
        a, gradient = a.reshape(-1, a.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    return to_a, _over_rows(a, gradient)


def _over_rows(a: jax.Array, b: jax.Array) -> jax.Array:
    """a^T b, ``[..., K, N]``, of ``[..., M, K]`` and ``[..., M, N]``; barriers keep XLA from undoing the steps."""
    if a.size > b.size:
        return jnp.swapaxes(jax.lax.optimization_barrier(_over_rows(b, a)), -1, -2)
    return _matmul(jax.lax.optimization_barrier(jnp.swapaxes(a, -1, -2)), b)


_product.defvjp(_forward, _backward)
