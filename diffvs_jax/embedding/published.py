"""Published weights of HuBERT and MERT as HuggingFace keeps them: ``config.json`` and the numbers beside it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError, safe_open

from diffvs_jax.embedding.hubert import Hubert
from diffvs_jax.embedding.settings import HubertSettings
from diffvs_jax.embedding.torch_file import read_torch_file
from diffvs_jax.errors import InputError

FILES = ("model.safetensors", "pytorch_model.bin")  # in a folder the first there is
_RATES = {"hubert": 16_000, "mert_model": 24_000}  # Hz, where no file tells
# What training needs and hidden states do not: the start of a parameter's name.
_UNUSED = ("masked_spec_embed", "label_embs_concat", "final_proj.", "feature_extractor_cqt.", "lm_head.")
_POSITIONS = "encoder.pos_conv_embed.conv"
_WEIGHT_NORMS = (  # names of magnitudes and directions: PyTorch's present ones, then those before 2.0
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ("weight_g", "weight_v"),
)


class Published(NamedTuple):
    """An encoder's weights.

    Attributes:
      name: of the folder that they came from.
      settings: what they fit.
      params: nested dict of float32 arrays, for ``Hubert``.
      sample_rate: in Hz, of the waveforms that they were trained on.
    """

    name: str
    settings: HubertSettings
    params: Any
    sample_rate: int


def load_published(path: Path, name: str | None = None) -> Published:
    """Loads weights from a folder, or from a ``.safetensors`` or ``.bin`` file with ``config.json`` beside it.

    Args:
      path: of the folder or file.
      name: of the weights; the folder's by default.

    Raises:
      InputError: no such file, one that cannot be read, a variant that is not built, or parameters
        that are missing, left over or of another shape.
    """
    path = Path(path)
    file = _weights_file(path)
    config = _read_json(file.with_name("config.json"))
    preprocessor = file.with_name("preprocessor_config.json")
    preprocessing = _read_json(preprocessor) if preprocessor.is_file() else {}
    if preprocessing.get("do_normalize", True) is not True:
        raise InputError(f"{preprocessor}: do_normalize false is not built; true is")
    rate = config.get("sample_rate") or preprocessing.get("sampling_rate") or _RATES.get(config.get("model_type", ""))
    try:
        settings = HubertSettings.from_config(config)
        params = to_params(_read_arrays(file), settings)
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(str(file)) else f"{file.parent}: {message}") from None
    return Published(name or file.parent.resolve().name, settings, params, rate or _RATES["hubert"])


def fingerprint(published: Published) -> str:
    """Tells weights apart: a short hash of parameters, settings and rate, whatever their name."""
    digest = hashlib.blake2b(f"{published.settings} {published.sample_rate}".encode(), digest_size=8)
    for path, leaf in sorted(traverse_util.flatten_dict(published.params, sep="/").items()):
        digest.update(f"{path} {leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()


def to_params(arrays: Mapping[str, np.ndarray], settings: HubertSettings) -> Any:
    """Parameters of ``Hubert``, float32, from those of HuggingFace's HubertModel by name.

    Names may have a prefix such as "hubert." in common.

    Raises:
      InputError: parameters that are missing, of another shape, or not known.
    """
    given = _plain_positions(_without_prefix(arrays))
    params, faults = {}, []
    for key, shape in _shapes(settings).items():
        name = _their_name(key)
        values = given.pop(name, None)
        if values is None:
            faults.append(f"{name} is missing")
            continue
        ours = values.T if key.endswith("kernel") else values  # [out, in] and [out, in, size], both reversed
        if ours.shape != shape:
            theirs = shape[::-1] if key.endswith("kernel") else shape
            faults.append(f"{name} is {values.shape}, the config needs {theirs}")
        params[key] = np.ascontiguousarray(ours, np.float32)
    faults += [f"{name} is not known" for name in given if not name.startswith(_UNUSED)]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InputError("these are no weights of this HuBERT: " + "; ".join(faults[:3]) + more)
    return traverse_util.unflatten_dict(params, sep="/")


def _weights_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = [path / name for name in FILES if (path / name).is_file()]
    if not found:
        missing = f"holds neither {' nor '.join(FILES)}" if path.is_dir() else "no such file or folder"
        raise InputError(f"{path}: {missing}; give a folder that holds weights and config.json")
    return found[0]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it belongs beside the weights") from None
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object")
    return content


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    if file.suffix != ".safetensors":
        return read_torch_file(file)
    try:
        with safe_open(file, framework="numpy") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{file}: not a safetensors file that can be read ({error})") from None


def _without_prefix(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By names without what stands before all of the encoder's."""
    known = "feature_projection.projection.weight"
    prefix = next((name.removesuffix(known) for name in arrays if name.endswith(known)), "")
    return {name.removeprefix(prefix): values for name, values in arrays.items()}


def _plain_positions(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With the kernel that weight norm means: of each tap, a direction of unit length times its magnitude.

    Salimans & Kingma 2016, eq. 2, over the last axis of ``[out, in, size]``.
    """
    for magnitudes, directions in _WEIGHT_NORMS:
        names = [f"{_POSITIONS}.{part}" for part in (magnitudes, directions)]
        if not all(name in arrays for name in names):
            continue
        g, v = (arrays.pop(name).astype(np.float64) for name in names)
        if v.ndim != 3 or g.shape != (1, 1, v.shape[-1]):
            raise InputError(f"{names[0]} is {g.shape} and {names[1]} {v.shape}: (1, 1, size) and (out, in, size)")
        arrays[f"{_POSITIONS}.weight"] = g * v / np.sqrt(np.square(v).sum(axis=(0, 1), keepdims=True))
    return arrays


def _shapes(settings: HubertSettings) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters by their paths in the tree."""
    network = Hubert(settings)
    waveforms = jax.ShapeDtypeStruct((1, settings.field), jnp.float32)
    tree = jax.eval_shape(network.init, jax.random.key(0), waveforms, jax.ShapeDtypeStruct((1,), jnp.int32))
    return {key: leaf.shape for key, leaf in traverse_util.flatten_dict(tree["params"], sep="/").items()}


def _their_name(key: str) -> str:
    """The name that one of our parameters, such as "layer3/attention/q/kernel", has in HuggingFace's."""
    *path, leaf = key.split("/")
    end = "bias" if leaf == "bias" else "weight"
    first, rest = path[0], path[1:]
    if first == "features":
        conv, _, norm = rest[0].removeprefix("conv").partition("_")
        return f"feature_extractor.conv_layers.{conv}.{'layer_norm' if norm else 'conv'}.{end}"
    if first.startswith("layer"):
        part = _LAYER_PARTS.get(rest[0]) or f"attention.{rest[-1]}_proj"
        return f"encoder.layers.{first.removeprefix('layer')}.{part}.{end}"
    return f"{_PARTS[first]}.{end}"


_LAYER_PARTS = {
    "norm0": "layer_norm",
    "norm1": "final_layer_norm",
    "up": "feed_forward.intermediate_dense",
    "down": "feed_forward.output_dense",
}
_PARTS = {
    "projection_norm": "feature_projection.layer_norm",
    "projection": "feature_projection.projection",
    "positions": _POSITIONS,
    "norm": "encoder.layer_norm",
}
