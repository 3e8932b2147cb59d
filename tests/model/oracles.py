"""The network's parts in plain numpy, and a look into programs."""

import jax
import numpy as np


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def silu(x):
    return x / (1 + np.exp(-x))


def group_norm(x, scale, bias, groups):
    """Wu & He 2018, over time, frequency and consecutive channels."""
    split = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)
    mean, var = split.mean(axis=(1, 3), keepdims=True), split.var(axis=(1, 3), keepdims=True)
    return ((split - mean) / np.sqrt(var + 1e-6)).reshape(x.shape) * scale + bias


def conv(x, layer):
    """Zero-padded correlation, one tap at a time."""
    kernel = layer["kernel"]
    size = kernel.shape[0]
    padded = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    taps = [padded[:, i : i + x.shape[1], j : j + x.shape[2]] @ kernel[i, j] for i in range(size) for j in range(size)]
    return sum(taps) + layer["bias"]


def softmax_attention(q, k, v):
    """Vaswani et al. 2017, for ``[..., L, heads, dim]``, in float64."""
    q, k, v = (np.asarray(part, np.float64) for part in (q, k, v))
    logits = np.einsum("...ihd,...jhd->...hij", q, k) / np.sqrt(q.shape[-1])
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.einsum("...hij,...jhd->...ihd", weights / weights.sum(axis=-1, keepdims=True), v)


def equations(function, *arguments):
    """Every primitive operation of a function's program, those of programs inside it included."""
    return list(_walk(jax.make_jaxpr(function)(*arguments).jaxpr))


def _walk(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(tuple(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _walk(inner)
