"""What separation needs and no more: averaged parameters, their config, and the band statistics.

On disk it is a folder with two orbax items: ``weights`` (arrays) and ``config`` (JSON). A
training run holds one such folder per step, ``checkpoints/STEP``, beside the items that only
training needs; an export is one alone, a safetensors file of the same (see ``tensor_file``), or both.
What is called a folder below may be such a file.
"""

import contextlib
import hashlib
import operator
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from diffvs_jax.errors import InputError
from diffvs_jax.model import tensor_file
from diffvs_jax.model.denoiser import Params, abstract_params

_READ_TO_SEPARATE = (
    "compilation_cache",
    *(f"sampler.{key}" for key in ("name", "num_steps", "sigma_min", "sigma_max", "rho", "num_samples", "loop")),
    *(f"sampler.{key}" for key in ("s_churn", "s_t_min", "s_t_max", "s_noise")),
    *(f"separation.{key}" for key in ("step_frames", "taper_frames", "batch_size", "sum_to_mixture")),
    *(f"separation.{key}" for key in ("joint", "joint_chunks", "context_chunks")),
)
CHECKPOINTS = "checkpoints"  # where a training run's steps lie in its workdir
BUNDLED = Path(__file__).parent.parent / "assets" / "models"  # NAME.safetensors for every model in the package


class Model(NamedTuple):
    """A trained model.

    ``params`` are averaged parameters; ``stats`` maps "mixture" ``[bands]`` and "targets"
    ``[S, bands]`` to standard deviations; ``step`` is how long it was trained; ``scores`` are those
    of validation that lie beside the weights, by their names in ``metrics.jsonl``.
    """

    params: Params
    stats: dict[str, Any]
    config: ConfigDict
    step: int
    scores: Mapping[str, float] = MappingProxyType({})


def weights_item(ema: tuple[Params, ...], stats: dict[str, Any]) -> dict[str, Any]:
    """The tree stored under ``weights``: one set of parameters per EMA rate, and the statistics."""
    return {"ema": list(ema), "stats": stats}


def config_item(config: ConfigDict, step: int, num_ema: int) -> dict[str, Any]:
    """The JSON stored under ``config``."""
    return {"step": step, "num_ema": num_ema, "config": config.to_dict()}


def find(path: str | os.PathLike) -> Path:
    """What holds the weights: an export's folder, its safetensors file, the newest step of a training run.

    What is none of them may be the name of a model in the package.

    Raises:
      InputError: nothing there, or something else.
    """
    path = Path(path)
    if path.is_file() and path.suffix == tensor_file.SUFFIX:
        return path
    if not path.is_dir():
        bundled = {file.stem: file for file in BUNDLED.glob(f"*{tensor_file.SUFFIX}")}
        if str(path) in bundled:
            return bundled[str(path)]
        names = f", or one of the package's models: {', '.join(sorted(bundled))}" if bundled else ""
        raise InputError(f"{path}: no such checkpoint folder; give a training run's workdir or an export{names}")
    if _holds_model(path):
        return path
    if (path / tensor_file.NAME).is_file():
        return path / tensor_file.NAME
    found = steps(path / CHECKPOINTS if (path / CHECKPOINTS).is_dir() else path)
    if not found:
        raise InputError(f"{path}: holds no checkpoint; give a training run's workdir or an export")
    return found[-1]


def steps(folder: Path) -> list[Path]:
    """The finished steps that lie in a folder, the newest last; none where there is no such folder."""
    found = [step for step in folder.glob("*") if step.name.isdigit() and _holds_model(step)]
    return sorted(found, key=lambda step: int(step.name))


def load(path: str | os.PathLike) -> Model:
    """Reads a model from a training run, one of its steps, or an export; arrays come as float32 of numpy.

    Raises:
      InputError: no checkpoint there, or arrays that do not fit its config.
    """
    folder = find(path).absolute()
    saved = load_record(folder)
    config = _to_config(saved)
    bands, targets = config.audio.num_bands, len(config.data.targets)
    stats = {"mixture": _array(bands), "targets": _array(targets, bands)}
    try:
        params = abstract_params(config)
        _ = [operator.attrgetter(name)(config) for name in _READ_TO_SEPARATE]
    except (TypeError, AttributeError) as error:  # a key that this version wants or does not know
        raise InputError(
            f"{folder}: saved by another version of diffvs_jax, its config does not fit: {error}"
        ) from None
    abstract = weights_item((params,) * saved["num_ema"], stats)
    check_shapes(folder, "weights", abstract)
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)
    weights = read_item(folder, "weights", like)
    best = {"validation/csdr": saved["csdr"]} if "csdr" in saved else {}
    return Model(weights["ema"][0], weights["stats"], config, saved["step"], saved.get("scores", best))


