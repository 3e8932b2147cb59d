"""Audio files in, audio files out: float32 arrays ``[samples, channels]``.

Every error names the file. Reading goes through soundfile (wav, flac, ogg, mp3) and falls
back to librosa for what libsndfile does not know.
"""

import dataclasses
import functools
import math
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from diffvs_jax.audio import endings, ogg
from diffvs_jax.audio.wav import read_layout, read_samples
from diffvs_jax.errors import InputError

_RESAMPLING_MARGIN = 0.05  # seconds beside a segment that its resampling sees
_Read = Callable[[int, np.ndarray], None]  # (first sample, where to put them)


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What a file's header says: rate in Hz, length in samples, number of channels."""

    sample_rate: int
    num_samples: int
    num_channels: int


def info(path: str | os.PathLike) -> AudioInfo:
    """Header of an audio file.

    Raises:
      InputError: the file is missing or is not audio that libsndfile reads.
    """
    _require_file(path)
    try:
        header = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: not an audio file that can be read ({error.error_string})") from error
    return AudioInfo(header.samplerate, header.frames, header.channels)


def missing_samples(path: str | os.PathLike) -> int:
    """Samples per channel that a wav file's header promises and the file does not hold."""
    layout = read_layout(path)
    return layout.missing_samples if layout else 0


def is_cut_off(path: str | os.PathLike) -> bool:
    """Whether a file of another format than wav tells that its end is missing; flac and mp3 do not."""
    return endings.is_cut_off(path)


def damaged_at(path: str | os.PathLike) -> float | None:
    """Where an Ogg file is damaged, as a share of it; None: nowhere. All of it is read, nothing decoded."""
    return ogg.damaged_at(path)


def load(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """A whole file as float32 ``[samples, channels]`` and its sample rate in Hz.

    Raises:
      InputError: missing file, not audio, no samples, or samples that are not finite.
    """
    _require_file(path)
    try:
        audio, sample_rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        audio, sample_rate = _load_with_librosa(path, error)
    if audio.shape[0] == 0:
        raise InputError(f"{path}: holds no samples; nothing to separate")
    if not np.isfinite(audio).all():
        bad = int(np.count_nonzero(~np.isfinite(audio)))
        raise InputError(f"{path}: {bad} of {audio.size} samples are NaN or infinite; repair the file first")
    return audio, int(sample_rate)


def load_segment(
    path: str | os.PathLike, start: int, num_samples: int, sample_rate: int, num_channels: int
) -> np.ndarray:
    """A segment of a file without decoding the rest.

    Uncompressed wav is mapped into memory; other formats are sought in. A resampled segment is that
    part of the whole file resampled: a margin on both sides is read with it.

    Args:
      path: audio file, any rate and channel count.
      start: first sample, counted at ``sample_rate``.
      num_samples: length at ``sample_rate``; what lies beyond the file's end is zeros.
      sample_rate: wanted rate in Hz; another rate in the file is resampled.
      num_channels: wanted channels, see ``to_channels``.

    Returns:
      float32 ``[num_samples, num_channels]``.

    Raises:
      InputError: a missing file, not audio, or channels that do not fit.
    """
    _require_file(path)
    layout = read_layout(path)
    if layout is not None and layout.dtype:
        read: _Read = functools.partial(read_samples, path, layout)
        form = AudioInfo(layout.sample_rate, layout.num_samples, layout.num_channels)
        audio = _read_part(read, form, start, num_samples, sample_rate)
    else:
        try:
            with soundfile.SoundFile(str(path)) as file:
                form = AudioInfo(file.samplerate, file.frames, file.channels)
                audio = _read_part(functools.partial(_decode, file), form, start, num_samples, sample_rate)
        except soundfile.LibsndfileError as error:
            raise InputError(
                f"{path}: not an audio file that can be read ({error.error_string or 'it breaks off'})"
            ) from error
    return fit_length(to_channels(audio, num_channels), num_samples)


def stream(path: str | os.PathLike, block_samples: int) -> Iterator[np.ndarray]:
    """A file from its first sample to its last that there is, as it is.

    Args:
      path: audio file.
      block_samples: per block; the last one may be shorter.

    Yields:
      float32 ``[block_samples, channels]``.

    Raises:
      InputError: a missing file, not audio, or audio that breaks off.
    """
    _require_file(path)
    layout = read_layout(path)
    if layout is not None and layout.dtype:
        for first in range(0, layout.num_samples, block_samples):
            block = np.empty((min(block_samples, layout.num_samples - first), layout.num_channels), np.float32)
            read_samples(path, layout, first, block)
            yield block
        return
    first = 0
    try:
        with soundfile.SoundFile(str(path)) as file:
            while len(block := file.read(block_samples, dtype="float32", always_2d=True)):
                yield block
                first += len(block)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: cannot be decoded any more somewhere after sample {first}") from error


def _read_part(read: _Read, form: AudioInfo, start: int, num_samples: int, sample_rate: int) -> np.ndarray:
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
    file.seek(first)
    file.read(dtype="float32", out=out, fill_value=0.0)


def save(path: str | os.PathLike, audio: np.ndarray, sample_rate: int) -> None:
    """Writes ``[samples, channels]`` as a 32-bit float wav: no clipping, no rescaling.

    The file appears whole or not at all: it is written beside and renamed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        soundfile.write(str(unfinished), audio, sample_rate, subtype="FLOAT", format="WAV")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def resample(audio: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Band-limited resampling of ``[samples, channels]`` (soxr, high quality).

    The length is ``round(samples * to_rate / from_rate)`` within a sample; callers that need an
    exact length use ``fit_length``.
    """
    if from_rate == to_rate or audio.shape[0] == 0:
        return audio
    return soxr.resample(audio, from_rate, to_rate, quality="HQ").astype(np.float32, copy=False)


def fit_length(audio: np.ndarray, num_samples: int) -> np.ndarray:
    """Cuts or zero-pads the end of ``[samples, channels]`` to ``num_samples``."""
    audio = audio[:num_samples]
    missing = num_samples - audio.shape[0]
    return np.pad(audio, ((0, missing), (0, 0))) if missing else audio


def to_channels(audio: np.ndarray, num_channels: int) -> np.ndarray:
    """``[samples, channels]`` with ``num_channels`` channels.

    Mono is duplicated; to mono is the mean. Other changes have no agreed meaning.

    Raises:
      InputError: for any other pair of channel counts.
    """
    have = audio.shape[1]
    if have == num_channels:
        return audio
    if have == 1:
        return np.repeat(audio, num_channels, axis=1)
    if num_channels == 1:
        return audio.mean(axis=1, keepdims=True, dtype=np.float32)
    raise InputError(f"audio has {have} channels, wanted {num_channels}; mix it down to 1 or 2 channels first")


def _require_file(path: str | os.PathLike) -> None:
    if not Path(path).is_file():
        reason = "is a folder, not a file" if Path(path).is_dir() else "no such file"
        raise InputError(f"{path}: {reason}")


def _load_with_librosa(path: str | os.PathLike, error: soundfile.LibsndfileError) -> tuple[np.ndarray, int]:
    import librosa  # imported here: it costs seconds and is seldom needed

    try:
        with warnings.catch_warnings(action="ignore"):  # librosa tells of what it tries
            audio, sample_rate = librosa.load(path, sr=None, mono=False)
    except Exception as second_error:  # audioread raises its own, backend by backend
        reason = f"not an audio file that can be read ({error.error_string})"
        raise InputError(f"{path}: {reason}") from second_error
    return np.atleast_2d(audio).T.astype(np.float32), int(sample_rate)
