"""A model as others are given it: a folder with its weights, its program and its card."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from diffvs_jax.errors import InputError
from diffvs_jax.inference import artifact, model_card
from diffvs_jax.inference.model_card import Choices
from diffvs_jax.inference.separator import separation_plan
from diffvs_jax.model import tensor_file, weights
from diffvs_jax.model.weights import Model

FORMATS = ("orbax", "safetensors", "jax")


def write_export(path: str | os.PathLike, model: Model, choices: Choices) -> None:
    """Writes a model in some of ``FORMATS``, with a model card. The folder appears whole or not at all.

    Of the paths that training read from, the export keeps the last names alone.

    Raises:
      InputError: the folder exists already, a choice that is none, or settings that nothing can be separated with.
      OSError: it cannot be written.
    """
    path = Path(path).absolute()
    if path.exists():
        raise InputError(f"{path}: exists already; choose a new folder")
    _check(choices)
    separation_plan(model.config)
    model = model._replace(config=_without_paths(model.config))
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if "orbax" in choices.formats:
            weights.export(unfinished, model)  # makes the folder itself
            for file in unfinished.rglob("commit_success.txt"):
                file.write_text("Checkpoint commit was successful\n")  # orbax says where to, a path of ours
        unfinished.mkdir(parents=True, exist_ok=True)
        if "safetensors" in choices.formats:
            weights.export_file(unfinished / tensor_file.NAME, model, choices.dtype)
        if "jax" in choices.formats:
            (unfinished / artifact.NAME).write_bytes(artifact.make_artifact(model))
        (unfinished / model_card.NAME).write_text(model_card.model_card(model, path.name, choices), encoding="utf-8")
        unfinished.rename(path)
    except (InputError, OSError):
        raise
    except Exception as error:  # orbax raises all kinds
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise OSError(f"{path}: could not be written ({reason})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check(choices: Choices) -> None:
    """Raises ``InputError`` for choices that are none."""
    unknown = set(choices.formats) - set(FORMATS)
    if unknown or not choices.formats:
        raise InputError(f"formats {','.join(choices.formats)!r}: give some of {','.join(FORMATS)}")
    if choices.dtype not in tensor_file.DTYPES:
        raise InputError(f"dtype {choices.dtype!r} is none of {tensor_file.DTYPES}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", choices.license):
        raise InputError(f"license {choices.license!r}: give an identifier, such as cc-by-nc-4.0, or other")


def _without_paths(config: Any) -> Any:
    config = config.copy_and_resolve_references()
    songs = config.data.get("synthetic", {})
    for section, key in ((config, "init_from"), (config.data, "root"), (songs, "soundfont")):
        if section.get(key, ""):
            section[key] = ",".join(model_card.folder_names(section[key]))
    return config
