"""Folders of stems: ``root/TRACK/STEM.EXT``, any names and any formats."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffvs_jax.data.tracks import Track, audio_files, folders, make_track, rename_stems
from diffvs_jax.errors import InputError

_MIXTURE = "mixture"
ORIGIN = ".prepared.json"
"""What ``data.prepare`` writes beside a track's stems: where they are from, and their bandwidths."""


@dataclasses.dataclass(frozen=True)
class StemFolders:
    """A folder per track, an audio file per stem, no splits.

    Attributes:
      root: the folder that holds the tracks' folders.
      valid_tracks: names of the tracks that belong to the split "valid"; all others are "train".
    """

    root: Path
    valid_tracks: tuple[str, ...] = ()
    layout = "TRACK/STEM.wav"

    @staticmethod
    def recognises(root: Path) -> bool:
        """Whether some folder holds audio files."""
        return any(next(audio_files(folder), None) for folder in folders(root))

    def splits(self) -> list[str]:
        """Names of the splits there are."""
        return split_names(self)

    def entries(self, split: str) -> list[Path]:
        """The folders of a split's tracks.

        Raises:
          InputError: no such split.
        """
        return split_by_name(self.root, split, [(path.name, path) for path in folders(self.root)], self.valid_tracks)

    def open(self, entry: Path, names: Mapping[str, str] | None = None) -> Track:
        """The track in a folder (see ``stems_folder``), its stems called by ``names``."""
        return rename_stems(stems_folder(entry), names or {})


def split_names(dataset: Any) -> list[str]:
    """Splits of a data set without folders for them: "valid" is there if it holds a track of that name."""
    return ["train", "valid"] if dataset.valid_tracks and dataset.entries("valid") else ["train"]


def split_by_name(root: Path, split: str, entries: list[tuple[str, Path]], valid_tracks: tuple[str, ...]) -> list[Path]:
    """Of entries (name, path): the named ones for "valid", the others for "train".

    Raises:
      InputError: another split, or no track is named.
    """
    if split == "train":
        return [path for name, path in entries if name not in valid_tracks]
    if split == "valid" and valid_tracks:
        return [path for name, path in entries if name in valid_tracks]
    raise InputError(
        f"{root}: has no split '{split}', all its tracks are 'train'; "
        "name tracks to hold out as 'valid' in data.valid_tracks, or use folders per split"
    )


def stems_folder(folder: Path) -> Track:
    """The track that one folder of ``STEM.EXT`` files holds, named after the folder.

    Raises:
      InputError: no stems, two files for one stem, or a stem that is empty or unreadable.
    """
    paths: dict[str, Path] = {}
    for path in audio_files(folder):
        if path.stem in paths:
            raise InputError(f"{folder}: both {paths[path.stem].name} and {path.name}; keep one of them")
        paths[path.stem] = path
    mixture = paths.pop(_MIXTURE, None)
    if not paths:
        raise InputError(f"{folder}: holds no stems; add files such as vocals.wav or remove the folder")
    stems = {stem: (path,) for stem, path in paths.items()}
    origin = folder / ORIGIN
    if not origin.is_file():
        return make_track(folder.name, stems, mixture)
    try:
        prepared = json.loads(origin.read_text(encoding="utf-8"))
        bandwidths, whole = dict(prepared["bandwidths"]), bool(prepared["whole"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{origin}: cannot be read ({error!r}); remove it or prepare the track again") from error
    return make_track(folder.name, stems, mixture, bandwidths, whole)
