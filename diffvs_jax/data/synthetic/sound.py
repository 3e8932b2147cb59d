"""Sound tools of the procedural songs: control tracks, partials, noise, equalisers, rooms."""

from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.ndimage

CONTROL_RATE = 200.0
"""Frames per second of slowly varying parameters (pitch, loudness, formants)."""

_EQ_KNOTS_HZ = np.array([30.0, 60.0, 120.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0])


def midi_to_hz(midi):
    """Frequency in Hz of (arrays of) MIDI note numbers."""
    return 440.0 * 2.0 ** ((np.asarray(midi, float) - 69.0) / 12.0)


def upsample(track: np.ndarray, num_samples: int, sample_rate: int) -> np.ndarray:
    """A track of ``CONTROL_RATE`` frames per second, linearly interpolated to float32 ``[samples]``."""
    times = np.arange(num_samples) * (CONTROL_RATE / sample_rate)
    return np.interp(times, np.arange(len(track)), track).astype(np.float32)


def smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    """A control track ``[frames, ...]`` blurred along time by a Gaussian of this standard deviation."""
    return scipy.ndimage.gaussian_filter1d(track, max(seconds * CONTROL_RATE, 0.01), axis=0, mode="nearest")


def wander(rng: np.random.Generator, num_frames: int, seconds: float) -> np.ndarray:
    """A random control track of unit variance which changes within about ``seconds``."""
    knots = rng.standard_normal(int(num_frames / (seconds * CONTROL_RATE)) + 4)
    return scipy.ndimage.zoom(knots, (num_frames + 1) / len(knots), order=1)[:num_frames] * 1.2


def decaying_partials(
    frequencies: np.ndarray, amplitudes: np.ndarray, decays: np.ndarray, num_samples: int, sample_rate: int
) -> np.ndarray:
    """Sum of exponentially decaying sinusoids, float32 ``[samples]``.

    ``exp(p * (i * block + j)) = exp(p * i * block) * exp(p * j)``: the sum over the partials is a
    matrix product, which costs a multiplication per sample and partial instead of a sine.

    Args:
      frequencies: Hz ``[partials]``; those above 0.47 of the sample rate are left out.
      amplitudes: complex ``[partials]``, the angle is the phase.
      decays: 1/s ``[partials]``.
      num_samples: length.
      sample_rate: Hz.
    """
    audible = frequencies < 0.47 * sample_rate
    poles = (2j * np.pi * frequencies[audible] - decays[audible]) / sample_rate
    block = int(np.sqrt(num_samples)) + 1
    coarse = amplitudes[audible] * np.exp(poles * (block * np.arange(block))[:, None])
    fine = np.exp(poles[:, None] * np.arange(block))
    left = np.concatenate([coarse.real, -coarse.imag], axis=1).astype(np.float32)
    right = np.concatenate([fine.real, fine.imag]).astype(np.float32)
    return _matrix_product(left, right).reshape(-1)[:num_samples]


