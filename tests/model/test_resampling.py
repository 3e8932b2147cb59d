"""What sets this U-Net apart: levels halve the frequency axis, and time keeps its frames."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.model import attention, layers, unet
from diffvs_jax.model.convolution import upsample
from diffvs_jax.model.layers import RESAMPLED_AXES, downsample
from diffvs_jax.model.unet import UNet
from tests.model.networks import NANO
from tests.model.oracles import normal

FREQUENCY, BOTH = RESAMPLED_AXES["frequency"], RESAMPLED_AXES["both"]
C_NOISE = np.float32([0.3])
# Pixels attend to each other alike whichever axis they lie on, which dual-path RoFormers do not.
SETTINGS = dataclasses.replace(NANO, channel_mult=(1, 1), num_blocks=0, attention_levels=(), attention="pixel")


def image(rows):
    """``[T][F]`` numbers as ``[1, T, F, 1]``."""
    return np.float32(rows)[None, :, :, None]


X = image([[1, 3, 5, 9], [2, 4, 0, 8]])


@pytest.mark.parametrize(
    ("axes", "expected"),
    [(FREQUENCY, [[2, 7], [3, 4]]), (BOTH, [[2.5, 5.5]])],
    ids=["frequency", "both"],
)
def test_down_is_the_mean_of_neighbours_by_hand(axes, expected):
    np.testing.assert_array_equal(downsample(X, axes), image(expected))


@pytest.mark.parametrize(
    ("axes", "expected"),
    [(FREQUENCY, [[1, 1, 2, 2], [3, 3, 4, 4]]), (BOTH, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])],
    ids=["frequency", "both"],
)
def test_up_repeats_by_hand(axes, expected):
    np.testing.assert_array_equal(upsample(image([[1, 2], [3, 4]]), axes), image(expected))


@pytest.mark.parametrize(("axes", "factors"), [(FREQUENCY, (1, 2)), (BOTH, (2, 2))], ids=["frequency", "both"])
def test_up_and_down_at_random(axes, factors):
    x = normal(2, 6, 8, 5)
    t, f = factors
    down = sum(x[:, i::t, j::f] for i in range(t) for j in range(f)) / (t * f)
    np.testing.assert_allclose(downsample(x, axes), down, atol=1e-6)
    np.testing.assert_array_equal(upsample(x, axes), np.kron(x, np.ones((1, t, f, 1), np.float32)))
    np.testing.assert_allclose(downsample(upsample(x, axes), axes), x, atol=1e-6)


def build(randomise, x, **changes):
    module = UNet(dataclasses.replace(SETTINGS, **changes), out_channels=4)
    params = randomise(jax.eval_shape(module.init, jax.random.key(0), x, C_NOISE)["params"])

    def run(params, x):  # traced anew every time: what a test patches must not come out of a cache
        return np.asarray(jax.jit(lambda params: module.apply({"params": params}, x, C_NOISE))(params))

    return params, run


def test_with_its_axes_swapped_the_network_gives_the_swapped_output(randomise, monkeypatch):
    x = normal(1, 5, 8, 6)  # five frames: nothing could halve them
    params, run = build(randomise, x)
    out = run(params, x)
    turned = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1) if leaf.ndim == 4 else leaf, params)
    monkeypatch.setitem(layers.RESAMPLED_AXES, "frequency", (1,))
    swapped = run(turned, x.swapaxes(1, 2))
    assert out.shape == (1, 5, 8, 4) and np.std(out) > 0.1
    np.testing.assert_allclose(swapped, out.swapaxes(1, 2), atol=1e-4)


@pytest.mark.parametrize(("resampling", "reached"), [("frequency", [5]), ("both", [4, 5])])
def test_resampling_in_frequency_never_mixes_frames(randomise, monkeypatch, resampling, reached):
    """With everything else that mixes them gone: norms, attention, and kernels' taps before and after."""
    for module in (layers, attention, unet):
        monkeypatch.setattr(module, "group_norm", lambda *_: lambda x: x)
    x = normal(1, 8, 8, 6)
    params, run = build(randomise, x, resampling=resampling)

    def of_one_frame(path, leaf):
        if "pixels" in jax.tree_util.keystr(path):
            return np.zeros_like(leaf)
        if leaf.ndim == 4 and len(leaf) == 3:
            return leaf * np.float32([0, 1, 0]).reshape(3, 1, 1, 1)
        return leaf

    params = jax.tree_util.tree_map_with_path(of_one_frame, params)
    changed = x.copy()
    changed[0, 5] += 1
    difference = np.abs(run(params, changed) - run(params, x)).max(axis=(0, 2, 3))
    np.testing.assert_array_equal(np.flatnonzero(difference), reached)
    assert difference[reached].min() > 1e-3


@pytest.mark.parametrize(("resampling", "down"), [("frequency", (7, 4)), ("both", (4, 4))])
def test_a_level_halves_what_it_resamples_and_the_output_has_all_back(resampling, down):
    x = jax.ShapeDtypeStruct((1, 7 if resampling == "frequency" else 8, 8, 6), jnp.float32)
    module = UNet(dataclasses.replace(SETTINGS, resampling=resampling), out_channels=4)
    keep = {"capture_intermediates": True, "mutable": ["params", "intermediates"]}
    out, state = jax.eval_shape(lambda x: module.init_with_output(jax.random.key(0), x, C_NOISE, **keep), x)
    assert out.shape == (*x.shape[:3], 4)
    for name in ("encoder1_down", "middle_0", "middle_1", "decoder1_0"):
        assert state["intermediates"][name]["__call__"][0].shape[1:3] == down, name


def test_bins_must_halve_at_every_level():
    settings = dataclasses.replace(NANO, channel_mult=(1, 1, 1))
    settings.check_sizes(7, 12, num_bands=4)  # frames need not
    with pytest.raises(InputError, match=r"40 frequency bins must divide by .* 4 x 4; change audio.n_fft"):
        settings.check_sizes(8, 10, num_bands=4)


def test_frames_must_halve_too_where_both_axes_do():
    settings = dataclasses.replace(NANO, channel_mult=(1, 1, 1), resampling="both")
    settings.check_sizes(8, 12, num_bands=4)
    with pytest.raises(InputError, match=r"num_frames 6 must divide by 2\^\(levels - 1\) = 4 under resampling 'both'"):
        settings.check_sizes(6, 12, num_bands=4)
    with pytest.raises(InputError, match="40 frequency bins"):
        settings.check_sizes(8, 10, num_bands=4)
