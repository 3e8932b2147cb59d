"""The signal path in PyTorch: waveforms to network tensors with ``torch.stft``."""

import torch
from torch import Tensor


def encode(stems: Tensor, mixture_std: Tensor, target_std: Tensor, audio, sigma_data: float) -> tuple[Tensor, Tensor]:
    """Condition and clean targets, ``[B, C, T, F]`` each in channels-last memory.

    Args:
      stems: ``[B, S + 1, samples, channels]``; the last row is the rest, the mixture is the sum.
      mixture_std: ``[bands]``, of the training set.
      target_std: ``[S, bands]``, likewise.
      audio: the audio section of a config.
      sigma_data: standard deviation that every band shall have.

    Raises:
      ValueError: another band norm than the paper's.
    """
    if audio.band_norm != "dataset":
        raise ValueError(f"audio.band_norm {audio.band_norm!r}: the PyTorch signal path knows 'dataset' alone")
    rows = torch.cat([stems.sum(dim=1, keepdim=True), stems[:, :-1]], dim=1)  # the mixture, then the targets
    if audio.peak_norm:
        peak = rows[:, 0].abs().amax(dim=(1, 2))
        rows = rows / torch.where(peak < audio.peak_floor, 1.0, peak)[:, None, None, None]
    std = torch.cat([mixture_std[None], target_std])  # [rows, bands]
    features = spectrogram(rows, audio) * (sigma_data / std)[:, None, None, :, None, None]
    condition, clean = features[:, 0].flatten(-3), features[:, 1:].movedim(1, 3).flatten(-4)  # [B, T, F, C]
    return condition.permute(0, 3, 1, 2), clean.permute(0, 3, 1, 2)


def spectrogram(audio_BRNA: Tensor, audio) -> Tensor:
    """Compressed amplitudes ``[B, rows, T, F, bands, audio channels, (re, im)]``, F bins in each band."""
    signals = audio_BRNA.transpose(2, 3)  # [B, rows, A, samples]
    window = torch.hann_window(audio.n_fft, device=signals.device)
    spectrum = torch.stft(
        signals.flatten(0, 2), audio.n_fft, audio.hop_length, window=window, pad_mode="reflect", return_complex=True
    )
    parts = torch.view_as_real(spectrum[:, :-1])  # [signals, bins, T, 2] without the Nyquist bin
    parts = parts * audio.amplitude_scale * (parts.square().sum(-1, True) + audio.epsilon) ** ((audio.alpha - 1) / 2)
    parts[:, 0, :, 1] = 0  # a real signal's DC
    parts = parts.unflatten(1, (audio.num_bands, -1)).unflatten(0, signals.shape[:3])
    return parts.permute(0, 1, 5, 4, 3, 2, 6)
