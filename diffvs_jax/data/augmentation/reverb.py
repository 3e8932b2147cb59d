"""Reverberation of rooms that never were."""

import numpy as np

_FIRST_SECONDS = (0.005, 0.03)  # from the direct sound to the first reflection
_DAMPING_HERTZ = (2000.0, 8000.0)  # walls and air swallow what lies above
_SILENCE_DB = -60.0  # where a tail ends


def random_reverb(
    stem: np.ndarray,
    seconds_range: tuple[float, float],
    decibel_range: tuple[float, float],
    sample_rate: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, str]:
    """The stem in a room with a reverberation time and level drawn uniformly; also a few words for people."""
    seconds, decibels = rng.uniform(*seconds_range), rng.uniform(*decibel_range)
    response = room_response(seconds, decibels, sample_rate, rng)
    return reverberate(stem, response), f"reverb {seconds:.1f} s {decibels:.0f} dB"


def room_response(seconds: float, decibels: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """A synthetic impulse response, float32 ``[samples]``: the direct sound, and noise that dies away.

    Args:
      seconds: reverberation time, in which the tail falls by 60 dB.
      decibels: energy of the tail relative to the direct sound, which stays as it is.
      sample_rate: in Hz.
      rng: draws the noise, its damping and the delay of the first reflection.
    """
    from scipy import signal  # slow to import, and most training does without

    first = 1 + int(rng.uniform(*_FIRST_SECONDS) * sample_rate)
    pole = np.exp(-2 * np.pi * rng.uniform(*_DAMPING_HERTZ) / sample_rate)
    time = np.arange(1 + int(seconds * sample_rate)) / sample_rate
    noise = rng.standard_normal(len(time), dtype=np.float32)
    tail = signal.lfilter([1.0], [1.0, -pole], noise) * 10 ** (_SILENCE_DB / 20 * time / seconds)
    tail *= np.sqrt(10 ** (decibels / 10) / np.sum(tail**2))
    response = np.zeros(first + len(tail), np.float32)
    response[0] = 1
    response[first:] = tail
    return response


def reverberate(stem: np.ndarray, response: np.ndarray) -> np.ndarray:
    """``stem [samples, channels]`` through ``response [samples]``, cut to the stem's length.

    All channels go through one response: the centre stays in the centre, and mono stays mono.
    """
    from scipy import signal

    return signal.fftconvolve(stem, response[:, None], axes=0)[: stem.shape[0]].astype(np.float32, copy=False)
