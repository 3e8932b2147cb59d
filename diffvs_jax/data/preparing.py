"""A data set prepared for training: every row of an example is one wav file at the model's rate.

The result is a data set itself, in MUSDB18's layout, so training, checks and evaluation read it like any
other. It is fast because nothing is left to do: wav files are mapped, not decoded or resampled, and
what is no target lies there as one sum. In 32 bits it gives the same batches, bit for bit, but for examples
that ``data.match_bandwidth`` limits: preparing is what finds out where recordings end.
"""

import errno
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from diffvs_jax.audio.wav import read_layout
from diffvs_jax.data.bandwidth import find_bandwidth
from diffvs_jax.data.datasets.stem_folders import ORIGIN
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError

REST = "rest"
_BLOCK_SECONDS = 60.0  # read and written at a time, so that memory does not grow with the song
_LARGEST_WAV = 2**32 - 2**12  # bytes that a RIFF header can count


class Form(NamedTuple):
    """What is written.

    Attributes:
      targets: stems that get a file each; all others are summed.
      sample_rate: in Hz.
      num_channels: 1 or 2.
      bits: 32 (float, exact) or 16 (half the size; files that would clip stay at 32).
    """

    targets: tuple[str, ...]
    sample_rate: int
    num_channels: int
    bits: int

    def rows(self, track: Track) -> dict[str, list[str]]:
        """File name to the track's stems that sum to it."""
        rows = {target: [target] for target in self.targets if target in track.stems}
        rest = [stem for stem in track.stems if stem not in self.targets]
        return {**rows, REST: rest} if rest else rows

    def num_bytes(self, track: Track) -> int:
        """Size of the track's largest possible files together."""
        return len(self.rows(track)) * self.num_samples(track) * self.num_channels * self.bits // 8

    def num_samples(self, track: Track) -> int:
        """Length of the track's files."""
        return round(track.seconds * self.sample_rate)


def folder_names(tracks: list[Track]) -> list[str]:
    """A folder name for every track: its own, made unique and fit for a file system."""
    names: list[str] = []
    for track in tracks:
        plain = name = " ".join(track.name.replace("/", " - ").split()).lstrip(".") or "track"
        for number in itertools.count(2):
            if name not in names:
                break
            name = f"{plain} ({number})"
        names.append(name)
    return names


def is_prepared(track: Track, folder: Path, form: Form) -> bool:
    """Whether the folder holds the track's rows, made from these very files."""
    return _read_origin(folder) == _origin(track, form)


def remove_prepared(folder: Path) -> None:
    """Removes a prepared track.

    Raises:
      InputError: it was not prepared, so what lies there is somebody's own.
    """
    if folder.exists() and not (folder / ORIGIN).is_file():
        raise InputError(f"{folder}: is not a prepared track and is not touched; choose another --output")
    shutil.rmtree(folder, ignore_errors=True)


def prepare_track(track: Track, folder: Path, form: Form) -> bool:
    """Writes a track's rows to ``folder``, unless they are there and made from these very files.

    The folder appears whole or not at all. Beside the rows it holds where they are from, and above which
    frequency each of them holds nothing (see ``find_bandwidth``).

    Args:
      track: where to read.
      folder: where to write.
      form: what to write.

    Returns:
      Whether anything had to be written.

    Raises:
      InputError: a file that cannot be read or holds NaN, a track too long for a wav file, or a folder
        in the way.
      OSError: a folder that cannot be written, or a full disk.
    """
    if is_prepared(track, folder, form):
        return False
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        bandwidths = {}
        for name, stems in form.rows(track).items():
            path = unfinished / f"{name}.wav"
            _write_row(track, stems, path, form)
            known = min(track.bandwidths[stem] for stem in stems)
            bandwidths[name] = min(known, _measure_bandwidth(path))
        (unfinished / ORIGIN).write_text(
            json.dumps({**_origin(track, form), "bandwidths": bandwidths}, indent=2) + "\n"
        )
        remove_prepared(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return True


def _measure_bandwidth(path: Path) -> float:
    layout = read_layout(path)
    assert layout is not None, "written just now"
    audio = np.memmap(path, layout.dtype, "r", layout.offset, (layout.num_samples, layout.num_channels))
    return find_bandwidth(audio, layout.sample_rate)


def _origin(track: Track, form: Form) -> dict[str, Any]:
    """What decides the files' content: by it they are recognised as up to date."""
    stems = {stem: len(paths) for stem, paths in track.stems.items()}
    form_of_targets = [list(form.targets), *form[1:]]
    return {"form": form_of_targets, "stems": stems, "sources": track.fingerprint(), "whole": track.whole}


def _read_origin(folder: Path) -> dict[str, Any] | None:
    try:
        origin = json.loads((folder / ORIGIN).read_text())
        origin.pop("bandwidths")
        return origin
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _write_row(track: Track, stems: list[str], path: Path, form: Form) -> None:
    """The sum of ``stems`` as one wav file."""
    blocks = _Blocks(track, stems, form)
    loudest = max(float(np.abs(block).max()) for block in blocks) if form.bits == 16 else 0.0
    subtype = "PCM_16" if form.bits == 16 and loudest < 1 - 2**-15 else "FLOAT"
    if blocks.num_samples * form.num_channels * (4 if subtype == "FLOAT" else 2) > _LARGEST_WAV:
        raise InputError(f"track '{track.name}': {track.seconds / 3600:.1f} hours do not fit in a wav file; cut it")
    try:
        with soundfile.SoundFile(str(path), "w", form.sample_rate, form.num_channels, subtype, format="WAV") as file:
            for block in blocks:
                file.write(block)
    except soundfile.LibsndfileError as error:
        raise OSError(errno.EIO, f"cannot be written ({error.error_string}); is the disk full?", str(path)) from error
    with open(path, "rb") as written:
        os.fsync(written.fileno())  # renamed, it must be whole even after a power cut


class _Blocks:
    """The sum of a track's stems, block by block; can be gone through again."""

    def __init__(self, track: Track, stems: list[str], form: Form):
        self._track, self._stems, self._form = track, stems, form
        self.num_samples = form.num_samples(track)

    def __iter__(self):
        size = round(_BLOCK_SECONDS * self._form.sample_rate)
        for start in range(0, self.num_samples, size):
            block = np.empty((min(size, self.num_samples - start), self._form.num_channels), np.float32)
            self._track.read(self._stems, start, self._form.sample_rate, block)
            yield block
