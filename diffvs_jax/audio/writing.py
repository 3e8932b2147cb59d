"""The files of one separated song, written block by block: all of them whole, or none."""

import contextlib
import dataclasses
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.audio import decoding
from diffvs_jax.audio.encoding import FORMATS, Encoder, Format, check_format
from diffvs_jax.errors import InputError

STANDARD_OUTPUT = "-"
_BLOCK = 65_536  # samples


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
        self._format, self._form, self._normalize = FORMATS[format], (sample_rate, num_channels, num_samples), normalize
        self.gain = 1.0
        with contextlib.ExitStack() as self._cleanup:
            if self._to_stdout:
                folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="diffvs-jax-"))
            if not Path(folder).exists():
                Path(folder).mkdir(parents=True)
                self._cleanup.callback(_remove_if_empty, folder)
            self._paths = {name: Path(folder) / f"{name}.{self._format.suffix}" for name in names}
            first = FORMATS["wav32f"] if normalize else self._format
            self._parts = {name: self._part(name, first, "float" if normalize else "part") for name in names}
            self._cleanup = self._cleanup.pop_all()

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
        return [
            Written(
                Path(STANDARD_OUTPUT) if self._to_stdout else self._paths[name],
                part.num_samples,
                part.peak,
                part.num_clipped,
            )
            for name, part in self._parts.items()
        ]

    def abandon(self) -> None:
        """Removes what was written; nothing after ``finish``."""
        self._cleanup.close()

    def __enter__(self) -> "StemFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def _part(self, name: str, form: Format, ending: str) -> Encoder:
        """An unfinished file beside its place, removed by ``_cleanup`` if it is still there."""
        path = self._paths[name].with_name(f".{self._paths[name].name}.{os.getpid()}.{ending}")
        self._cleanup.callback(path.unlink, missing_ok=True)
        part = Encoder(path, form, *self._form)
        self._cleanup.callback(part.remove)
        return part

    def _rewrite(self) -> None:
        """The second pass of ``normalize``: from the floats to the files, divided by the peak of all."""
        floats = self._parts
        peak = max(part.peak for part in floats.values()) or 1.0
        self.gain = 1 / peak
        self._parts = {name: self._part(name, self._format, "part") for name in floats}
        for name, part in self._parts.items():
            for block in decoding.stream(floats[name].path, _BLOCK):
                part.write(block / np.float32(peak))  # not times the gain: the peak becomes 1 exactly
            part.close()


def _remove_if_empty(folder: str | os.PathLike) -> None:
    with contextlib.suppress(OSError):
        Path(folder).rmdir()
