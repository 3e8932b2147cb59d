"""Weights that HuggingFace's tools have downloaded before, found on disk. Nothing is ever downloaded."""

import os
from pathlib import Path

from diffvs_jax.embedding.published import FILES


def cache_folder() -> Path:
    """Where HuggingFace's tools keep models: HF_HUB_CACHE, or ``hub`` in HF_HOME, or in the user's cache folder."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(caches)) / "huggingface" / "hub"


def find_snapshot(model: str) -> Path | None:
    """The folder of a model's weights in the cache, such as of "m-a-p/MERT-v1-95M", or None.

    Of several snapshots the one that ``main`` was when it was last asked for, else the newest one.
    """
    folder = cache_folder() / f"models--{model.replace('/', '--')}"
    main = folder / "refs" / "main"
    named = main.read_text().strip() if main.is_file() else ""
    whole = [path.parent for path in folder.glob("snapshots/*/config.json") if _has_weights(path.parent)]
    return max(whole, key=lambda path: (path.name == named, path.stat().st_mtime), default=None)


def _has_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in FILES)
