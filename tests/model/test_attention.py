import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.model import attention
from diffvs_jax.model.attention import PixelAttention, attend
from tests.model.oracles import group_norm, normal, softmax_attention

F32 = jnp.dtype("float32")
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}


def qkv(*shape, dtype="float32"):
    return [jnp.asarray(normal(*shape, seed=seed), dtype) for seed in range(3)]


def wide(x):
    return np.asarray(x, np.float64)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_attend_is_softmax_attention(dtype):
    parts = qkv(2, 3, 7, 2, 8, dtype=dtype)
    got = jax.jit(lambda *parts: attend(*parts, "xla"))(*parts)
    assert got.dtype == dtype and got.shape == (2, 3, 7, 2, 8)
    np.testing.assert_allclose(wide(got), softmax_attention(*parts), atol=TOLERANCE[dtype])
    flat = [part.reshape(6, 7, 2, 8) for part in parts]
    theirs = jax.jit(lambda *flat: jax.nn.dot_product_attention(*flat, implementation="xla"))(*flat)
    np.testing.assert_allclose(wide(got).reshape(6, 7, 2, 8), wide(theirs), atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_large_logits_are_told_apart(dtype):
    """At 256 bfloat16 knows even numbers only, and float32's exponential overflows at 89."""
    q = jnp.asarray([32, 2, 0, 0], dtype).reshape(1, 1, 1, 4)
    k = jnp.asarray([[16, 0, 0, 0], [16, 1, 0, 0], [-16, 0, 0, 0]], dtype).reshape(1, 3, 1, 4)
    v = jnp.asarray(np.eye(3, 4), dtype).reshape(1, 3, 1, 4)
    got = jax.jit(lambda q, k, v: attend(q, k, v, "xla"))(jnp.repeat(q, 3, axis=1), k, v)
    expected = np.float64([1, np.e, 0, 0]) / (1 + np.e)
    np.testing.assert_allclose(wide(got)[0, :, 0], np.stack([expected] * 3), atol=TOLERANCE[dtype])


def test_gradients_of_attend_are_the_librarys():
    parts = [3 * part for part in qkv(2, 7, 2, 8)]

    def gradients(function):
        return jax.jit(jax.grad(lambda parts: jnp.sum(jnp.sin(function(*parts)))))(parts)

    ours = gradients(lambda *parts: attend(*parts, "xla"))
    theirs = gradients(lambda *parts: jax.nn.dot_product_attention(*parts, implementation="xla"))
    for got, expected in zip(ours, theirs, strict=True):
        assert np.isfinite(got).all() and np.abs(expected).max() > 0.1
        np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("asked", "machine", "dtype", "taken"),
    [
        ("auto", "gpu", "bfloat16", "cudnn"),
        ("auto", "gpu", "float16", "cudnn"),
        ("auto", "gpu", "float32", "xla"),
        ("auto", "cpu", "bfloat16", "xla"),
        ("auto", "tpu", "bfloat16", "xla"),
        ("xla", "gpu", "bfloat16", "xla"),
        ("cudnn", "gpu", "bfloat16", "cudnn"),
    ],
)
def test_auto_takes_cudnn_where_it_runs(monkeypatch, asked, machine, dtype, taken):
    paths = []

    def library(q, k, v, *, implementation):
        paths.append(implementation)
        return v

    def own(q, k, v):
        paths.append("xla")
        return v

    monkeypatch.setattr(jax, "default_backend", lambda: machine)
    monkeypatch.setattr(jax.nn, "dot_product_attention", library)
    monkeypatch.setattr(attention, "_attend_xla", own)
    jax.eval_shape(lambda *parts: attend(*parts, asked), *qkv(1, 3, 2, 8, dtype=dtype))
    assert paths == [taken]


@pytest.mark.parametrize(("dim", "taken"), [(8, "cudnn"), (128, "cudnn"), (12, "xla"), (136, "xla"), (256, "xla")])
def test_auto_leaves_heads_to_xla_that_cudnn_does_not_take(monkeypatch, dim, taken):
    paths = []
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax.nn, "dot_product_attention", lambda q, k, v, **_: paths.append("cudnn") or v)
    monkeypatch.setattr(attention, "_attend_xla", lambda q, k, v: paths.append("xla") or v)
    jax.eval_shape(lambda *parts: attend(*parts, "auto"), *qkv(1, 3, 1, dim, dtype="bfloat16"))
    assert paths == [taken]


