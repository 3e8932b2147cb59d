"""Up to which frequency a recording holds anything, and making all of a mixture end there alike.

A song put together from a 16-kHz voice and full-rate music teaches a model that nothing above
8 kHz is voice. It learns the truth when the music is limited to 8 kHz, too.
"""

import functools

import numpy as np

_TRANSITION_HERTZ = 400.0  # from the flat passband to the stopband, the limit in its middle
_STOPBAND_DB = 80.0

_WINDOW_SAMPLES = 4096
_MAX_WINDOWS = 1000  # looked at, evenly over a recording: 1.5 minutes of it at 44.1 kHz
_BAND_HERTZ = 100.0  # the spectrum is looked at in bands of this width
_PLATEAU_BANDS = 5  # below a wall
_WALL_BANDS = 15  # in which it falls
_FLOOR_BANDS = 3  # above it at least
_WALL_DB = 35.0  # by so much at least,
_WALL_DB_PER_OCTAVE = 130.0  # and as steeply as this: instruments fade out over octaves
_NEAR_NYQUIST = 0.93  # of half the rate: what ends above is nothing out of the ordinary
_HEARD_DB = 80.0  # a plateau so far below the loudest band is no sound
_LOWEST_HERTZ = 3000.0  # no recording ends lower, but single notes do


def find_bandwidth(audio: np.ndarray, sample_rate: int) -> float:
    """The frequency in Hz where a recording's spectrum falls off a wall, never to come back.

    Such a wall is left by a source of a lower sample rate or by a lossy codec: the mean spectrum
    drops by 35 dB or more within a kilohertz and a half, and nothing above is louder. Sounds that grow
    weaker gradually have no wall, nor has a sum of sources of which one goes on above.

    Args:
      audio: ``[samples, channels]``; half a minute tells more than a chunk.
      sample_rate: in Hz.

    Returns:
      The upper end of what lies below the wall, at least 3 kHz, and at most ``sample_rate / 2``.
      That also stands for: no wall, one in the uppermost 7 % (every converter leaves some),
      silence, or fewer than 4096 samples.
    """
    nyquist = sample_rate / 2
    if audio.shape[0] < _WINDOW_SAMPLES or not audio.any():
        return nyquist
    bands = _band_levels(audio, sample_rate)
    plateaus = np.median(np.lib.stride_tricks.sliding_window_view(bands, _PLATEAU_BANDS), axis=1)
    loudest_above = np.maximum.accumulate(bands[::-1])[::-1]
    first = max(0, int(_LOWEST_HERTZ / _BAND_HERTZ) - _PLATEAU_BANDS)
    starts = np.arange(first, len(bands) - _PLATEAU_BANDS - _WALL_BANDS - _FLOOR_BANDS + 1)
    drops = plateaus[starts] - loudest_above[starts + _PLATEAU_BANDS + _WALL_BANDS]
    octaves = np.log2(1 + _WALL_BANDS / (starts + _PLATEAU_BANDS))
    heard = plateaus[starts] > bands.max() - _HEARD_DB
    walls = heard & (drops > np.maximum(_WALL_DB, _WALL_DB_PER_OCTAVE * octaves))
    if not walls.any():
        return nyquist
    start = starts[walls][np.argmax(drops[walls])]
    near = bands[start : start + _PLATEAU_BANDS + _WALL_BANDS]
    hertz = float((start + np.flatnonzero(near > plateaus[start] - 10)[-1] + 1) * _BAND_HERTZ)
    return hertz if hertz < _NEAR_NYQUIST * nyquist else nyquist


def _band_levels(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean level in decibels of each band of 100 Hz, over the whole recording and all channels."""
    last = audio.shape[0] - _WINDOW_SAMPLES
    count = min(_MAX_WINDOWS, 1 + 2 * last // _WINDOW_SAMPLES)
    window = np.kaiser(_WINDOW_SAMPLES, 14).astype(np.float32)  # a note leaks 100 dB less into other bands
    power = np.zeros(_WINDOW_SAMPLES // 2 + 1)
    for start in np.linspace(0, last, count).astype(int):
        spectrum = np.fft.rfft(audio[start : start + _WINDOW_SAMPLES] * window[:, None], axis=0)
        power += np.sum(np.abs(spectrum) ** 2, axis=1)
    decibels = 10 * np.log10(power / count + 1e-30)
    edges = np.arange(_BAND_HERTZ, sample_rate / 2, _BAND_HERTZ) / sample_rate * _WINDOW_SAMPLES
    # The median: a single note in a band of silence is no plateau.
    return np.array([np.median(band) for band in np.split(decibels, np.ceil(edges).astype(int))])


def limit_bandwidth(stems: np.ndarray, hertz: float, sample_rate: int) -> np.ndarray:
    """A steep linear-phase low-pass: nothing is left above ``hertz``, nothing changes below.

    The response is flat up to ``hertz - 200`` and 80 dB down from ``hertz + 200`` on. Beyond the
    ends of a chunk there is silence, as far as the filter knows.

    Args:
      stems: ``[num_stems, samples, channels]``.
      hertz: limit, above 0.
      sample_rate: in Hz.

    Returns:
      As ``stems``; ``stems`` itself where the limit lies too near to half the rate to matter.
    """
    if hertz + _TRANSITION_HERTZ / 2 >= sample_rate / 2:
        return stems
    from scipy import signal  # slow to import, and most training does without

    taps = _low_pass(float(hertz), sample_rate)[:, None]
    limited = np.empty_like(stems)
    for stem, result in zip(stems, limited, strict=True):  # all at once would leave the processor's cache
        result[:] = signal.oaconvolve(stem, taps, mode="same", axes=0)
    return limited


@functools.lru_cache(maxsize=64)
def _low_pass(hertz: float, sample_rate: int) -> np.ndarray:
    from scipy import signal

    num_taps, beta = signal.kaiserord(_STOPBAND_DB, _TRANSITION_HERTZ / (sample_rate / 2))
    return signal.firwin(num_taps | 1, hertz, window=("kaiser", beta), fs=sample_rate).astype(np.float32)
