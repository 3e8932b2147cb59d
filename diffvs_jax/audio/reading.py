"""A song as a stream of checked blocks, from disk or from standard input, in bounded memory."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from diffvs_jax.audio import decoding
from diffvs_jax.audio.endings import is_cut_off
from diffvs_jax.audio.wav import missing_samples
from diffvs_jax.errors import InputError

STANDARD_INPUT = "-"


class Reader:
    """What a file's header says, and its samples.

    Attributes:
      name: of the file, for messages.
      sample_rate: in Hz.
      num_channels: of the file.
      num_samples: per channel, as the header says, or counted where it does not. An mp3's may be off by
        four frames; for what only PyAV reads (see ``foreign``) it may be an estimate.
    """

    def __init__(self, path: str | os.PathLike):
        header = decoding.read_header(path)
        self._path, self._tolerance = path, header.tolerance
        self.name = str(path)
        self.sample_rate, self.num_channels = header.sample_rate, header.num_channels
        self.num_samples = header.num_samples
        if self.num_samples == 0:
            raise InputError(f"{path}: holds no samples; nothing to separate")
        if missing_samples(path) or is_cut_off(path):
            raise self._cut_off(self.num_samples)

    def blocks(self, size: int = 65_536) -> Iterator[np.ndarray]:
        """The whole file as float32 ``[size, channels]`` and a shorter last block; begins anew with every call.

        Raises:
          InputError: samples that are not finite, a damaged file, or one that ends before its header says.
        """
        done = 0
        for block in decoding.stream(self._path, size):
            finite = np.isfinite(block)
            if not finite.all():
                bad, where = block.size - int(np.count_nonzero(finite)), done + int(np.argmin(finite.all(axis=1)))
                raise InputError(
                    f"{self.name}: {bad} of {block.size} samples are NaN or infinite from second "
                    f"{where / self.sample_rate:.2f} on; repair the file first"
                )
            yield block
            done += len(block)
        if self._tolerance is not None and done < self.num_samples - self._tolerance:
            raise self._cut_off(done)

    def _cut_off(self, num_samples: int) -> InputError:
        seconds = num_samples / self.sample_rate
        return InputError(f"{self.name}: is cut off: ends at second {seconds:.2f}, before its header says")


@contextlib.contextmanager
def open_audio(path: str | os.PathLike) -> Iterator[Reader]:
    """Opens an audio file of any format, rate, length and number of channels.

    Args:
      path: of the file; "-" is standard input, which is first copied to a temporary file (in TMPDIR).

    Raises:
      InputError: missing, not audio, no samples, or cut off as far as the header tells.
    """
    if str(path) != STANDARD_INPUT:
        yield Reader(path)
        return
    with tempfile.TemporaryDirectory(prefix="diffvs-jax-") as folder:
        spool = Path(folder) / "standard input"  # messages name it
        with spool.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield Reader(spool)
