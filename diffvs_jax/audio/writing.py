"""The files of one separated song, written block by block: all of them whole, or none.

Lengths are kept to the sample by every format, ogg and mp3 included, whose headers tell where the
encoder's padding begins and ends.
"""

import contextlib
import dataclasses
import io
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from diffvs_jax.errors import InputError

STANDARD_OUTPUT = "-"


@dataclasses.dataclass(frozen=True)
class Format:
    """How stems are written.

    Attributes:
      container: libsndfile's name.
      subtype: libsndfile's name of the encoding.
      suffix: of the files.
      bits: of a sample where they are integers; 0 elsewhere.
      clips: whether full scale is the limit.
      quality: soundfile's options of the encoder.
    """

    container: str
    subtype: str
    suffix: str
    bits: int = 0
    clips: bool = True
    quality: Mapping[str, Any] = dataclasses.field(default_factory=dict)


FORMATS = {
    "wav16": Format("WAV", "PCM_16", "wav", bits=16),
    "wav24": Format("WAV", "PCM_24", "wav", bits=24),
    "wav32f": Format("WAV", "FLOAT", "wav", clips=False),
    "flac": Format("FLAC", "PCM_24", "flac", bits=24),
    "ogg": Format("OGG", "VORBIS", "ogg", quality={"compression_level": 0.2}),  # Vorbis' quality 8
    # The highest bit rate: 320 kb/s from 32 kHz on.
    "mp3": Format("MP3", "MPEG_LAYER_III", "mp3", quality={"compression_level": 0.0, "bitrate_mode": "CONSTANT"}),
}
"""By the names that the command knows; wav16 and wav24 are rounded, without dither."""

_LONGEST_WAV = 2**32 - 2**20  # bytes; beyond, its 32-bit sizes do not reach
_AT_ONCE = 16_384  # samples: libvorbis takes a block's memory from the stack


@dataclasses.dataclass(frozen=True)
class Written:
    """A finished file.

    Attributes:
      path: of it; "-" for standard output.
      num_samples: per channel.
      peak: the loudest sample before it was clipped, 1 is full scale.
      num_clipped: samples, of all channels, that were beyond full scale and are now at it.
    """

    path: Path
    num_samples: int
    peak: float
    num_clipped: int

    @property
    def peak_db(self) -> float:
        """``peak`` in dB relative to full scale; positive where it is over."""
        return 20 * math.log10(self.peak) if self.peak else -math.inf


def check_format(format: str, sample_rate: int, num_channels: int) -> None:
    """Raises ``InputError`` for a format that there is not, or that cannot hold the rate (Hz) or the channels."""
    if format not in FORMATS:
        raise InputError(f"format '{format}' is none of {', '.join(FORMATS)}")
    with _refusing(format, sample_rate, num_channels):
        _create(io.BytesIO(), FORMATS[format], sample_rate, num_channels).close()


