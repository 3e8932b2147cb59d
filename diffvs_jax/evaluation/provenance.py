"""What a score was made with: hashes, versions, and the commit of a checkout."""

import hashlib
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from diffvs_jax import __version__

_PACKAGES = ("jax", "jaxlib", "flax", "numpy", "scipy", "soundfile")


def versions() -> dict[str, str]:
    """Of this package, Python and what computes."""
    return {
        "diffvs_jax": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def commit() -> str:
    """The commit of the checkout that the package runs from, "-dirty" where files of it have changed since.

    Empty where it was installed otherwise, or there is no git.
    """
    here = Path(__file__).parent
    try:
        top = _git(here, "rev-parse", "--show-toplevel")
        if Path(top).resolve() != here.parent.parent.resolve():  # some other repository holds the installed package
            return ""
        dirty = "-dirty" if _git(here, "status", "--porcelain", "--untracked-files=no") else ""
        return _git(here, "rev-parse", "--short=12", "HEAD") + dirty
    except (OSError, subprocess.SubprocessError):
        return ""


def digest(content: Any) -> str:
    """A short hash of what JSON can hold, the same for equal content."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
