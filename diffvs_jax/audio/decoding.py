"""Any audio file as a stream of blocks, as it is, in bounded memory.

Uncompressed wav is mapped into memory, libsndfile decodes its own formats (flac, ogg, opus, mp3,
aiff, caf, w64, ...), and PyAV those of ``foreign``.
"""

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from diffvs_jax.audio import foreign
from diffvs_jax.audio.wav import read_layout, read_samples
from diffvs_jax.errors import InputError

_UNKNOWN_LENGTH = 2**62  # libsndfile's answer where a flac's header tells none is above that
_FRAMES_OF_MP3 = 4 * 1152  # samples: encoders count a frame too many, editors drop one


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
      sample_rate: in Hz.
      num_channels: of the file.
      num_samples: per channel, promised.
      tolerance: samples that may be missing from those; None where ``num_samples`` is an estimate.
    """

    sample_rate: int
    num_channels: int
    num_samples: int
    tolerance: int | None


def require_file(path: str | os.PathLike) -> None:
    """Raises ``InputError`` for what is no file."""
    if not Path(path).is_file():
        reason = "is a folder, not a file" if Path(path).is_dir() else "no such file"
        raise InputError(f"{path}: {reason}")


def read_header(path: str | os.PathLike) -> Header:
    """The header of an audio file; where it tells no length, the samples are counted.

    Raises:
      InputError: the file is missing or is not audio that can be read.
    """
    require_file(path)
    try:
        with _opened(path) as file:
            rate, channels, promised = file.samplerate, file.channels, file.frames
            tolerance = _FRAMES_OF_MP3 if file.format == "MP3" else 0
    except soundfile.LibsndfileError as error:
        return Header(*foreign.read_header(path, error.error_string))
    if promised > _UNKNOWN_LENGTH:
        promised = sum(len(block) for block in stream(path, 65_536))
    return Header(rate, channels, promised, tolerance)


def stream(path: str | os.PathLike, block_samples: int) -> Iterator[np.ndarray]:
    """A file from its first sample to its last that there is.

    Args:
      path: audio file.
      block_samples: per block; the last one may be shorter.

    Yields:
      float32 ``[block_samples, channels]``.

    Raises:
      InputError: a missing file, not audio, or audio that breaks off.
    """
    require_file(path)
    layout = read_layout(path)
    if layout is not None and layout.dtype:
        for first in range(0, layout.num_samples, block_samples):
            block = np.empty((min(block_samples, layout.num_samples - first), layout.num_channels), np.float32)
            read_samples(path, layout, first, block)
            yield block
        return
    first, rate = 0, 0
    try:
        with _opened(path) as file:
            rate = file.samplerate
            while len(block := file.read(block_samples, dtype="float32", always_2d=True)):
                yield block
                first += len(block)
    except soundfile.LibsndfileError as error:
        if rate:
            raise InputError(f"{path}: is cut off or damaged after second {first / rate:.2f}") from error
        yield from foreign.stream(path, block_samples, error.error_string)


class _Forward(soundfile.SoundFile):
    """A file read from front to back: seeking, which soundfile does after every read, needs a known length."""

    def seekable(self) -> bool:
        """False."""
        return False


class _Sizeless(io.BufferedReader):
    """A file whose end cannot be sought."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As usual, but nothing happens towards the end."""
        return self.tell() if whence == os.SEEK_END else super().seek(offset, whence)


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[soundfile.SoundFile]:
    """What libsndfile reads, with the number of samples that there are.

    It guesses the length of an mp3 without an Info tag from the file's size and the first bit rate,
    and stops there. Of a file whose size it cannot know it counts the frames.
    """
    with _Forward(os.fsencode(path)) as file:  # bytes: names need not be text
        if file.format != "MP3":
            yield file
            return
        with _Sizeless(io.FileIO(path)) as raw, _Forward(raw) as counted:
            yield file if file.frames == counted.frames else counted