class StemFiles:
    """The files ``FOLDER/NAME.SUFFIX`` of one song, which appear when ``finish`` is called.

    Args:
      folder: created where there is none; "-" writes the one stem to standard output.
      names: of the stems.
      format: a key of ``FORMATS``.
      sample_rate: in Hz.
      num_channels: of every stem.
      num_samples: about how many will be written, per channel: a long wav needs another header.
      normalize: multiply all stems by the one factor that takes the loudest sample of any to full
        scale. Until ``finish`` they wait beside as floats.

    Attributes:
      gain: that factor, once ``finish`` has returned; 1 without ``normalize``, and for silence.

    Raises:
      InputError: see ``check_format``; several stems for standard output.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        names: Sequence[str],
        format: str,
        sample_rate: int,
        num_channels: int,
        num_samples: int,
        normalize: bool = False,
    ):
        check_format(format, sample_rate, num_channels)
        self._to_stdout = str(folder) == STANDARD_OUTPUT
        if self._to_stdout and len(names) != 1:
            raise InputError(f"standard output takes one stem, not {len(names)} ({', '.join(names)})")
        self._cleanup = contextlib.ExitStack()
        if self._to_stdout:
            folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="diffvs-jax-"))
        self._format, self._form, self._normalize = FORMATS[format], (sample_rate, num_channels, num_samples), normalize
        self._paths = {name: Path(folder) / f"{name}.{self._format.suffix}" for name in names}
        self.gain = 1.0
        Path(folder).mkdir(parents=True, exist_ok=True)
        first = FORMATS["wav32f"] if normalize else self._format
        self._parts = {name: self._part(name, first, "float" if normalize else "part") for name in names}

    def write(self, stems: Mapping[str, np.ndarray]) -> None:
        """Adds a block float32 ``[samples, channels]`` to every stem.

        Raises:
          FloatingPointError: a sample that is not finite.
        """
        for name, part in self._parts.items():
            part.write(stems[name])

    def finish(self) -> list[Written]:
        """Puts the files into their places, over older ones of the same names; what they are, in the order of names."""
        for part in self._parts.values():
            part.close()
        if self._normalize:
            self._rewrite()
        for name, part in self._parts.items():
            if self._to_stdout:
                with part.path.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            else:
                part.path.replace(self._paths[name])
        self._cleanup.close()
        paths = {name: Path(STANDARD_OUTPUT) for name in self._paths} if self._to_stdout else self._paths
        return [Written(paths[name], part.num_samples, part.peak, part.clipped) for name, part in self._parts.items()]

    def abandon(self) -> None:
        """Removes what was written; nothing after ``finish``."""
        self._cleanup.close()

    def __enter__(self) -> "StemFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def _part(self, name: str, form: Format, ending: str) -> "_Part":
        """An unfinished file beside its place, removed by ``_cleanup`` if it is still there."""
        path = self._paths[name].with_name(f".{self._paths[name].name}.{os.getpid()}.{ending}")
        part = _Part(path, form, *self._form)
        self._cleanup.callback(part.remove)
        return part

    def _rewrite(self) -> None:
        """The second pass of ``normalize``: from the floats to the files, divided by the peak of all."""
        floats = self._parts
        peak = max(part.peak for part in floats.values()) or 1.0
        self.gain = 1 / peak
        self._parts = {name: self._part(name, self._format, "part") for name in floats}
        for name, part in self._parts.items():
            with soundfile.SoundFile(floats[name].path) as file:
                while len(block := file.read(_AT_ONCE, dtype="float32", always_2d=True)):
                    part.write(block / np.float32(peak))  # not times the gain: the peak becomes 1 exactly
            part.close()


class _Part:
    """One file being written."""

    def __init__(self, path: Path, form: Format, sample_rate: int, num_channels: int, num_samples: int):
        self.path, self.num_samples, self.peak, self.clipped = path, 0, 0.0, 0
        self._form = form
        size = num_samples * num_channels * (form.bits or 32) // 8
        if form.container == "WAV" and size > _LONGEST_WAV:
            form = dataclasses.replace(form, container="RF64")
        self._disk = _Disk(path, "w+")
        self._file = _create(self._disk, form, sample_rate, num_channels)

    def close(self) -> None:
        """Ends the file; ``OSError`` where it could not be written to the end."""
        self._file.close()
        self._disk.close()
        self._disk.tell_failure()

    def remove(self) -> None:
        """Ends it without a word; the file is gone, unless it was moved."""
        self._file.close()
        self._disk.close()
        self.path.unlink(missing_ok=True)

    def write(self, block: np.ndarray) -> None:
        for start in range(0, len(block), _AT_ONCE):
            self._write(block[start : start + _AT_ONCE])

    def _write(self, block: np.ndarray) -> None:
        peak = float(max(block.max(), -block.min()))
        if not math.isfinite(peak):
            raise FloatingPointError(f"{self.path.name}: a sample is NaN or infinite")
        self.peak = max(self.peak, peak)
        self.num_samples += len(block)
        if self._form.clips and peak > 1:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))
            block = np.clip(block, -1, 1)
        try:
            self._file.write(_to_integers(block, self._form.bits) if self._form.bits else block)
        except (soundfile.LibsndfileError, AssertionError):  # the second: fewer samples written than given
            self._disk.tell_failure()
            raise
        self._disk.tell_failure()


class _Disk(io.FileIO):
    """A file that remembers why it could not be written; libsndfile does not tell, and may go on."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """All of ``data``, or nothing and a failure."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
            return 0
        return len(data)

    def tell_failure(self) -> None:
        if self.failure:
            raise OSError(self.failure.errno, self.failure.strerror, str(self.name))


def _create(file: Any, form: Format, sample_rate: int, num_channels: int) -> soundfile.SoundFile:
    return soundfile.SoundFile(
        file, "w", sample_rate, num_channels, form.subtype, format=form.container, **form.quality
    )


@contextlib.contextmanager
def _refusing(format: str, sample_rate: int, num_channels: int) -> Iterator[None]:
    """libsndfile's refusal as an ``InputError``."""
    try:
        yield
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise InputError(
            f"format {format} cannot hold {num_channels} channels at {sample_rate} Hz ({reason}); "
            "write wav16, wav24 or wav32f"
        ) from error


def _to_integers(block: np.ndarray, bits: int) -> np.ndarray:
    """Nearest integers to samples within full scale, as int32 with the bits at the top, where libsndfile wants them.

    Its own conversion of floats rounds down. Every product is exact.
    """
    full = 2 ** (bits - 1)
    integers = np.rint(block * np.float32(full)).astype(np.int32)
    return np.minimum(integers, full - 1) << (32 - bits)
