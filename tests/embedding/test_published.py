import json
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_dtypes import bfloat16
from safetensors.numpy import save_file

from diffvs_jax.embedding.published import load_published, to_params
from diffvs_jax.embedding.settings import HubertSettings
from diffvs_jax.errors import InputError
from tests.embedding import tiny

ASSETS = Path(__file__).parent / "assets"
SETTINGS = HubertSettings.from_config(tiny.CONFIG)


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)


def folder(path, arrays=None, config=tiny.CONFIG, **files):
    """A folder of published weights; ``files``: more of them, as JSON."""
    path.mkdir(exist_ok=True)
    save_file(tiny.arrays() if arrays is None else arrays, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config))
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


def test_what_pytorch_wrote_is_what_it_was_given():
    for path in (ASSETS / "tiny", ASSETS / "tiny" / "pytorch_model.bin"):
        published = load_published(path)
        assert_same(published.params, to_params(tiny.arrays(), SETTINGS))
        assert (published.name, published.settings, published.sample_rate) == ("tiny", SETTINGS, 4000)


def test_a_safetensors_file_is_taken_before_a_bin_file(tmp_path):
    other = tiny.arrays(seed=1)
    path = folder(tmp_path / "both", other)
    (path / "pytorch_model.bin").write_bytes((ASSETS / "tiny" / "pytorch_model.bin").read_bytes())
    assert_same(load_published(path).params, to_params(other, SETTINGS))


def test_half_precision_becomes_float32(tmp_path):
    halves = {name: values.astype(bfloat16) for name, values in tiny.arrays().items()}
    expected = to_params({name: values.astype(np.float32) for name, values in halves.items()}, SETTINGS)
    assert_same(load_published(folder(tmp_path / "half", halves)).params, expected)


def test_kernels_lie_as_ours_do():
    arrays, params = tiny.arrays(), to_params(tiny.arrays(), SETTINGS)
    weight = arrays["encoder.layers.0.feed_forward.intermediate_dense.weight"]
    np.testing.assert_array_equal(params["layer0"]["up"]["kernel"], weight.T)
    weight = arrays["feature_extractor.conv_layers.1.conv.weight"]  # [out, in, size]
    np.testing.assert_array_equal(params["features"]["conv1"]["kernel"][2, 1, 3], weight[3, 1, 2])


def test_the_projection_may_lack_a_norm():
    settings = HubertSettings.from_config(tiny.CONFIG | {"feat_proj_layer_norm": False})
    less = {name: values for name, values in tiny.arrays().items() if "feature_projection.layer_norm" not in name}
    expected = to_params(tiny.arrays(), SETTINGS)
    del expected["projection_norm"]
    assert_same(to_params(less, settings), expected)


@pytest.mark.parametrize("names", [("weight_g", "weight_v"), [f"parametrizations.weight.original{i}" for i in (0, 1)]])
def test_weight_norm_is_undone_tap_by_tap(names):
    arrays = tiny.arrays()
    g, v = (arrays.pop(f"{tiny.POSITIONS}.{name}") for name in ("weight_g", "weight_v"))
    arrays |= {f"{tiny.POSITIONS}.{names[0]}": g, f"{tiny.POSITIONS}.{names[1]}": v}
    kernel = to_params(arrays, SETTINGS)["positions"]["conv"]["kernel"]  # [size, in, out]
    for tap in range(4):
        np.testing.assert_allclose(kernel[tap].T, g[0, 0, tap] * v[:, :, tap] / np.linalg.norm(v[:, :, tap]), rtol=1e-6)
    plain = {name: values for name, values in arrays.items() if not name.startswith(tiny.POSITIONS + ".")}
    plain |= {f"{tiny.POSITIONS}.weight": kernel.T, f"{tiny.POSITIONS}.bias": arrays[f"{tiny.POSITIONS}.bias"]}
    assert_same(to_params(plain, SETTINGS), to_params(arrays, SETTINGS))


def test_names_may_have_a_prefix_and_heads_beside_the_encoder():
    arrays = {f"hubert.{name}": values for name, values in tiny.arrays().items()}
    arrays |= {"lm_head.weight": np.ones(3), "label_embs_concat": np.ones(3), "final_proj.bias": np.ones(3)}
    assert_same(to_params(arrays, SETTINGS), to_params(tiny.arrays(), SETTINGS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.layers.0.attention.q_proj.bias": None}, r"encoder\.layers\.0\.attention\.q_proj\.bias is missing"),
        ({f"{tiny.POSITIONS}.weight_g": None}, rf"{tiny.POSITIONS}\.weight is missing"),
        ({"encoder.layer_norm.bias": np.ones(9)}, r"encoder\.layer_norm\.bias is \(9,\), the config needs \(8,\)"),
        (
            {"feature_projection.projection.weight": np.ones((8, 5))},
            r"projection\.weight is \(8, 5\), the config needs \(8, 4\)",
        ),
        ({f"{tiny.POSITIONS}.weight_g": np.ones((8, 1, 1))}, r"weight_g is \(8, 1, 1\) and .*weight_v \(8, 4, 4\)"),
        ({"encoder.layers.1.layer_norm.bias": np.ones(8)}, r"encoder\.layers\.1\.layer_norm\.bias is not known"),
        ({f"encoder.extra{i}": np.ones(8) for i in range(5)}, "extra2 is not known and 2 more"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arrays = {name: values for name, values in (tiny.arrays() | change).items() if values is not None}
    with pytest.raises(InputError, match=message):
        to_params(arrays, SETTINGS)


def test_the_rate_is_what_a_file_tells(tmp_path):
    config = {key: value for key, value in tiny.CONFIG.items() if key != "sample_rate"}
    path = folder(tmp_path / "a", config=config)
    assert load_published(path, "name")[::3] == ("name", 24_000)
    folder(path, config=config | {"model_type": "hubert"})
    assert load_published(path).sample_rate == 16_000
    folder(path, config=config, preprocessor_config={"sampling_rate": 8000, "do_normalize": True})
    assert load_published(path).sample_rate == 8000


def test_a_folder_that_is_none_is_told_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"lost: no such file or folder; give a folder that holds weights"):
        load_published(tmp_path / "lost")
    with pytest.raises(InputError, match=r"holds neither model\.safetensors nor pytorch_model\.bin"):
        load_published(tmp_path)
    path = folder(tmp_path / "bad", preprocessor_config={"do_normalize": False})
    with pytest.raises(InputError, match=r"preprocessor_config\.json: do_normalize false is not built"):
        load_published(path)
    (path / "preprocessor_config.json").unlink()
    folder(path, config=tiny.CONFIG | {"deepnorm": True})
    with pytest.raises(InputError, match=f"{path}: deepnorm True is not built"):
        load_published(path)
    for content, message in (("{", "is not JSON"), ("[]", "is not a JSON object")):
        (path / "config.json").write_text(content)
        with pytest.raises(InputError, match=rf"config\.json: {message}"):
            load_published(path)
    (path / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json: No such file or directory; it belongs beside the weights"):
        load_published(path)
    folder(path)
    (path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"model\.safetensors: not a safetensors file"):
        load_published(path)
