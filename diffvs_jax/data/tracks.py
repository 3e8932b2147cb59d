"""A track: a song's stems on disk, whichever data set it is from. Only headers are read to make one."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.audio import files, segments
from diffvs_jax.audio.endings import is_cut_off
from diffvs_jax.audio.wav import missing_samples
from diffvs_jax.errors import InputError

# A file with another suffix (cover.jpg, README.txt) is no stem.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".caf", ".w64")

SAME_LENGTH = 0.1
"""Seconds by which stems may differ and still be of one length."""
_CHECK = "python -m diffvs_jax.data.check finds all such files"


class CutOff(InputError):
    """A file that ends before it should."""


class TooManyChannels(InputError):
    """A file of more channels than a model sees."""


class UnequalLengths(InputError):
    """Stems of one song that are not equally long."""


@dataclasses.dataclass(frozen=True)
class Track:
    """A song and its stems.

    Attributes:
      name: what the data set calls it.
      stems: stem name to the audio files that sum to it, sorted by name.
      mixture: the data set's own mixture; None when it is the sum of the stems.
      seconds: duration of the longest stem.
      sample_rate: of the first stem, in Hz.
      num_channels: of the first stem.
      bandwidths: stem name to the frequency in Hz above which its recording holds nothing: half its
        rate, or less where it was known to have had a lower rate before.
      whole: whether it should hold every stem, all of one length. If not, a stem that is missing or
        ends early is not in the song: music without a voice, or one half of a pair to be remixed.
      weight: how often training visits it in an epoch, on average.
    """

    name: str
    stems: Mapping[str, tuple[Path, ...]]
    mixture: Path | None
    seconds: float
    sample_rate: int
    num_channels: int
    bandwidths: Mapping[str, float]
    whole: bool = True
    weight: float = 1.0

    def read(self, stems: Sequence[str], start: int, sample_rate: int, out: np.ndarray) -> None:
        """Reads a segment of the sum of ``stems`` into ``out``.

        Args:
          stems: keys of ``stems``; none of them is silence.
          start: first sample, counted at ``sample_rate``.
          sample_rate: wanted rate in Hz, resampled to where a file has another.
          out: float32 ``[samples, channels]`` to fill; beyond the end of a file with zeros. Mono is
            duplicated, to mono is the mean.

        Raises:
          InputError: a file cannot be read, or holds NaN or infinite samples.
        """
        paths = [path for stem in stems for path in self.stems[stem]]
        if not paths:
            out[:] = 0
        for place, path in enumerate(paths):
            part = np.empty_like(out) if place else out
            try:
                segments.read_segment(path, start, sample_rate, part)
            except InputError as error:
                raise InputError(f"{error}; {_CHECK}") from error
            # One such sample would spoil the weights for good, steps before the loss shows it.
            if not np.isfinite(part).all():
                raise InputError(
                    f"{path}: holds NaN or infinite samples; repair the file or remove the track; {_CHECK}"
                )
            if place:
                out += part

    def read_stem(self, stem: str, start: int, num_samples: int, sample_rate: int, num_channels: int) -> np.ndarray:
        """A segment of one stem, float32 ``[num_samples, num_channels]``; see ``read``."""
        out = np.empty((num_samples, num_channels), np.float32)
        self.read([stem], start, sample_rate, out)
        return out

    def fingerprint(self) -> list[list]:
        """By what the track's files are known again, wherever they lie: name, size in bytes, time of change in ns."""
        stats = [(path, path.stat()) for paths in self.stems.values() for path in paths]
        return [[path.name, stat.st_size, stat.st_mtime_ns] for path, stat in stats]

    def load_stem(self, stem: str) -> tuple[np.ndarray, int]:
        """A whole stem as its files have it, float32 ``[samples, channels]``, and its rate in Hz.

        Raises:
          InputError: a file cannot be read, or the stem's files differ in rate or channels.
        """
        parts = [files.load(path) for path in self.stems[stem]]
        forms = {(audio.shape[1], rate) for audio, rate in parts}
        if len(forms) > 1:
            raise InputError(f"{self.name}: files of stem '{stem}' differ in channels or rate: {sorted(forms)}")
        length = max(len(audio) for audio, _ in parts)
        return np.sum([files.fit_length(audio, length) for audio, _ in parts], axis=0), parts[0][1]


