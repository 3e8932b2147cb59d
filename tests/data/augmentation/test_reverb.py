import numpy as np
import pytest

from diffvs_jax.data.augmentation import reverb

RATE = 8000


@pytest.fixture
def stem():
    values = np.random.default_rng(0).standard_normal((3000, 2)).astype(np.float32)
    values.flags.writeable = False
    return values


@pytest.mark.parametrize("decibels", [-20.0, -6.0])
def test_a_response_is_the_direct_sound_and_a_tail_of_the_wanted_energy(decibels):
    response = reverb.room_response(0.5, decibels, RATE, np.random.default_rng(1))
    assert response[0] == 1 and not response[1 : int(0.005 * RATE)].any()
    assert 10 * np.log10(np.sum(response[1:].astype(float) ** 2)) == pytest.approx(decibels, abs=1e-3)


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_the_tail_falls_by_sixty_decibels_in_its_time(seconds):
    rng = np.random.default_rng(1)
    tails = [reverb.room_response(seconds, 0.0, RATE, rng)[-int(seconds * RATE) :] for _ in range(30)]
    power = np.mean(np.square(tails, dtype=float), axis=0)
    parts = 10 * np.log10([part.mean() for part in np.array_split(power, 10)])
    slope = np.polyfit(np.arange(10) / 10, parts, 1)[0]
    assert slope == pytest.approx(-60, abs=2)


def test_the_tail_is_dull():
    rng = np.random.default_rng(1)
    tails = [reverb.room_response(1.0, 0.0, 44_100, rng)[-44_100:] for _ in range(10)]
    power = np.mean(np.abs(np.fft.rfft(tails)) ** 2, axis=0)
    assert power[: len(power) // 10].mean() > 3 * power[len(power) // 2 :].mean()


def test_reverberation_is_convolution_cut_to_length(stem):
    response = reverb.room_response(0.2, -6.0, RATE, np.random.default_rng(1))
    wet = reverb.reverberate(stem, response)
    assert wet.shape == stem.shape and wet.dtype == np.float32
    for channel in range(2):
        np.testing.assert_allclose(wet[:, channel], np.convolve(stem[:, channel], response)[:3000], atol=1e-5)


def test_chunks_shorter_than_the_response_and_silence(stem):
    response = reverb.room_response(1.0, -6.0, RATE, np.random.default_rng(1))
    assert reverb.reverberate(stem[:50], response).shape == (50, 2)
    assert not reverb.reverberate(np.zeros_like(stem), response).any()


def test_rooms_differ_within_their_range(stem):
    rng = np.random.default_rng(0)
    words = [reverb.random_reverb(stem[:100], (0.2, 1.0), (-20.0, -6.0), RATE, rng)[1].split() for _ in range(100)]
    assert {word[1] for word in words} == {f"{tenths / 10}" for tenths in range(2, 11)}
    levels = [float(word[3]) for word in words]
    assert -20 <= min(levels) <= -19 and -7 <= max(levels) <= -6
