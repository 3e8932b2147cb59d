import importlib
import math

import jax
import pytest
from jax.extend.core import jaxprs_in_params

from configs.base import get_config as get_base
from configs.small import get_config as get_small
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.model.unet import REMAT
from diffvs_jax.profiling import cost, dry_run


def test_parts_add_up_and_follow_the_data(nano_config):
    parts = cost.parameters_by_part(nano_config)
    assert list(parts) == ["noise", "stem", "encoder1", "middle", "decoder1", "decoder0", "head"]
    assert sum(parts.values()) == sum(leaf.size for leaf in jax.tree.leaves(abstract_params(nano_config)))


@pytest.mark.parametrize(("name", "tera"), [("base", 4.61), ("ablations.bands_16", 1.15)])
def test_an_evaluation_costs_what_a_prototype_of_another_make_counted(name, tera):
    """Less what the prototype computes of doubled bins: a third of each 3x3 and half of each 1x1 convolution."""
    config = importlib.import_module(f"configs.{name}").get_config()
    widths = [config.model.channels * factor for factor in config.model.channel_mult]
    bins = config.audio.n_fft // 2 // config.audio.num_bands
    saved = sum(
        2 * config.audio.num_frames * (bins >> level) * width**2 * (9 / 3 + 1 / 2)
        for level, width in enumerate(widths[1:])  # level + 1's width at twice its bins
    )
    assert cost.evaluation_flops(config) + saved == pytest.approx(tera * 1e12, rel=0.01)


def products(jaxpr):
    """FLOPs of all convolutions and matrix products in a program, from their shapes."""
    total = 0
    for equation in jaxpr.eqns:
        total += sum(products(inner) for inner in jaxprs_in_params(equation.params))
        out = equation.outvars[0].aval
        if equation.primitive is jax.lax.conv_general_dilated_p:
            kernel = equation.invars[1].aval
            total += 2 * out.size * kernel.size // out.shape[-1]
        elif equation.primitive is jax.lax.dot_general_p:
            contracted = equation.params["dimension_numbers"][0][0]
            total += 2 * out.size * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    return total


def test_an_evaluation_costs_its_products_and_little_more():
    config = get_small()
    function, shapes = cost.evaluation(config, 1)
    expected = products(jax.make_jaxpr(function)(*shapes).jaxpr)
    # XLA leaves out products with the padding, and counts element-wise work.
    assert cost.evaluation_flops(config) == pytest.approx(expected, rel=0.05)
    assert expected < 0.03e12  # what small is for


def test_flops_of_one_convolution_more(nano_config):
    """A wider stem kernel adds its taps and nothing else: at 16 x 32 pixels, 16 + 8 channels to 16 and 16 to 8."""
    before = cost.evaluation_flops(nano_config)
    nano_config.model.stem_size = 1
    less = before - cost.evaluation_flops(nano_config)
    taps = 2 * 16 * 32 * (16 * 16 + 16 * 8)
    # XLA leaves out products with the padding: 9 taps reach 46 x 94 of 48 x 96 rows and columns.
    assert less == pytest.approx(taps * (9 * (46 * 94) / (48 * 96) - 1), rel=1e-3)


def test_evaluations_per_chunk_follow_the_sampler(nano_config):
    nano_config.sampler.num_steps = 7
    assert cost.evaluations_per_chunk(nano_config) == 13
    nano_config.sampler.num_samples = 3
    assert cost.evaluations_per_chunk(nano_config) == 39
    nano_config.sampler.name = "dpmpp_2m"
    assert cost.evaluations_per_chunk(nano_config) == 21


def test_seconds_per_chunk_are_the_step_not_the_length():
    assert cost.seconds_per_chunk(get_base()) == pytest.approx(131_072 / 44_100)


def test_remat_trades_kept_memory_for_work(nano_config):
    kept = {remat: cost.kept_bytes(nano_config, remat, 2) for remat in REMAT}
    assert kept["none"] > kept["selective"] > kept["block"] > 0
    flops = {remat: cost.training_flops(nano_config, remat) for remat in REMAT}
    assert flops["none"] < flops["selective"] < flops["block"]
    forward = cost.evaluation_flops(nano_config)
    # The forward pass once more, but for what lies outside of blocks or ends them.
    assert flops["none"] + 0.4 * forward < flops["block"] < flops["none"] + forward
    assert flops["selective"] < flops["none"] + 0.2 * forward
    assert nano_config.model.remat == "none"  # counting leaves the config as it was


def test_memory_grows_with_the_batch(nano_config):
    nano_config.model.channel_mult = (1,)  # traced, and compiled, in half the time
    small, large = (cost.kept_bytes(nano_config, "none", batch) for batch in (2, 6))
    assert large == pytest.approx(3 * small, rel=0.05)
    small, large = (cost.temporary_bytes(nano_config, "none", batch) for batch in (2, 6))
    assert 2 * small < large < 4 * small
    assert small > 0.5 * cost.kept_bytes(nano_config, "none", 2)


def test_half_precision_keeps_about_half(nano_config):
    nano_config.model.channel_mult = (1,)  # traced, and compiled, in half the time
    single = cost.kept_bytes(nano_config, "none", 2)
    nano_config.model.dtype = "bfloat16"
    assert 0.4 * single < cost.kept_bytes(nano_config, "none", 2) < 0.8 * single


def test_the_state_counts_parameters_moments_and_averages(nano_config):
    parameters = sum(cost.parameters_by_part(nano_config).values())
    assert cost.state_bytes(nano_config) == 4 * parameters * (1 + 2 + len(nano_config.train.ema_rates))


def test_hours_are_those_of_a_share_of_the_peak():
    """Two hours of one H100's 989 TFLOP/s at 40 %; another has a peak of its own, and many share the work."""
    rows = {name: list(map(float, numbers)) for name, *numbers in dry_run.hours(2 * 3600 * 0.4 * 989e12)}
    assert rows["H100"] == pytest.approx([2.0, 0.5, 0.25, 0.125], abs=0.051)
    assert rows["TPU v5p"][0] == pytest.approx(2 * 989 / 459, abs=0.051)
