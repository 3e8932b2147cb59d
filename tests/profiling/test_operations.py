import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.model.denoiser import build_network, init_params
from diffvs_jax.profiling.chips import peak_flops
from diffvs_jax.profiling.operations import KINDS, kinds_of_operations, time_by_kind


def test_kinds_of_a_network(nano_config):
    network = build_network(nano_config)
    params = init_params(network, nano_config, jax.random.key(0))
    x, c_noise = jnp.ones((1, 16, 32, 16)), jnp.zeros((1,))
    compiled = jax.jit(lambda p: network.apply({"params": p}, x, c_noise)).lower(params).compile()
    kinds = kinds_of_operations(compiled.as_text())
    assert {"convolutions", "dense layers", "attention", "norms", "element-wise and copies"} <= set(kinds.values())
    assert set(kinds.values()) <= set(KINDS)
    dots = re.findall(r"%(\S+) = \S+ dot\([^)]*\), (\w+)", compiled.as_text())
    batched = {name for name, first in dots if first == "lhs_batch_dims"}
    assert len(batched) == 4  # two of each attention, over time and over frequency; no others have batch axes
    assert {name for name, _ in dots if kinds[name] == "attention"} == batched


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: x @ x, "dense layers"),
        (lambda x: jnp.sin(x) + jnp.exp(x), "element-wise and copies"),
        (
            lambda x: jax.lax.conv_general_dilated(x[None, None], x[None, None, :3, :3], (1, 1), "SAME"),
            "convolutions",
        ),
    ],
    ids=["dot", "sin", "conv"],
)
def test_a_program_of_one_kind_spends_its_time_there(function, kind):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((400, 400)), jnp.float32)
    compiled = jax.jit(function).lower(x).compile()
    shares = time_by_kind(compiled, lambda: jax.block_until_ready(compiled(x)))
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=shares.__getitem__) == kind


def test_peaks_are_found_by_the_names_jax_gives():
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("TPU v5 lite") == 197e12
    assert peak_flops("TPU v5p") == 459e12
    assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    for unknown in ("cpu", "NVIDIA L40S", "TPU v5e"):
        assert peak_flops(unknown) is None
