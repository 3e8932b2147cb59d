"""MoisesDB: ``root/PROVIDER/ID/data.json`` and ``root/PROVIDER/ID/STEM/FILE.wav``, several files per stem."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffvs_jax.data.datasets.stem_folders import split_by_name, split_names
from diffvs_jax.data.tracks import Track, folders, make_track, rename_stems
from diffvs_jax.errors import InputError

_DESCRIPTION = "data.json"
# MoisesDB's eleven stems in MUSDB's four, as the moisesdb package mixes them.
FOUR_STEMS = {
    "vocals": "vocals",
    "bass": "bass",
    "drums": "drums",
    "other": "other",
    "guitar": "other",
    "other_plucked": "other",
    "percussion": "other",
    "piano": "other",
    "other_keys": "other",
    "bowed_strings": "other",
    "wind": "other",
}


@dataclasses.dataclass(frozen=True)
class MoisesDB:
    """MoisesDB as it is unpacked, with its stems summed to vocals, bass, drums and other.

    A track need not have every stem: what its description does not list is not in the song. Files
    end where their music ends, so stems of one track differ in length.

    Attributes:
      root: the folder of the providers' folders, or one provider's.
      valid_tracks: "ARTIST - SONG" or ids of the tracks that belong to the split "valid".
    """

    root: Path
    valid_tracks: tuple[str, ...] = ()
    layout = "PROVIDER/ID/data.json"

    @staticmethod
    def recognises(root: Path) -> bool:
        """Whether a description lies one or two folders below."""
        return any(any(root.glob(f"{depth}{_DESCRIPTION}")) for depth in ("*/", "*/*/"))

    def splits(self) -> list[str]:
        """Names of the splits there are."""
        return split_names(self)

    def entries(self, split: str) -> list[Path]:
        """The folders of a split's tracks.

        Raises:
          InputError: no such split.
        """
        tracks = [folder for folder in self._below() if (folder / _DESCRIPTION).is_file()]
        valid = set(self.valid_tracks)
        named = [(folder.name if folder.name in valid else _name(folder), folder) for folder in tracks]
        return split_by_name(self.root, split, named, self.valid_tracks)

    def open(self, entry: Path, names: Mapping[str, str] | None = None) -> Track:
        """The track that a folder's description lists.

        Args:
          entry: the folder.
          names: one of the eleven stems, or of the four that they are summed to, to another name.

        Raises:
          InputError: a description that is not MoisesDB's, or a file that is missing or unreadable.
        """
        stems: dict[str, list[Path]] = {}
        try:
            for stem in _describe(entry)["stems"]:
                for file in stem["tracks"]:
                    path = entry / stem["stemName"] / f"{file['id']}.{file['extension']}"
                    stems.setdefault(stem["stemName"], []).append(path)
        except (KeyError, TypeError) as error:
            raise InputError(f"{entry / _DESCRIPTION}: is not a MoisesDB description ({error!r})") from error
        track = make_track(_name(entry), stems, whole=False)
        other = names or {}
        four = {old: other.get(old, other.get(new, new)) for old, new in FOUR_STEMS.items()}
        return rename_stems(track, {**other, **four})

    def _below(self) -> list[Path]:
        below = folders(self.root)
        return below + [track for provider in below for track in folders(provider)]


def _describe(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / _DESCRIPTION}: cannot be read ({error})") from error


def _name(folder: Path) -> str:
    """ "ARTIST - SONG"; the folder's own name where the description cannot be read."""
    try:
        description = _describe(folder)
        return f"{description.get('artist', '')} - {description.get('song', 'untitled')}"
    except (InputError, AttributeError):
        return folder.name
