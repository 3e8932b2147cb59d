"""Parts of audio files, read without decoding the rest: what training draws from.

Uncompressed wav is mapped into memory; other formats are sought in.
"""

import functools
import math
import os
from collections.abc import Callable

import numpy as np
import soundfile

from diffvs_jax.audio.decoding import require_file
from diffvs_jax.audio.files import AudioInfo, resample, to_channels
from diffvs_jax.audio.wav import read_layout, read_samples
from diffvs_jax.errors import InputError

_RESAMPLING_MARGIN = 0.05  # seconds beside a segment that its resampling sees
_Read = Callable[[int, np.ndarray], None]  # (first sample, where to put them)


def load_segment(
    path: str | os.PathLike, start: int, num_samples: int, sample_rate: int, num_channels: int
) -> np.ndarray:
    """A segment of a file as float32 ``[num_samples, num_channels]``; see ``read_segment``."""
    out = np.empty((num_samples, num_channels), np.float32)
    read_segment(path, start, sample_rate, out)
    return out


def read_segment(path: str | os.PathLike, start: int, sample_rate: int, out: np.ndarray) -> None:
    """Reads a segment of a file without decoding the rest.

    Uncompressed wav is mapped into memory; other formats are sought in. A resampled segment is that
    part of the whole file resampled: a margin on both sides is read with it.

    Args:
      path: audio file, any rate and channel count.
      start: first sample, counted at ``sample_rate``.
      sample_rate: wanted rate in Hz; another rate in the file is resampled.
      out: float32 ``[samples, channels]`` to fill; what lies beyond the file's end is zeros. For its
        channels see ``to_channels``.

    Raises:
      InputError: a missing file, not audio, or channels that do not fit.
    """
    require_file(path)
    layout = read_layout(path)
    if layout is not None and layout.dtype:
        form = AudioInfo(layout.sample_rate, layout.num_samples, layout.num_channels)
        _read_segment(functools.partial(read_samples, path, layout), form, start, sample_rate, out)
        return
    try:
        with soundfile.SoundFile(str(path)) as file:
            form = AudioInfo(file.samplerate, file.frames, file.channels)
            _read_segment(functools.partial(_decode, file), form, start, sample_rate, out)
    except soundfile.LibsndfileError as error:
        reason = error.error_string or "it breaks off"
        raise InputError(f"{path}: not an audio file that can be read ({reason})") from error


def _read_segment(read: _Read, form: AudioInfo, start: int, sample_rate: int, out: np.ndarray) -> None:
    if (form.sample_rate, form.num_channels) == (sample_rate, out.shape[1]):
        there = min(max(form.num_samples - start, 0), len(out))
        read(start, out[:there])
    else:
        audio = to_channels(_resampled_part(read, form, start, len(out), sample_rate), out.shape[1])
        there = len(audio)
        out[:there] = audio
    out[there:] = 0


def _resampled_part(read: _Read, form: AudioInfo, start: int, num_samples: int, sample_rate: int) -> np.ndarray:
    """At most ``num_samples`` at ``sample_rate`` from ``start`` on, ``[samples, file's channels]``."""
    common = math.gcd(form.sample_rate, sample_rate)
    up, down = sample_rate // common, form.sample_rate // common
    margin = 0 if up == down else round(_RESAMPLING_MARGIN * sample_rate)
    # Every up-th sample of the output falls on a sample of the file: resampling begins at one of those.
    begin = max(start - margin, 0) // up
    skip = start - begin * up
    wanted = -(-(skip + num_samples + margin) * down // up)
    first = min(begin * down, form.num_samples)
    audio = np.empty((min(wanted, form.num_samples - first), form.num_channels), np.float32)
    read(first, audio)
    return resample(audio, form.sample_rate, sample_rate)[skip : skip + num_samples]


def _decode(file: soundfile.SoundFile, first: int, out: np.ndarray) -> None:
    if len(out):
        file.seek(first)
        file.read(dtype="float32", out=out, fill_value=0.0)