def test_cudnn_is_given_sequences_heads_and_dimensions(monkeypatch):
    """On any machine: the library's own XLA path stands in for cudnn, for axes and scale."""
    library = jax.nn.dot_product_attention
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax.nn, "dot_product_attention", lambda *parts, implementation: library(*parts))
    parts = qkv(2, 3, 7, 2, 8, dtype="bfloat16")
    got = jax.jit(lambda *parts: attend(*parts, "cudnn"))(*parts)
    np.testing.assert_allclose(np.float32(got), softmax_attention(*map(np.float64, parts)), atol=2e-2)


def test_cudnn_is_refused_without_a_gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    with pytest.raises(InputError, match="attention_backend 'cudnn' needs a GPU, this is a tpu"):
        attend(*qkv(1, 3, 2, 8, dtype="bfloat16"), "cudnn")


def test_flash_attention_equals_xla():
    if jax.default_backend() != "gpu":
        pytest.skip("flash attention runs on NVIDIA GPUs alone")
    parts = qkv(2, 3, 64, 4, 32, dtype="bfloat16")

    def run(backend):
        def total(parts):
            out = attend(*parts, backend)
            return jnp.sum(jnp.sin(out.astype(jnp.float32))), out

        return jax.jit(jax.grad(total, has_aux=True))(parts)

    (flash_gradients, flash), (gradients, out) = run("cudnn"), run("xla")
    np.testing.assert_allclose(wide(flash), wide(out), atol=1e-2)
    for got, expected in zip(flash_gradients, gradients, strict=True):
        np.testing.assert_allclose(wide(got), wide(expected), atol=2e-2)


def pixel_attention(x, params, heads):
    """Ho et al. 2020: all pixels of ``[B, T, F, C]`` in one sequence."""
    b, t, f, c = x.shape
    h = group_norm(x, **params["norm"], groups=max(c // 4, 1)).reshape(b, t * f, c)
    q, k, v = np.split(h @ params["qkv"]["kernel"] + params["qkv"]["bias"], 3, axis=-1)
    out = softmax_attention(*(part.reshape(b, t * f, heads, c // heads) for part in (q, k, v)))
    out = out.reshape(b, t, f, c) @ params["out"]["kernel"] + params["out"]["bias"]
    return (x + out) / np.sqrt(2)


def build_pixels(heads, randomise, *shape):
    module, x = PixelAttention(heads, "xla", F32), normal(*shape)
    return module, randomise(jax.eval_shape(module.init, jax.random.key(0), x)["params"]), x


@pytest.mark.parametrize("heads", [1, 2])
def test_pixel_attention_is_ddpmpps(randomise, heads):
    module, params, x = build_pixels(heads, randomise, 2, 3, 4, 8)
    got = jax.jit(module.apply)({"params": params}, x)
    np.testing.assert_allclose(got, pixel_attention(x.astype(float), params, heads), atol=2e-5)


def test_pixel_attention_mixes_all_pixels_of_an_example(randomise, monkeypatch):
    monkeypatch.setattr(attention, "group_norm", lambda *_: lambda x: x)  # which mixes them as well
    module, params, x = build_pixels(2, randomise, 2, 3, 4, 8)
    changed = x.copy()
    changed[0, 2, 1] += 1
    out, moved = jax.jit(lambda *inputs: [module.apply({"params": params}, one) for one in inputs])(x, changed)
    difference = np.abs(moved - out).max(axis=-1)
    assert (difference[0] > 1e-4).all()
    np.testing.assert_array_equal(difference[1], np.zeros((3, 4)))


def test_pixel_attention_starts_as_its_residual_with_edms_weights():
    x = normal(1, 3, 4, 64)
    out, variables = jax.jit(PixelAttention(2, "xla", F32).init_with_output)(jax.random.key(0), x)
    np.testing.assert_allclose(out, x / np.sqrt(2), atol=1e-3)
    bound = np.sqrt(0.2) * np.sqrt(6 / (64 + 3 * 64))
    assert 0.97 * bound < np.abs(variables["params"]["qkv"]["kernel"]).max() <= bound


def test_heads_must_divide_the_channels_of_pixel_attention():
    with pytest.raises(InputError, match="num_heads 3 does not divide 8 channels under pixel attention"):
        jax.eval_shape(PixelAttention(3, "xla", F32).init, jax.random.key(0), normal(1, 3, 4, 8))
