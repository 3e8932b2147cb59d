"""MUSDB18-HQ: ``root/{train,test}/TRACK/{mixture,vocals,drums,bass,other}.wav``."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from diffvs_jax.data.datasets.stem_folders import stems_folder
from diffvs_jax.data.tracks import Track, audio_files, folders, rename_stems
from diffvs_jax.errors import InputError

# Of the 100 tracks in train/: what the musdb package keeps for validation, so that scores compare.
VALIDATION_TRACKS = (
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
)


@dataclasses.dataclass(frozen=True)
class Musdb:
    """A data set in MUSDB18-HQ's layout: a folder per split, a folder per track, a file per stem.

    Every audio file but ``mixture`` is a stem, so stem names other than MUSDB's and formats other
    than wav are welcome, and so are splits of other names.

    Attributes:
      root: the folder that holds the splits.
      valid_tracks: names of tracks in ``train`` that belong to the split "valid" instead.
    """

    root: Path
    valid_tracks: tuple[str, ...] = VALIDATION_TRACKS
    layout = "SPLIT/TRACK/STEM.wav"

    @staticmethod
    def recognises(root: Path) -> bool:
        """Whether one of the usual splits is there, or some folder of folders of audio files."""
        below = folders(root)
        return any(folder.name in ("train", "test", "valid") for folder in below) or any(map(_holds_tracks, below))

    def splits(self) -> list[str]:
        """Names of the splits there are."""
        names = [folder.name for folder in folders(self.root) if folders(folder)]
        return names if "valid" in names or not self._held_out() else [*names, "valid"]

    def entries(self, split: str) -> list[Path]:
        """The folders of a split's tracks.

        Raises:
          InputError: no such split.
        """
        folder = self.root / split
        if not folder.is_dir() and not (split == "valid" and self._held_out()):
            found = ", ".join(self.splits()) or "no folders"
            raise InputError(
                f"{self.root}: has no split '{split}' (found {found}); expected {folder / 'TRACK' / 'vocals.wav'}"
            )
        own = folders(folder) if folder.is_dir() else []
        if split == "train":
            return [entry for entry in own if entry.name not in self.valid_tracks]
        return own + (self._held_out() if split == "valid" else [])

    def open(self, entry: Path, names: Mapping[str, str] | None = None) -> Track:
        """The track in a folder (see ``stems_folder``), its stems called by ``names``."""
        return rename_stems(stems_folder(entry), names or {})

    def _held_out(self) -> list[Path]:
        train = self.root / "train"
        return [train / name for name in self.valid_tracks if (train / name).is_dir()]


def _holds_tracks(folder: Path) -> bool:
    return any(next(audio_files(track), None) for track in folders(folder))
