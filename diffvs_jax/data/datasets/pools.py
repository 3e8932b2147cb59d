"""Pools of single stems that share no songs: ``root/vocals/*.wav``, ``root/instrumental/*.wav``."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from diffvs_jax.data.datasets.stem_folders import split_by_name, split_names
from diffvs_jax.data.tracks import AUDIO_SUFFIXES, Track, audio_files, folders, make_track, rename_stems

_VOCALS = "vocals"


@dataclasses.dataclass(frozen=True)
class Pools:
    """A folder per stem, in each of them files that have nothing to do with those of the others.

    Every file is a track of one stem, which training remixes with what other tracks hold.

    Attributes:
      root: the folder of the stems' folders.
      valid_tracks: "STEM/FILE" of the files that belong to the split "valid", without suffix.
    """

    root: Path
    valid_tracks: tuple[str, ...] = ()
    layout = "vocals/FILE.wav and instrumental/FILE.wav"

    @staticmethod
    def recognises(root: Path) -> bool:
        """Whether a folder of vocals is among the folders."""
        return (root / _VOCALS).is_dir() and next(audio_files(root / _VOCALS), None) is not None

    def splits(self) -> list[str]:
        """Names of the splits there are."""
        return split_names(self)

    def entries(self, split: str) -> list[Path]:
        """The files of a split, also from folders within the stems' folders.

        Raises:
          InputError: no such split.
        """
        found = [path for pool in folders(self.root) for path in sorted(pool.rglob("*"))]
        audio = [
            path
            for path in found
            if path.suffix.lower() in AUDIO_SUFFIXES
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(self.root).parts)
        ]
        return split_by_name(self.root, split, [(self._name(path), path) for path in audio], self.valid_tracks)

    def open(self, entry: Path, names: Mapping[str, str] | None = None) -> Track:
        """The track of one file, its stem called by ``names``.

        Raises:
          InputError: an empty or unreadable file.
        """
        name = self._name(entry)
        return rename_stems(make_track(name, {name.split("/")[0]: (entry,)}, whole=False), names or {})

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).with_suffix("").as_posix()
