"""Diff-VS in JAX: generative separation of vocals from music.

Public names are loaded on first use, so that ``import diffvs_jax`` costs nothing and reading
songs in data workers never starts JAX.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffvs_jax.errors import InputError
    from diffvs_jax.inference.separator import Separator

__version__ = "0.1.0"
__all__ = ["InputError", "Separator", "__version__"]

_HOMES = {"Separator": "diffvs_jax.inference.separator", "InputError": "diffvs_jax.errors"}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'diffvs_jax' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
