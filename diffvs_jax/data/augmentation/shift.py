"""Pitch and tempo, changed for all stems of an example alike."""

import numpy as np
import soxr

_WINDOW_SECONDS = 0.05  # of the phase vocoder: 2048 samples at 44.1 kHz


def shift(stems: np.ndarray, semitones: float, tempo: float, sample_rate: int) -> np.ndarray:
    """Another pitch and a slower tempo, of the same length to the sample.

    A phase vocoder (librosa) stretches time, then resampling turns a part of that into pitch.
    Slower music is cut at the end. Faster music would need what comes after the chunk, and silence
    or a repetition in its place would be learned as music; so tempo ends at 1.

    Args:
      stems: ``[num_stems, samples, channels]``; silent stems stay exactly silent.
      semitones: of pitch, up or down.
      tempo: factor of speed, above 0 and at most 1.
      sample_rate: in Hz.
    """
    import librosa  # slow to import, and slow to compile on first use

    ratio = 2 ** (semitones / 12)
    _, num_samples, num_channels = stems.shape
    sounding = stems.any(axis=(1, 2))
    rows = stems[sounding].transpose(0, 2, 1)
    shifted = np.zeros_like(stems)
    if not rows.size:
        return shifted
    if tempo != ratio:
        n_fft = 2 ** int(np.log2(min(_WINDOW_SECONDS * sample_rate, num_samples)))
        # Not effects.time_stretch: librosa 1.0's warns of an argument that it passes to itself. Its compiled
        # casts raise the flag of an invalid value now and then, where every value is finite.
        with np.errstate(invalid="ignore"):
            stretched = librosa.phase_vocoder(librosa.stft(rows, n_fft=n_fft), rate=tempo / ratio)
        rows = librosa.istft(stretched, n_fft=n_fft, length=round(num_samples * ratio / tempo))
    columns = rows.reshape(-1, rows.shape[-1]).T
    if semitones:
        columns = soxr.resample(np.ascontiguousarray(columns), sample_rate * ratio, sample_rate)
    kept = min(num_samples, len(columns))  # rounding can cost the last sample
    shifted[sounding, :kept] = columns[:kept].reshape(kept, -1, num_channels).transpose(1, 0, 2)
    return shifted
