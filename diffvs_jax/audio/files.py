"""Audio files in, audio files out: float32 arrays ``[samples, channels]``.

Every error names the file. Whole songs are read by what streams them, see ``reading``.
"""

import dataclasses
import os

import numpy as np
import soundfile
import soxr

from diffvs_jax.audio.decoding import require_file
from diffvs_jax.audio.reading import open_audio
from diffvs_jax.errors import InputError
from diffvs_jax.whole import whole_file


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
        header = soundfile.info(os.fsencode(path))  # bytes: names need not be text
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: not an audio file that can be read ({error.error_string})") from error
    return AudioInfo(header.samplerate, header.frames, header.channels)


def load(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """A whole file as float32 ``[samples, channels]`` and its sample rate in Hz.

    Raises:
      InputError: missing file, not audio, no samples, samples that are not finite, or a file that is cut off.
    """
    with open_audio(path) as reader:
        return np.concatenate(list(reader.blocks())), reader.sample_rate


def save(path: str | os.PathLike, audio: np.ndarray, sample_rate: int) -> None:
    """Writes ``[samples, channels]`` as a 32-bit float wav: no clipping, no rescaling.

    The file appears whole or not at all: it is written beside and renamed.
    """
    with whole_file(path) as unfinished:
        soundfile.write(str(unfinished), audio, sample_rate, subtype="FLOAT", format="WAV")


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
