"""Formats that libsndfile does not know (m4a, wma, webm, the sound of a video), through PyAV where it is installed."""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from diffvs_jax.errors import InputError

SUFFIXES = (".m4a", ".aac", ".wma", ".mka", ".wv", ".ape")
"""Of files that are songs, as a rule."""

_EXACT = "mp4"  # containers whose headers hold the duration; that of others is an estimate
_TOLERANCE = 0.1  # seconds: where the encoder's delay is counted in, and where not


def read_header(path: str | os.PathLike, reason: str) -> tuple[int, int, int, int | None]:
    """Rate in Hz, channels, samples and how many of them may be missing; None where they are an estimate.

    Args:
      path: of a file.
      reason: why libsndfile does not read it.

    Raises:
      InputError: PyAV is missing or does not read it either.
    """
    av = _import_av(path, reason)
    try:
        with av.open(str(path)) as container:
            sound = _sound(container, path)
            rate, channels = sound.rate, sound.channels
            seconds = float(sound.duration * sound.time_base) if sound.duration else (container.duration or 0) / 1e6
            exact = _EXACT in container.format.name.split(",")
    except av.error.FFmpegError as error:
        raise _unreadable(path, reason) from error
    num_samples = round(seconds * rate) or sum(len(block) for block in stream(path, 65_536, reason))
    return rate, channels, num_samples, round(_TOLERANCE * rate) if exact else None


def stream(path: str | os.PathLike, block_samples: int, reason: str) -> Iterator[np.ndarray]:
    """Float32 blocks ``[block_samples, channels]`` and a shorter last one; see ``read_header``.

    Raises:
      InputError: besides, audio that breaks off.
    """
    av = _import_av(path, reason)
    done, rate = 0, 0
    try:
        with av.open(str(path)) as container:
            sound = _sound(container, path)
            rate, waiting, num_waiting = sound.rate, [], 0
            for frame in _frames(av, container, sound):
                waiting.append(frame)
                num_waiting += len(frame)
                while num_waiting >= block_samples:
                    joined = np.concatenate(waiting)
                    yield joined[:block_samples]
                    done += block_samples
                    waiting, num_waiting = [joined[block_samples:]], num_waiting - block_samples
            if num_waiting:
                yield np.concatenate(waiting)
    except av.error.FFmpegError as error:
        if rate:
            raise InputError(f"{path}: is cut off or damaged after second {done / rate:.2f}") from error
        raise _unreadable(path, reason) from error


def _frames(av: Any, container: Any, sound: Any) -> Iterator[np.ndarray]:
    """Decoded frames as float32 ``[samples, channels]``, whatever the codec's samples are."""
    packed = av.AudioResampler(format="flt")
    for frame in itertools.chain(container.decode(sound), [None]):  # None: what is left
        for part in packed.resample(frame):
            yield part.to_ndarray().reshape(-1, sound.channels)


def _sound(container: Any, path: str | os.PathLike) -> Any:
    if not container.streams.audio:
        raise InputError(f"{path}: holds no sound")
    return container.streams.audio[0]


def _import_av(path: str | os.PathLike, reason: str) -> Any:
    try:
        import av  # imported here: an optional dependency of 100 MB
    except ImportError as error:
        hint = "; for m4a, wma and others: pip install av" if str(path).lower().endswith(SUFFIXES) else ""
        raise InputError(f"{path}: not an audio file that can be read ({reason}{hint})") from error
    return av


def _unreadable(path: str | os.PathLike, reason: str) -> InputError:
    return InputError(f"{path}: not an audio file that can be read ({reason})")
