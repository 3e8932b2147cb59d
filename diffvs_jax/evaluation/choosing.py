"""Which tracks of a data set are scored."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from ml_collections import ConfigDict

from diffvs_jax.data.source import LEFT_OUT, open_tracks, splits
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.pipeline import Entry, Failures, unique_names


def data_section(root: str, valid_tracks: Sequence[str], rename_stems: Sequence[str]) -> ConfigDict:
    """A config that names a data set; arguments as of the keys of ``data``."""
    data = {"root": root, "valid_tracks": tuple(valid_tracks), "rename_stems": tuple(rename_stems)}
    return ConfigDict({"data": data | {"targets": ("vocals",), "weights": (), "strict": False}})


def choose_split(config: ConfigDict, wanted: str | None) -> str:
    """The split that is wanted, or else "test"; or all tracks, where a data set has but one split."""
    if wanted is not None:
        return wanted
    found = splits(config)
    return found[0] if len(found) == 1 else "test"


def choose_tracks(
    config: ConfigDict,
    split: str,
    targets: Sequence[str],
    patterns: Sequence[str],
    most: int,
    failures: Failures,
    say: Callable[[str], None],
) -> list[Entry]:
    """Tracks of a split.

    Args:
      config: of ``data_section``.
      split: of the data set.
      targets: stems that tracks must have.
      patterns: names, or patterns of names; none: all tracks.
      most: so many from the first; 0: all.
      failures: told of tracks that cannot be used, unless patterns choose among the others.
      say: told what else is to be said of the data set.

    Raises:
      InputError: no such data set or split, or a pattern that fits no track.
    """
    config.data.targets = tuple(targets)
    left_out: list[str] = []

    def log(line: str) -> None:
        (left_out.append if line.startswith(LEFT_OUT) else say)(line)

    entries = unique_names(open_tracks(config, split, "", log=log))
    chosen = []
    for pattern in patterns:
        fitting = [entry for entry in entries if entry.name == pattern or fnmatchcase(entry.name, pattern)]
        if not fitting:
            names = ", ".join(entry.name for entry in entries[:5])
            why = "".join(f"; {line}" for line in left_out if pattern in line)
            raise InputError(f"--track={pattern}: no such track in split '{split}'; there are {names}, ...{why}")
        chosen += fitting
    if patterns:
        entries = [entry for entry in entries if entry in chosen]
    else:
        failures.left_out += left_out
    return entries[: most or None]
