"""Spectrograms side by side, for people who would rather look."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.whole import whole_file

RANGE_DB = 70.0
"""Shown below the loudest point of all pictures."""

_N_FFT = 2048
_NUM_MELS = 128
_DPI = 110


def save_spectrograms(path: str | os.PathLike, signals: Mapping[str, np.ndarray], sample_rate: int) -> None:
    """Writes a PNG with one mel spectrogram per signal ``[samples, channels]``, on one colour scale."""
    save_contact_sheet(path, [{name: audio} for name, audio in signals.items()], sample_rate, (10.0, 2.4))


def save_contact_sheet(
    path: str | os.PathLike,
    rows: Sequence[Mapping[str, np.ndarray]],
    sample_rate: int,
    inches: tuple[float, float] = (5.0, 2.2),
) -> None:
    """Writes a PNG of mel spectrograms in rows and columns, all on one colour scale.

    The file appears whole or not at all.

    Args:
      path: the PNG; its folder is made.
      rows: title to signal ``[samples, channels]``, as many in every row.
      sample_rate: in Hz.
      inches: width and height of one spectrogram.
    """
    figure = _draw_sheet(rows, sample_rate, inches)
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png")


def contact_sheet(
    rows: Sequence[Mapping[str, np.ndarray]], sample_rate: int, inches: tuple[float, float] = (5.0, 2.2)
) -> np.ndarray:
    """What ``save_contact_sheet`` would write, as pixels: uint8 ``[height, width, 3]``."""
    canvas: Any = _draw_sheet(rows, sample_rate, inches).canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def decibels(signals: Sequence[np.ndarray], sample_rate: int) -> list[np.ndarray]:
    """Mel spectrograms ``[mels, frames]`` of signals ``[samples, channels]``.

    In dB below the loudest point of all, down to ``-RANGE_DB``; low frequencies first.
    """
    powers = [_mel_power(audio, sample_rate) for audio in signals]
    top = max(float(power.max()) for power in powers) + 1e-12
    return [10 * np.log10(np.maximum(power / top, 10 ** (-RANGE_DB / 10))) for power in powers]


def mel_places(frequencies: Sequence[float], sample_rate: int) -> dict[float, float]:
    """Of the frequencies (Hz) that a picture shows, the height at which it does: 0 at its foot, 1 at its top."""
    import librosa

    mels = librosa.mel_frequencies(n_mels=_NUM_MELS, fmax=sample_rate / 2)
    shown = [hz for hz in frequencies if hz <= sample_rate / 2]
    return dict(zip(shown, ((np.interp(shown, mels, np.arange(_NUM_MELS)) + 0.5) / _NUM_MELS).tolist(), strict=True))


def _draw_sheet(rows: Sequence[Mapping[str, np.ndarray]], sample_rate: int, inches: tuple[float, float]) -> Any:
    """The matplotlib figure of a contact sheet, on a canvas that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and only pictures need it
    from matplotlib.figure import Figure

    pictures = iter(decibels([audio for row in rows for audio in row.values()], sample_rate))
    figure = Figure(figsize=(inches[0] * len(rows[0]), inches[1] * len(rows)), layout="constrained", dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(rows[0]), sharex=True, squeeze=False)
    for row_axes, row in zip(axes, rows, strict=True):
        for axis, (title, audio) in zip(row_axes, row.items(), strict=True):
            image = _draw(axis, next(pictures), len(audio) / sample_rate, sample_rate)
            axis.set_title(title, loc="left", fontsize=10 if len(row) == 1 else 8, parse_math=False)
        row_axes[0].set_ylabel("Hz")
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.colorbar(image, ax=list(axes.flat), label="dB", pad=0.01, aspect=12 * len(rows))
    return figure


def _mel_power(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """``[mels, frames]`` of the mean of all channels."""
    import librosa

    mono = files.fit_length(audio, max(len(audio), _N_FFT)).mean(axis=1)  # a very short one ends in silence
    return librosa.feature.melspectrogram(y=mono, sr=sample_rate, n_fft=_N_FFT, hop_length=512, n_mels=_NUM_MELS)


def _draw(axis, picture: np.ndarray, seconds: float, sample_rate: int):
    image = axis.imshow(
        picture,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, -0.5, _NUM_MELS - 0.5),
        vmin=-RANGE_DB,
        vmax=0,
        cmap="magma",
    )
    places = mel_places((200, 500, 1000, 2000, 4000, 8000, 16000), sample_rate)
    axis.set_yticks([place * _NUM_MELS - 0.5 for place in places.values()], [str(hz) for hz in places])
    return image