def _matrix_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``left @ right`` in tiles so small that BLAS starts no threads.

    Its threads would wait for each other in busy loops beside other workers, and the bits could depend
    on their number.
    """
    side = max(int(np.sqrt(250_000 / left.shape[1])), 8) if left.shape[1] else len(left)
    product = np.empty((left.shape[0], right.shape[1]), np.float32)
    for row in range(0, left.shape[0], side):
        for column in range(0, right.shape[1], side):
            tile = np.s_[row : row + side, column : column + side]
            product[tile] = left[row : row + side] @ right[:, column : column + side]
    return product


def shaped_noise(rng: np.random.Generator, num_samples: int, sample_rate: int, low: float, high: float) -> np.ndarray:
    """Gaussian noise between two frequencies in Hz (soft edges) of about unit variance, ``[samples]``."""
    size = scipy.fft.next_fast_len(num_samples + 16, real=True)
    spectrum = scipy.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    spectrum *= band(scipy.fft.rfftfreq(size, 1 / sample_rate), low, high)
    noise = scipy.fft.irfft(spectrum, size)[:num_samples]
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-9)


def band(frequencies: np.ndarray, low: float, high: float) -> np.ndarray:
    """Magnitude of a band-pass with 12 dB/octave edges at ``low`` and ``high`` Hz, float32."""
    with np.errstate(divide="ignore"):
        below = 1 / (1 + (low / np.maximum(frequencies, 1e-3)) ** 2)
    return (below / (1 + (frequencies / high) ** 2)).astype(np.float32)


def wavetable(spectrum: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """A periodic waveform read at a running phase.

    Args:
      spectrum: complex amplitudes ``[harmonics]`` of the waveform, the first is the fundamental.
      phase: ``[samples]``, in periods.

    Returns:
      float32 ``[samples]``.
    """
    size = 2048
    table = np.zeros(size // 2 + 1, complex)
    count = min(len(spectrum), size // 8)
    table[1 : count + 1] = spectrum[:count]
    wave = (scipy.fft.irfft(table, size) * size / 2).astype(np.float32)
    wave = np.append(wave, wave[0])
    position = ((phase - np.floor(phase)) * size).astype(np.float32)
    index = position.astype(np.int32)
    fraction = position - index
    index %= size
    return wave[index] * (1 - fraction) + wave[index + 1] * fraction


def random_equaliser(rng: np.random.Generator, decibels: float) -> np.ndarray:
    """Gains in dB at the octave knots: a random tilt plus random bumps of this standard deviation."""
    tilt = rng.normal(0, decibels / 3) * np.linspace(-1.5, 1.5, len(_EQ_KNOTS_HZ))
    return tilt + scipy.ndimage.gaussian_filter1d(rng.normal(0, decibels, len(_EQ_KNOTS_HZ)), 0.6)


def reverberation(
    rng: np.random.Generator, sample_rate: int, num_channels: int, seconds: float, level: float
) -> np.ndarray:
    """Impulse response of a room without the direct sound, ``[samples, channels]``.

    Decaying noise; the upper bands decay faster, as air and walls absorb them.

    Args:
      rng: source of the noise.
      sample_rate: Hz.
      num_channels: independent channels.
      seconds: time in which the sound decays by 60 dB.
      level: square root of the response's energy.
    """
    delay = int(sample_rate * rng.uniform(0.005, 0.04))
    length = int(sample_rate * seconds) + 64
    time = np.arange(length)[:, None] / sample_rate
    response = np.zeros((delay + length, num_channels), np.float32)
    for low, high, share in ((150, 1200, 1.0), (1200, 4500, 0.65), (4500, 12_000, 0.4)):
        noise = np.stack([shaped_noise(rng, length, sample_rate, low, high) for _ in range(num_channels)], 1)
        response[delay:] += share * noise * np.exp(-6.9 * time / (seconds * (0.4 + 0.6 * share)))
    return level * response / np.sqrt(np.sum(response**2) / num_channels + 1e-9)


def echoes(sample_rate: int, num_channels: int, seconds: float, level: float, feedback: float) -> np.ndarray:
    """Impulse response of a tempo delay, alternating between the channels, ``[samples, channels]``."""
    step = max(int(seconds * sample_rate), 1)
    count = 4
    response = np.zeros((count * step + 1, num_channels), np.float32)
    for repeat in range(count):
        gains = np.full(num_channels, 0.4)
        gains[repeat % num_channels] = 1.0
        response[(repeat + 1) * step] = level * feedback**repeat * gains
    return response


def process(
    audio: np.ndarray, sample_rate: int, gains_db: np.ndarray, responses: Sequence[np.ndarray] = (), low=20.0
) -> np.ndarray:
    """Equaliser and effects in one multiplication of spectra.

    Args:
      audio: ``[samples, channels]``.
      sample_rate: Hz.
      gains_db: gains at the octave knots, see ``random_equaliser``.
      responses: impulse responses ``[samples, channels]`` added to the direct sound.
      low: corner in Hz of a high-pass.

    Returns:
      float32 ``[samples, channels]``, the tail after the last sample cut off.
    """
    num_samples = len(audio)
    size = scipy.fft.next_fast_len(num_samples + max([len(each) for each in responses], default=64), real=True)
    frequencies = scipy.fft.rfftfreq(size, 1 / sample_rate)
    gain = 10 ** (np.interp(np.log(np.maximum(frequencies, 1.0)), np.log(_EQ_KNOTS_HZ), gains_db) / 20)
    gain = (gain * band(frequencies, low, 1e9)).astype(np.float32)[:, None]
    spectrum = scipy.fft.rfft(np.asarray(audio, np.float32), size, axis=0) * gain
    effect: np.ndarray | float = 1.0
    for response in responses:
        effect = effect + scipy.fft.rfft(np.asarray(response, np.float32), size, axis=0)
    return scipy.fft.irfft(spectrum * effect, size, axis=0)[:num_samples]


def pan(mono: np.ndarray, position: float, num_channels: int) -> np.ndarray:
    """Mono ``[samples]`` at a position -1 (left) .. 1 (right), constant power, ``[samples, channels]``."""
    if num_channels == 1:
        return mono[:, None]
    angle = (position + 1) * np.pi / 4
    return mono[:, None] * (np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)], np.float32))


def add_at(target: np.ndarray, sound: np.ndarray, start: int) -> None:
    """Adds ``sound`` ``[n, channels]`` to ``target`` from sample ``start`` on; what lies outside is cut."""
    first = max(start, 0)
    last = min(start + len(sound), len(target))
    if last > first:
        target[first:last] += sound[first - start : last - start]