def fingerprint(model: Model) -> str:
    """Tells models apart: a hash of parameters and statistics."""
    digest = hashlib.blake2b(digest_size=16)
    for path, leaf in jax.tree_util.tree_leaves_with_path((model.params, model.stats)):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()


def load_config(folder: Path) -> ConfigDict:
    """The config that a step or an export was trained with."""
    return _to_config(load_record(folder))


def load_record(folder: Path) -> dict[str, Any]:
    """What ``config_item`` and the trainer put beside the arrays of a step or an export."""
    if folder.is_file():
        return tensor_file.read_record(folder)
    return _restore(folder.absolute(), config=ocp.args.JsonRestore()).config


def differences(saved: ConfigDict, config: ConfigDict) -> Iterator[tuple[str, Any, Any]]:
    """Keys, with both values, whose change leaves arrays that fit and yet mean something else."""
    model = ("num_heads", "head_dim", "attention", "resampling", "embedding", "fourier_scale")
    names = (*(f"audio.{key}" for key in config.audio), *(f"model.{key}" for key in model))
    for name in (*names, "edm.sigma_data", "data.targets"):
        try:
            before = operator.attrgetter(name)(saved)
        except AttributeError:
            before = "unknown"  # saved by a version without that key
        now = operator.attrgetter(name)(config)
        if before != now:
            yield name, before, now


def read_item(folder: Path, name: str, abstract: Any) -> Any:
    """One item's arrays, shaped, typed and sharded as ``abstract`` says; numpy's where it holds numpy's."""
    if folder.is_file():
        return jax.tree.map(_laid_out, _weights_of_file(folder), abstract)
    return _restore(folder.absolute(), **{name: ocp.args.StandardRestore(abstract)})[name]


def export(path: str | os.PathLike, model: Model) -> None:
    """Writes a model alone, by orbax. The folder appears whole or not at all.

    Raises:
      InputError: the folder exists already.
    """
    path = Path(path).absolute()
    if path.exists():
        raise InputError(f"{path}: exists already; choose a new folder")
    items = ocp.args.Composite(
        weights=ocp.args.StandardSave(weights_item((model.params,), model.stats)),
        config=ocp.args.JsonSave(_record(model)),
    )
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(path, args=items)


def export_file(path: Path, model: Model, dtype: str = "float32") -> None:
    """Writes a model as one safetensors file; ``dtype`` is that of the parameters in it."""
    tensor_file.write(path, model.params, model.stats, _record(model), dtype)


def check_shapes(folder: Path, name: str, expected: Any) -> None:
    """Compares an item's arrays with a tree of shapes; orbax's before any is read.

    Raises:
      InputError: names the first leaf that is missing, left over, or of another shape.
    """
    if folder.is_file():
        stored = _shapes(_weights_of_file(folder))
    else:
        with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:  # a Checkpointer warns of step metadata
            stored = _shapes(handler.metadata(folder / name).tree)
    wanted = _shapes(expected)
    for leaf in sorted(wanted.keys() | stored.keys()):
        if stored.get(leaf) != wanted.get(leaf):
            raise InputError(
                f"{folder / name}: does not fit the config: {leaf} is {stored.get(leaf, 'missing')} on disk, "
                f"the config needs {wanted.get(leaf, 'nothing there')}"
            )


def _record(model: Model) -> dict[str, Any]:
    """What an export says of its arrays."""
    return config_item(model.config, model.step, num_ema=1) | {"scores": dict(model.scores)}


def _weights_of_file(path: Path) -> dict[str, Any]:
    """The tree of ``weights_item`` out of a safetensors file."""
    params, stats = tensor_file.read(path)
    return weights_item((params,), stats)


def _laid_out(array: np.ndarray, like: Any) -> Any:
    return array if isinstance(like, np.ndarray) else jax.device_put(array, like.sharding)


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}


def _holds_model(folder: Path) -> bool:
    return (folder / "weights").is_dir() and (folder / "config").is_dir()


def _restore(folder: Path, **items: Any) -> Any:
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        return checkpointer.restore(folder, args=ocp.args.Composite(**items))


def _to_config(saved: dict[str, Any]) -> ConfigDict:
    return ConfigDict(_tuples(saved["config"]))


def _array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.float32)


def _tuples(value: Any) -> Any:
    """JSON knows no tuples; every list of a config is one."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
