"""Spectrograms side by side, for people who would rather look."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.whole import whole_file

_RANGE_DB = 70.0  # shown below the loudest point of all pictures
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


def _draw_sheet(rows: Sequence[Mapping[str, np.ndarray]], sample_rate: int, inches: tuple[float, float]) -> Any:
    """The matplotlib figure of a contact sheet, on a canvas that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and only pictures need it
    from matplotlib.figure import Figure

    powers = [[_mel_power(audio, sample_rate) for audio in row.values()] for row in rows]
    top = max(float(power.max()) for row in powers for power in row) + 1e-12
    figure = Figure(figsize=(inches[0] * len(rows[0]), inches[1] * len(rows)), layout="constrained", dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(rows[0]), sharex=True, squeeze=False)
    for row_axes, row_powers, row in zip(axes, powers, rows, strict=True):
        for axis, power, (title, audio) in zip(row_axes, row_powers, row.items(), strict=True):
            decibels = 10 * np.log10(np.maximum(power / top, 10 ** (-_RANGE_DB / 10)))
            image = _draw(axis, decibels, len(audio) / sample_rate, sample_rate)
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


def _draw(axis, decibels: np.ndarray, seconds: float, sample_rate: int):
    import librosa

    image = axis.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, -0.5, _NUM_MELS - 0.5),
        vmin=-_RANGE_DB,
        vmax=0,
        cmap="magma",
    )
    ticks = [hz for hz in (200, 500, 1000, 2000, 4000, 8000, 16000) if hz <= sample_rate / 2]
    mels = librosa.mel_frequencies(n_mels=_NUM_MELS, fmax=sample_rate / 2)
    axis.set_yticks(np.interp(ticks, mels, np.arange(_NUM_MELS)), [str(hz) for hz in ticks])
    return image
