"""Data sets on disk: a small class each behind one protocol."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from diffvs_jax.data.datasets.moisesdb import MoisesDB
from diffvs_jax.data.datasets.musdb import VALIDATION_TRACKS, Musdb
from diffvs_jax.data.datasets.pools import Pools
from diffvs_jax.data.datasets.stem_folders import StemFolders, stems_folder
from diffvs_jax.data.tracks import Track
from diffvs_jax.data.verdicts import load_verdicts
from diffvs_jax.errors import InputError

__all__ = [
    "KINDS",
    "VALIDATION_TRACKS",
    "Dataset",
    "Listing",
    "MoisesDB",
    "Musdb",
    "Pools",
    "StemFolders",
    "list_tracks",
    "open_dataset",
    "open_root",
    "open_split",
    "stems_folder",
]


class Dataset(Protocol):
    """A folder of tracks in some layout.

    Attributes:
      root: that folder.
      layout: how its files lie below ``root``, for messages.
    """

    @property
    def root(self) -> Path: ...  # noqa: D102
    @property
    def layout(self) -> str: ...  # noqa: D102

    def splits(self) -> list[str]:
        """Names of the splits there are."""

    def entries(self, split: str) -> list[Path]:
        """What stands for a track of a split: its folder or file. Raises ``InputError`` for no such split."""

    def open(self, entry: Path, names: Mapping[str, str] | None = None) -> Track:
        """The track of an entry, from its files' headers; ``names`` calls stems otherwise.

        Raises ``InputError`` for a track that is damaged.
        """


# In the order in which they are looked for: a folder of MoisesDB is also a folder of folders of audio.
KINDS: dict[str, Any] = {"moisesdb": MoisesDB, "pools": Pools, "musdb": Musdb, "stems": StemFolders}


class Listing(NamedTuple):
    """Tracks of a split, and for each that cannot be used a line that says why."""

    tracks: list[Track]
    problems: list[str]


def open_dataset(root: str | os.PathLike, kind: str = "", valid_tracks: Sequence[str] = ()) -> Dataset:
    """The data set in a folder.

    Args:
      root: its folder.
      kind: one of ``KINDS``; empty: by what lies in the folder.
      valid_tracks: names of tracks to hold out as split "valid"; none: those that the data set names
        itself (MUSDB18 does).

    Raises:
      InputError: no such folder, or nothing in it that looks like a data set.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such data set folder; expected {root / 'train' / 'TRACK' / 'vocals.wav'}")
    if kind and kind not in KINDS:
        raise InputError(f"data set kind '{kind}' is none of {', '.join(KINDS)}")
    found = [kind] if kind else [name for name, layout in KINDS.items() if layout.recognises(root)]
    if not found:
        layouts = "; ".join(f"{name}: {layout.layout}" for name, layout in KINDS.items())
        raise InputError(f"{root}: looks like no data set; known layouts are {layouts}")
    held_out = {"valid_tracks": tuple(valid_tracks)} if valid_tracks else {}
    return KINDS[found[0]](root, **held_out)


def open_root(root: str, valid_tracks: Sequence[str] = ()) -> Dataset:
    """The data set that "[KIND:]FOLDER" names; see ``open_dataset``."""
    kind, _, folder = root.partition(":")
    if kind not in KINDS or not folder:
        kind, folder = "", root
    return open_dataset(folder, kind, valid_tracks)


def list_tracks(dataset: Dataset, split: str, names: Mapping[str, str] | None = None) -> Listing:
    """The tracks of a split, sorted as the data set sorts them; only headers are read.

    Args:
      dataset: where from.
      split: "train", "valid", "test" or what else there is.
      names: stem name of the data set to the name it goes by here; for MoisesDB one of its eleven or
        of the four that they are summed to.

    Raises:
      InputError: no such split, or no tracks in it.
    """
    entries = dataset.entries(split)
    if not entries:
        raise InputError(
            f"{dataset.root}: split '{split}' holds no tracks; expected {dataset.layout} (.stem.mp4 files are not read)"
        )
    listing = Listing([], [])
    verdicts = load_verdicts(dataset.root)
    for entry in entries:
        try:
            track = dataset.open(entry, names)
            files, message = verdicts.get(entry, ([], ""))
            if message and files == track.fingerprint():
                listing.problems.append(f"{message} (found by diffvs_jax.data.check)")
            else:
                listing.tracks.append(track)
        except InputError as error:
            listing.problems.append(str(error))
    return listing


def open_split(root: str | os.PathLike, split: str) -> list[Track]:
    """All tracks of a split of the data set in a folder, whichever its kind.

    Raises:
      InputError: no such data set or split, or a track that is damaged.
    """
    tracks, problems = list_tracks(open_dataset(root), split)
    if problems:
        raise InputError(problems[0])
    return tracks