def read_header(path: Path) -> files.AudioInfo:
    """The header of a file that a track can use, as far as a header tells.

    Raises:
      InputError: a file that is missing, unreadable or empty; ``CutOff`` for one that ends too early.
    """
    header = files.info(path)
    if header.num_samples == 0:
        raise InputError(f"{path}: holds no samples; replace the file or remove the track")
    if header.num_channels > 2:
        raise TooManyChannels(f"{path}: has {header.num_channels} channels; mix it down to 1 or 2")
    if missing := missing_samples(path):
        seconds = missing / header.sample_rate
        raise CutOff(f"{path}: ends {seconds:.2f} s before its header says; replace the file")
    if is_cut_off(path):
        raise CutOff(f"{path}: ends before it should; replace the file")
    return header


def make_track(
    name: str,
    stems: Mapping[str, Sequence[Path]],
    mixture: Path | None = None,
    bandwidths: Mapping[str, float] | None = None,
    whole: bool = True,
) -> Track:
    """A track of ``stems`` after a look at their headers.

    Args:
      name: of the track.
      stems: stem name to its files.
      mixture: the data set's own.
      bandwidths: in Hz, of the stems where they are known to be less than half the rate.
      whole: see ``Track``.

    Raises:
      InputError: no stems, a file that is empty, cut off or unreadable, or stems of different
        lengths where the track should be whole.
    """
    headers = {path: read_header(path) for stem in sorted(stems) for path in stems[stem]}
    if not headers:
        raise InputError(f"track '{name}' has no stems")
    seconds_of = {path: header.num_samples / header.sample_rate for path, header in headers.items()}
    shortest, longest = min(seconds_of, key=seconds_of.__getitem__), max(seconds_of, key=seconds_of.__getitem__)
    if whole and seconds_of[longest] - seconds_of[shortest] > SAME_LENGTH:
        raise UnequalLengths(
            f"track '{name}': {shortest.name} lasts {seconds_of[shortest]:.2f} s and {longest.name} "
            f"{seconds_of[longest]:.2f} s; stems of one song must be equally long"
        )
    known = bandwidths or {}
    nyquist = {stem: min(headers[path].sample_rate / 2 for path in stems[stem]) for stem in sorted(stems)}
    first = next(iter(headers.values()))
    return Track(
        name=name,
        stems={stem: tuple(stems[stem]) for stem in sorted(stems)},
        mixture=mixture,
        seconds=seconds_of[longest],
        sample_rate=first.sample_rate,
        num_channels=first.num_channels,
        bandwidths={stem: min(limit, known.get(stem, limit)) for stem, limit in nyquist.items()},
        whole=whole,
    )


def rename_stems(track: Track, names: Mapping[str, str]) -> Track:
    """The track with its stems called otherwise; stems that get one name are summed."""
    stems: dict[str, tuple[Path, ...]] = {}
    bandwidths: dict[str, float] = {}
    for old, paths in track.stems.items():
        new = names.get(old, old)
        stems[new] = (*stems.get(new, ()), *paths)
        bandwidths[new] = min(bandwidths.get(new, float("inf")), track.bandwidths[old])
    return dataclasses.replace(track, stems=dict(sorted(stems.items())), bandwidths=bandwidths)


def check_targets(targets: Sequence[str]) -> None:
    """Raises ``InputError`` for targets that cannot be: none, repeated ones, or names taken by what is left."""
    if not targets or len(set(targets)) != len(targets):
        raise InputError(f"targets are {tuple(targets)}; name at least one stem, each of them once")
    for taken in ("instrumental", "rest"):
        if taken in targets:
            raise InputError(f"target '{taken}' is the name of what is left of the mixture; rename that stem's files")


def require_targets(tracks: Sequence[Track], targets: Sequence[str]) -> None:
    """Checks that every one of ``tracks`` holds all ``targets`` and something beside them.

    Raises:
      InputError: targets that cannot be, a track without one of them, or a track whose only stem
        is the target: its mixture would be the target itself.
    """
    check_targets(targets)
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


def visible(folder: str | os.PathLike) -> Iterator[Path]:
    """What lies in a folder, sorted, without hidden entries."""
    # Those are the file system's own: .DS_Store, and ._vocals.wav beside vocals.wav.
    return iter(sorted(path for path in Path(folder).iterdir() if not path.name.startswith(".")))


def audio_files(folder: Path) -> Iterator[Path]:
    """Audio files directly in a folder, sorted."""
    return (path for path in visible(folder) if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())


def folders(folder: Path) -> list[Path]:
    """Folders directly in a folder, sorted."""
    return [path for path in visible(folder) if path.is_dir()]
