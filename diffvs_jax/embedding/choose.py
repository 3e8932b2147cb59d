"""Which embedding a command uses: what its flag ``--embedding`` means."""

import hashlib
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax

from diffvs_jax.embedding.encoder import Embedder
from diffvs_jax.embedding.hub import cache_folder, find_snapshot
from diffvs_jax.embedding.mse import Embed
from diffvs_jax.embedding.published import Published, fingerprint, load_published
from diffvs_jax.errors import InputError

MODEL = "m-a-p/MERT-v1-95M"
"""What the paper embeds with, by its name on the hub."""

_BATCH_ON_ACCELERATORS = 8  # chunks of ten seconds


class Embedding(NamedTuple):
    """An embedding.

    Attributes:
      name: to put over its column.
      embed: the function.
      fingerprint: a short hash of what it computes with: weights and their settings, or the source file of a
        user's module; empty where there is none to read.
    """

    name: str
    embed: Embed
    fingerprint: str = ""


def open_embedding(choice: str, say: Callable[[str], None]) -> Embedding | None:
    """The embedding that a user chose.

    Args:
      choice: "auto": MERT-v1-95M where HuggingFace's cache on disk has it, else none, which ``say`` is told
        in one line with how to get it; "none"; a folder or file of published weights; or "package.module:function",
        see ``mse.Embed``.
      say: takes a line.

    Raises:
      InputError: for any choice but "auto", when there is no such thing or it cannot be read.
    """
    if choice == "none":
        return None
    if choice == "auto":
        return _automatic(say)
    if re.fullmatch(r"[\w.]+:\w+", choice):
        return _imported(choice)
    try:
        return _encoder(load_published(Path(choice)))
    except InputError as error:
        raise InputError(
            f"embedding '{choice}': {error}; or choose auto, none, or a function as package.module:function"
        ) from None


def _automatic(say: Callable[[str], None]) -> Embedding | None:
    snapshot = find_snapshot(MODEL)
    if snapshot is None:
        say(
            f"no embedding MSE: {MODEL} is not in {cache_folder()}; run 'huggingface-cli download {MODEL}' where there "
            "is a network, or give the path of its folder (its licence, CC BY-NC 4.0, is for research)"
        )
        return None
    try:
        return _encoder(load_published(snapshot, MODEL.split("/")[1]))
    except InputError as error:
        say(f"no embedding MSE: {error}")
        return None


def _encoder(published: Published) -> Embedding:
    embedder = Embedder(published, batch_size=1 if jax.default_backend() == "cpu" else _BATCH_ON_ACCELERATORS)
    return Embedding(f"{published.name}, layer {embedder.layer}", embedder, fingerprint(published))


def _imported(choice: str) -> Embedding:
    module, _, name = choice.partition(":")
    try:
        imported = importlib.import_module(module)
        function = getattr(imported, name)
    except Exception as error:  # a user's module may fail in any way
        raise InputError(f"embedding '{choice}': {error}") from None
    if not callable(function):
        raise InputError(f"embedding '{choice}': is no function")
    source = Path(getattr(imported, "__file__", None) or "")
    known = hashlib.blake2b(source.read_bytes(), digest_size=8).hexdigest() if source.is_file() else ""
    return Embedding(choice, function, known)
