import numpy as np
import pytest

from diffvs_jax.data.augmentation.shift import shift

RATE = 8000


def peak_hertz(audio):
    """Frequency of the loudest partial, between bins by a parabola."""
    size = 8 * len(audio)
    power = np.log(np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size)) + 1e-9)
    top = int(np.argmax(power))
    left, middle, right = power[top - 1 : top + 2]
    return (top + (left - right) / (2 * (left - 2 * middle + right))) * RATE / size


@pytest.mark.parametrize(("semitones", "tempo"), [(2.0, 1.0), (-3.0, 1.0), (0.0, 0.8), (1.5, 0.9)])
def test_pitch_tempo_and_length(semitones, tempo):
    """A tone and a click: pitch moves the one, tempo the other."""
    time = np.arange(2 * RATE) / RATE
    stems = np.zeros((3, 2 * RATE, 2), np.float32)
    stems[0] = np.sin(2 * np.pi * 440 * time)[:, None] * [0.5, 0.25]
    stems[2] = np.random.default_rng(0).standard_normal((2 * RATE, 1)) * (np.abs(time - 1) < 0.02)[:, None]
    stems.flags.writeable = False
    shifted = shift(stems, semitones, tempo, RATE)
    assert shifted.shape == stems.shape and shifted.dtype == np.float32
    assert np.isfinite(shifted).all() and not shifted[1].any()
    assert peak_hertz(shifted[0, RATE // 2 : -RATE // 2, 0]) == pytest.approx(440 * 2 ** (semitones / 12), rel=2e-3)
    energy = np.square(shifted[2, :, 0], dtype=float)
    assert np.sum(energy * time) / np.sum(energy) == pytest.approx(1 / tempo, abs=0.02)
    np.testing.assert_allclose(shifted[0, :, 1], shifted[0, :, 0] / 2, atol=1e-3)
    assert np.abs(shifted[0, -10:]).max() > 0.1  # music to the end


def test_nothing_but_silence_and_no_shift():
    silence = np.zeros((2, 500, 1), np.float32)
    np.testing.assert_array_equal(shift(silence, 1.0, 0.9, RATE), silence)
    noise = np.random.default_rng(0).standard_normal((2, 500, 1)).astype(np.float32)
    np.testing.assert_array_equal(shift(noise, 0.0, 1.0, RATE), noise)
