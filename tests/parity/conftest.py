"""Comparisons want float32 products in full, which accelerators shorten unless told."""

import jax
import pytest


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield
