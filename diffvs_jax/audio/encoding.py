"""One sound file being written, in any of the formats that stems come in.

Lengths are kept to the sample by every format, ogg and mp3 included, whose headers tell where the
encoder's padding begins and ends.
"""

import dataclasses
import io
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from diffvs_jax.errors import InputError


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


def check_format(format: str, sample_rate: int, num_channels: int) -> None:
    """Raises ``InputError`` for a format that there is not, or that cannot hold the rate (Hz) or the channels."""
    if format not in FORMATS:
        raise InputError(f"format '{format}' is none of {', '.join(FORMATS)}")
    try:
        _create(io.BytesIO(), FORMATS[format], sample_rate, num_channels).close()
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise InputError(
            f"format {format} cannot hold {num_channels} channels at {sample_rate} Hz ({reason}); "
            "write wav16, wav24 or wav32f"
        ) from error


class Encoder:
    """One file being written, block by block.

    Args:
      path: of the file.
      form: one of ``FORMATS``.
      sample_rate: in Hz.
      num_channels: of the file.
      num_samples: about how many will be written: a long wav needs another header.

    Attributes:
      num_samples: written so far.
      peak: the loudest of them before it was clipped, 1 is full scale.
      num_clipped: samples, of all channels, that were beyond full scale and are now at it.
    """

    def __init__(self, path: Path, form: Format, sample_rate: int, num_channels: int, num_samples: int):
        self.path, self.num_samples, self.peak, self.num_clipped = path, 0, 0.0, 0
        self._form = form
        size = num_samples * num_channels * (form.bits or 32) // 8
        if form.container == "WAV" and size > _LONGEST_WAV:
            form = dataclasses.replace(form, container="RF64")
        self._disk = _Disk(path, "w+")
        # Ctrl-C is raised in the main thread; within a callback from libsndfile to Python it would be lost.
        self._thread = ThreadPoolExecutor(1)
        self._file: Any = None
        try:
            self._thread.submit(self._open, form, sample_rate, num_channels).result()
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """Ends the file; ``OSError`` where it could not be written to the end."""
        self._end()
        self._disk.tell_failure()

    def remove(self) -> None:
        """Ends it without a word; the file is gone, unless it was moved."""
        self._end()
        self.path.unlink(missing_ok=True)

    def write(self, block: np.ndarray) -> None:
        """Adds float32 ``[samples, channels]``.

        Raises:
          FloatingPointError: a sample that is not finite.
          OSError: a full disk and its like.
        """
        self._thread.submit(self._write_parts, block).result()

    def _open(self, form: Format, sample_rate: int, num_channels: int) -> None:
        self._file = _create(self._disk, form, sample_rate, num_channels)

    def _end(self) -> None:
        if not self._disk.closed:
            self._thread.submit(lambda: self._file and self._file.close()).result()
            self._thread.shutdown()
            self._disk.close()

    def _write_parts(self, block: np.ndarray) -> None:
        for start in range(0, len(block), _AT_ONCE):
            self._write(block[start : start + _AT_ONCE])

    def _write(self, block: np.ndarray) -> None:
        peak = float(max(block.max(), -block.min()))
        if not math.isfinite(peak):
            raise FloatingPointError(f"{self.path.name}: a sample is NaN or infinite")
        self.peak = max(self.peak, peak)
        self.num_samples += len(block)
        if self._form.clips and peak > 1:
            self.num_clipped += int(np.count_nonzero(np.abs(block) > 1))
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


def _to_integers(block: np.ndarray, bits: int) -> np.ndarray:
    """Nearest integers to samples within full scale, as int32 with the bits at the top, where libsndfile wants them.

    Its own conversion of floats rounds down. Every product is exact.
    """
    full = 2 ** (bits - 1)
    integers = np.rint(block * np.float32(full)).astype(np.int32)
    return np.minimum(integers, full - 1) << (32 - bits)
