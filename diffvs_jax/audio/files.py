"""Audio files in, audio files out: float32 arrays ``[samples, channels]``.

Every error names the file. Reading goes through soundfile (wav, flac, ogg, mp3) and falls
back to librosa for what libsndfile does not know.
"""

import dataclasses
import os
import warnings
from pathlib import Path

import numpy as np
import soundfile
import soxr

from diffvs_jax.errors import InputError


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
    require_file(path)
    try:
        header = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: not an audio file that can be read ({error.error_string})") from error
    return AudioInfo(header.samplerate, header.frames, header.channels)


def load(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """A whole file as float32 ``[samples, channels]`` and its sample rate in Hz.

    Raises:
      InputError: missing file, not audio, no samples, or samples that are not finite.
    """
    require_file(path)
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


def require_file(path: str | os.PathLike) -> None:
    """Raises ``InputError`` for what is no file."""
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
