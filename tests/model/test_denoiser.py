import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.base import get_config as get_base
from configs.small import get_config as get_small
from diffvs_jax.errors import InputError
from diffvs_jax.model.denoiser import abstract_params, build_network, init_params, make_denoiser
from tests.model.oracles import normal
from tests.nano import get_config

SIGMA = np.float32([0.3, 2.0])


def leaf_shapes(params):
    return {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(params)}


@pytest.fixture(scope="module")
def config():
    config = get_config()
    config.audio.n_fft = 32
    config.audio.num_frames = 6
    config.data.targets = ("vocals", "drums")
    config.model.dropout = 0.3
    return config


@pytest.fixture(scope="module")
def base():
    return abstract_params(get_base())


@pytest.fixture(scope="module")
def denoise(config, randomise):
    """``D(x, sigma, condition, dropout_key)`` with random weights, for two examples."""
    network, params = build_network(config), randomise(abstract_params(config))

    @jax.jit
    def run(x, sigma, condition, dropout_key=None):
        return make_denoiser(network, params, condition, 0.5, dropout_key)(x, sigma)

    return run


def test_base_config_has_the_papers_57_million_parameters_in_float32(base):
    leaves = jax.tree.leaves(base)
    assert sum(leaf.size for leaf in leaves) == 57_230_176
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}


def test_small_config_is_small_with_narrow_bands():
    config = get_small()
    assert 1.5e6 < sum(leaf.size for leaf in jax.tree.leaves(abstract_params(config))) < 5e6
    assert config.audio.num_bands >= 16


def test_four_targets_widen_only_the_stem_and_the_head(base):
    config = get_base()
    config.data.targets = ("vocals", "drums", "bass", "other")
    one, four = leaf_shapes(base), leaf_shapes(abstract_params(config))
    assert one.keys() == four.keys()
    changed = {name: four[name] for name in one if one[name] != four[name]}
    assert changed == {
        "['stem']['kernel']": (3, 3, 5 * 16, 128),
        "['head']['kernel']": (3, 3, 128, 4 * 16),
        "['head']['bias']": (4 * 16,),
    }


def test_network_gets_scaled_x_beside_the_clean_condition():
    class Spy:
        def apply(self, variables, inputs, c_noise, train, rngs):
            self.seen = variables, inputs, c_noise, train, rngs
            return jnp.ones((2, 3, 4, 5))

    spy, x, condition = Spy(), normal(2, 3, 4, 5), normal(2, 3, 4, 7, seed=1)
    out = make_denoiser(spy, {"weights": 1}, condition, 0.5)(x, jnp.asarray(SIGMA))
    variables, inputs, c_noise, train, rngs = spy.seen
    sigma = SIGMA[:, None, None, None]
    total = np.sqrt(sigma**2 + 0.25)
    assert variables == {"params": {"weights": 1}} and train is False and rngs is None
    np.testing.assert_allclose(inputs[..., :5], x / total, rtol=1e-5)
    np.testing.assert_array_equal(inputs[..., 5:], condition)
    np.testing.assert_allclose(c_noise, np.log(SIGMA) / 4, rtol=1e-5)
    np.testing.assert_allclose(out, x * 0.25 / total**2 + 0.5 * sigma / total, rtol=1e-5, atol=1e-6)


def test_output_depends_on_x_sigma_and_condition_example_by_example(denoise):
    x, condition = normal(2, 6, 8, 16), normal(2, 6, 8, 8, seed=1)
    out = np.asarray(denoise(x, SIGMA, condition))
    assert out.shape == (2, 6, 8, 16) and out.dtype == np.float32
    bump = np.float32([0.5, 0])
    spread = bump[:, None, None, None]
    for changed in ((x + spread, SIGMA, condition), (x, SIGMA + bump, condition), (x, SIGMA, condition + spread)):
        difference = np.abs(denoise(*changed) - out)
        assert difference[0].max() > 0.01
        np.testing.assert_allclose(difference[1], np.zeros((6, 8, 16)), atol=1e-5)


def test_dropout_acts_where_a_key_is_given(denoise):
    x, condition = normal(2, 6, 8, 16), normal(2, 6, 8, 8, seed=1)
    calm, *dropped = (
        np.asarray(denoise(x, SIGMA, condition, key)) for key in (None, *jax.random.split(jax.random.key(0)))
    )
    assert np.abs(dropped[0] - calm).max() > 0.01 and np.abs(dropped[0] - dropped[1]).max() > 0.01


def test_a_fresh_denoiser_returns_the_skip_share_of_x(config):
    config = config.copy_and_resolve_references()
    config.model.channel_mult = (1,)  # three blocks: compiles in a third of the time
    config.model.num_blocks = 0
    config.model.attention_levels = ()
    network = build_network(config)
    x, condition = normal(2, 6, 8, 16), normal(2, 6, 8, 8, seed=1)

    @jax.jit
    def run(key):
        params = init_params(network, config, key)
        return params, make_denoiser(network, params, condition, 0.5)(x, jnp.asarray(SIGMA))

    params, out = run(jax.random.key(0))
    assert leaf_shapes(params) == leaf_shapes(abstract_params(config))
    error = np.abs(out - x * (0.25 / (SIGMA**2 + 0.25))[:, None, None, None])
    assert 0 < error.max() < 1e-3


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("model", "channel_mult", (1, 1, 1, 1, 1), r"16 frequency bins must divide by .* 2 x 16"),
        ("model", "head_dim", 7, "head_dim is 7"),
        ("model", "attention", "flash", "model.attention 'flash' is none of"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(config, section, key, value, message):
    broken = config.copy_and_resolve_references()
    broken[section][key] = value
    with pytest.raises(InputError, match=message):
        build_network(broken)


def test_frames_that_cannot_halve_are_told_before_anything_is_computed(config):
    broken = config.copy_and_resolve_references()
    broken.model.resampling = "both"
    broken.audio.num_frames = 7
    with pytest.raises(InputError, match=r"num_frames 7 must divide by .* = 2 under resampling 'both'"):
        build_network(broken)


def test_widths_that_do_not_divide_are_refused_before_anything_is_computed(config):
    broken = config.copy_and_resolve_references()
    broken.model.channels = 132
    with pytest.raises(InputError, match="32 groups do not divide a layer of 132 channels"):
        abstract_params(broken)
