"""Spectrograms side by side, for people who would rather look."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_RANGE_DB = 70.0  # shown below the loudest point of all pictures


def save_spectrograms(path: str | os.PathLike, signals: Mapping[str, np.ndarray], sample_rate: int) -> None:
    """Writes a PNG with one mel spectrogram per signal ``[samples, channels]``, on one colour scale."""
    import librosa  # both are slow to import, and only pictures need them
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mono = {name: audio.mean(axis=1) for name, audio in signals.items()}
    mels = {
        name: librosa.feature.melspectrogram(y=audio, sr=sample_rate, n_fft=2048, hop_length=512, n_mels=128)
        for name, audio in mono.items()
    }
    top = max(float(mel.max()) for mel in mels.values()) + 1e-12
    figure = Figure(figsize=(10, 2.4 * len(mels)), layout="constrained")
    FigureCanvasAgg(figure)  # no display is needed
    axes = figure.subplots(len(mels), 1, sharex=True, squeeze=False)[:, 0]
    ticks = [hz for hz in (200, 500, 1000, 2000, 4000, 8000, 16000) if hz <= sample_rate / 2]
    rows = np.interp(ticks, librosa.mel_frequencies(n_mels=128, fmax=sample_rate / 2), np.arange(128))
    for axis, (name, mel) in zip(axes, mels.items(), strict=True):
        decibels = 10 * np.log10(np.maximum(mel / top, 10 ** (-_RANGE_DB / 10)))
        seconds = len(mono[name]) / sample_rate
        image = axis.imshow(
            decibels,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, -0.5, 127.5),
            vmin=-_RANGE_DB,
            vmax=0,
            cmap="magma",
        )
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_ylabel("Hz")
        axis.set_yticks(rows, [str(hz) for hz in ticks])
    axes[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(axes), label="dB", pad=0.01)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
