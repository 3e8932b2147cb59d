import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.model import roformer
from tests.model.oracles import normal

F32 = jnp.dtype("float32")
HEADS, DIM, WIDTH = 2, 4, 6


def rms_norm(x, scale):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True)) * scale


def rotate(x):
    """Position times frequency as a complex phase, for ``[L, heads, dim]``."""
    length, _, dim = x.shape
    phase = np.arange(length)[:, None] * 10_000.0 ** (-2 * np.arange(dim // 2) / dim)
    z = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * phase)[:, None]
    return np.stack([z.real, z.imag], axis=-1).reshape(x.shape)


def attention(x, params):
    """One head and one query at a time, for ``[L, C]``."""
    h = rms_norm(x, params["norm"]["scale"])
    q, k, v = (h @ params["qkv"]["kernel"]).reshape(len(x), 3, HEADS, DIM).swapaxes(0, 1)
    gates = 1 / (1 + np.exp(-(h @ params["gates"]["kernel"] + params["gates"]["bias"])))
    q, k = rotate(q), rotate(k)
    out = np.zeros((len(x), HEADS, DIM))
    for head in range(HEADS):
        for i in range(len(x)):
            weights = np.exp(k[:, head] @ q[i, head] / np.sqrt(DIM))
            out[i, head] = gates[i, head] * (weights / weights.sum()) @ v[:, head]
    return out.reshape(len(x), -1) @ params["out"]["kernel"]


def feed_forward(x, params):
    h = rms_norm(x, params["norm"]["scale"]) @ params["up"]["kernel"] + params["up"]["bias"]
    h = h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    return h @ params["down"]["kernel"] + params["down"]["bias"]


def build(module, randomise, *shape):
    x = normal(*shape)
    return module, randomise(jax.eval_shape(module.init, jax.random.key(0), x)["params"]), x


def run(module, params, x):
    return np.asarray(jax.jit(module.apply)({"params": params}, x))


def test_rotary_multiplies_interleaved_pairs_by_a_complex_phase():
    x = normal(2, 50, 3, 8)
    got = np.asarray(jax.jit(roformer.rotary)(x))
    np.testing.assert_allclose(got, np.stack([rotate(row) for row in x.astype(float)]), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(got[:, 0], x[:, 0])


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = (np.tile(normal(1, 1, 8, seed=seed), (20, 1, 1)) for seed in (0, 1))
    rotary = jax.jit(roformer.rotary)
    scores = np.einsum("ihd,jhd->ij", rotary(q), rotary(k))
    for distance in range(-10, 11):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, np.full(len(diagonal), diagonal[0]), atol=1e-4)
    assert np.ptp(scores) > 0.1


def test_rotary_keeps_the_type_of_its_input():
    assert jax.eval_shape(roformer.rotary, jnp.ones((3, 1, 4), jnp.bfloat16)).dtype == jnp.bfloat16


def test_rms_norm_divides_by_the_root_mean_square_and_keeps_zeros():
    x = normal(3, WIDTH)
    x[1] = 0
    norm, scale = roformer.rms_norm(F32, "norm"), normal(WIDTH, seed=1)

    def total(x):
        out = norm.apply({"params": {"scale": scale}}, x)
        return out.sum(), out

    gradient, got = jax.jit(jax.grad(total, has_aux=True))(x)
    got = np.asarray(got)
    np.testing.assert_allclose(got[[0, 2]], rms_norm(x[[0, 2]], scale), rtol=1e-5)
    np.testing.assert_array_equal(got[1], np.zeros(WIDTH))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("backend", ["xla", "auto"])
def test_attention_is_gated_rotary_softmax_attention(randomise, backend):
    module, params, x = build(roformer.Attention(HEADS, DIM, backend, F32), randomise, 2, 3, 7, WIDTH)
    expected = [attention(row, params) for row in x.reshape(6, 7, WIDTH).astype(float)]
    np.testing.assert_allclose(run(module, params, x).reshape(6, 7, WIDTH), expected, atol=1e-5)


def test_roformer_layer_adds_attention_then_feed_forward(randomise):
    module, params, x = build(roformer.RoFormerLayer(HEADS, DIM, 3, "xla", F32), randomise, 5, WIDTH)
    assert params["ffn"]["up"]["kernel"].shape == (WIDTH, 3 * WIDTH)
    middle = x.astype(float) + attention(x.astype(float), params["attention"])
    np.testing.assert_allclose(run(module, params, x), middle + feed_forward(middle, params["ffn"]), atol=2e-5)


def without(params, axis):
    """The same weights with the layer along one axis turned into the identity."""
    layer = params[axis]
    zero = jax.tree.map(np.zeros_like, {"out": layer["attention"]["out"], "down": layer["ffn"]["down"]})
    attention, ffn = layer["attention"] | {"out": zero["out"]}, layer["ffn"] | {"down": zero["down"]}
    return params | {axis: {"attention": attention, "ffn": ffn}}


@pytest.mark.parametrize(("alone", "silenced", "axis"), [("time", "frequency", 2), ("frequency", "time", 1)])
def test_each_path_mixes_its_own_axis_alone(randomise, alone, silenced, axis):
    module, params, x = build(roformer.DualPathRoFormer(HEADS, DIM, 2, "xla", F32), randomise, 2, 5, 4, WIDTH)
    params = without(params, silenced)
    changed = x.copy()
    changed[0, 3, 2] += 1
    difference = np.abs(run(module, params, changed) - run(module, params, x)).max(axis=-1)
    place = {2: np.s_[0, :, 2], 1: np.s_[0, 3, :]}[axis]
    assert (difference[place] > 1e-4).all(), f"the {alone} path must reach its whole axis"
    difference[place] = 0
    np.testing.assert_allclose(difference, np.zeros((2, 5, 4)), atol=1e-6)


def test_time_comes_first_then_frequency(randomise):
    module, params, x = build(roformer.DualPathRoFormer(HEADS, DIM, 2, "xla", F32), randomise, 1, 5, 4, WIDTH)

    def layer(x, part):
        middle = x + attention(x, part["attention"])
        return middle + feed_forward(middle, part["ffn"])

    h = x[0].astype(float)
    h = np.stack([layer(h[:, f], params["time"]) for f in range(4)], axis=1)
    h = np.stack([layer(h[t], params["frequency"]) for t in range(5)])
    np.testing.assert_allclose(run(module, params, x)[0], h, atol=5e-5)
