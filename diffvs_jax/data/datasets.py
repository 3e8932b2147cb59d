"""Folders of stems on disk as tracks: what can be drawn from, before any sample is read.

A ``Track`` says where its stems lie and nothing about the data set it comes from, so every
data set that names its stems fits in one pipeline.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.errors import InputError

# A file with another suffix (cover.jpg, README.txt) is no stem.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".caf", ".w64")

_MIXTURE = "mixture"


@dataclasses.dataclass(frozen=True)
class Track:
    """A song and its stems.

    Attributes:
      name: what the data set calls it.
      stems: stem name to audio file, sorted by name.
      mixture: the data set's own mixture; None when it is the sum of the stems.
      seconds: duration of the shortest stem.
      sample_rate: of the first stem, in Hz.
      num_channels: of the first stem.
    """

    name: str
    stems: Mapping[str, Path]
    mixture: Path | None
    seconds: float
    sample_rate: int
    num_channels: int

    def read_stem(self, stem: str, start: int, num_samples: int, sample_rate: int, num_channels: int) -> np.ndarray:
        """A segment of one stem, float32 ``[num_samples, num_channels]``.

        Args:
          stem: a key of ``stems``.
          start: first sample, counted at ``sample_rate``.
          num_samples: length at ``sample_rate``; beyond the end of the file it is zeros.
          sample_rate: wanted rate in Hz, resampled to where the file has another.
          num_channels: wanted channels; mono is duplicated, to mono is the mean.

        Raises:
          InputError: the file cannot be read, or holds NaN or infinite samples.
        """
        path = self.stems[stem]
        audio = files.load_segment(path, start, num_samples, sample_rate, num_channels)
        # One such sample would spoil the weights for good, steps before the loss shows it.
        if not np.isfinite(audio).all():
            raise InputError(f"{path}: holds NaN or infinite samples; repair the file or remove the track")
        return audio


def musdb_tracks(root: str | os.PathLike, split: str) -> list[Track]:
    """Tracks of a folder in the layout of MUSDB18-HQ, sorted by name.

    The layout is ``root/split/TRACK/STEM.EXT``. Every audio file but ``mixture`` is a stem, so
    stem names other than MUSDB's are welcome. Only headers are read.

    Args:
      root: the folder that holds the splits.
      split: "train" or "test" in MUSDB18-HQ; any folder name.

    Raises:
      InputError: a missing folder, no tracks, or a stem that cannot be read.
    """
    folder = Path(root) / split
    expected = f"expected {Path(root) / split / 'TRACK' / 'vocals.wav'}"
    if not Path(root).is_dir():
        raise InputError(f"{root}: no such data set folder; {expected}")
    if not folder.is_dir():
        found = ", ".join(sorted(path.name for path in _visible(Path(root)) if path.is_dir())) or "no folders"
        raise InputError(f"{root}: has no split '{split}' (found {found}); {expected}")
    tracks = [stems_folder(path) for path in _visible(folder) if path.is_dir()]
    if not tracks:
        raise InputError(f"{folder}: holds no track folders; {expected} (.stem.mp4 files are not read)")
    return tracks


def stems_folder(folder: Path) -> Track:
    """The track that one folder of ``STEM.EXT`` files holds, named after the folder.

    Raises:
      InputError: no stems, two files for one stem, or a stem that is empty or unreadable.
    """
    paths: dict[str, Path] = {}
    for path in _visible(folder):
        if path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
            continue
        if path.stem in paths:
            raise InputError(f"{folder}: both {paths[path.stem].name} and {path.name}; keep one of them")
        paths[path.stem] = path
    mixture = paths.pop(_MIXTURE, None)
    if not paths:
        raise InputError(f"{folder}: holds no stems; add files such as vocals.wav or remove the folder")
    return _track(folder.name, paths, mixture)


def require_targets(tracks: Sequence[Track], targets: Sequence[str]) -> None:
    """Checks that ``targets`` can be learned from every one of ``tracks``.

    Raises:
      InputError: no or repeated targets, a track without one of them, or a track whose only
        stem is the target: its mixture would be the target itself.
    """
    if not targets or len(set(targets)) != len(targets):
        raise InputError(f"targets are {tuple(targets)}; name at least one stem, each of them once")
    for taken in ("instrumental", "rest"):
        if taken in targets:
            raise InputError(f"target '{taken}' is the name of what is left of the mixture; rename that stem's files")
    for track in tracks:
        missing = [target for target in targets if target not in track.stems]
        if missing:
            raise InputError(
                f"track '{track.name}' has no stem '{missing[0]}' (it has {', '.join(track.stems)}); "
                "add the file, remove the track or choose other targets"
            )
        if len(track.stems) == 1:
            raise InputError(
                f"track '{track.name}' has '{targets[0]}' as its only stem, nothing to separate it from; "
                "add the accompaniment as a second file or remove the track"
            )


def _track(name: str, paths: Mapping[str, Path], mixture: Path | None) -> Track:
    stems = {stem: paths[stem] for stem in sorted(paths)}
    headers = [files.info(path) for path in stems.values()]
    for path, header in zip(stems.values(), headers, strict=True):
        if header.num_samples == 0:
            raise InputError(f"{path}: holds no samples; replace the file or remove the track")
    return Track(
        name=name,
        stems=stems,
        mixture=mixture,
        seconds=min(header.num_samples / header.sample_rate for header in headers),
        sample_rate=headers[0].sample_rate,
        num_channels=headers[0].num_channels,
    )


def _visible(folder: Path) -> list[Path]:
    # Hidden entries are the file system's own: .DS_Store, and ._vocals.wav beside vocals.wav.
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
