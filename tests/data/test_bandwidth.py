import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from scipy import signal

from diffvs_jax.data.bandwidth import find_bandwidth, limit_bandwidth

RATE = 44_100


def noise(rate, seconds=4, channels=1, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((rate * seconds, channels))).astype(np.float32)


def low_rate(rate):
    return soxr.resample(noise(rate), rate, RATE)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 24_000, 32_000])
def test_a_source_of_a_lower_rate_ends_where_its_rate_does(rate):
    assert 0.92 * rate / 2 < find_bandwidth(low_rate(rate), RATE) <= rate / 2


def test_sixteen_bits_do_not_hide_it():
    quiet = 0.1 * low_rate(16_000)
    assert 7400 < find_bandwidth(np.round(quiet * 32767) / 32768, RATE) <= 8000


def test_a_codec_with_a_low_pass_leaves_a_wall():
    sections = signal.ellip(12, 0.1, 80, 16_000, fs=RATE, output="sos")
    assert find_bandwidth(signal.sosfilt(sections, noise(RATE), axis=0), RATE) == pytest.approx(16_000, abs=200)


@pytest.mark.parametrize("order", [2, 4, 8])
def test_what_fades_out_has_no_wall(order):
    sections = signal.butter(order, 2000, fs=RATE, output="sos")
    assert find_bandwidth(signal.sosfilt(sections, noise(RATE), axis=0), RATE) == RATE / 2


@pytest.mark.parametrize(
    "audio",
    [
        noise(RATE),
        np.zeros((RATE, 2), np.float32),
        noise(RATE)[:1000],
        np.sin(2 * np.pi * 5000 * np.arange(RATE) / RATE)[:, None],
    ],
    ids=["full rate", "silence", "too short", "a tone"],
)
def test_where_nothing_can_be_told_there_is_no_wall(audio):
    assert find_bandwidth(audio, RATE) == RATE / 2


def test_a_sum_has_the_wall_of_its_widest_source():
    full = noise(RATE, seed=1)
    assert find_bandwidth(low_rate(16_000) + 0.1 * full, RATE) == RATE / 2
    assert 11_000 < find_bandwidth(low_rate(16_000) + low_rate(24_000), RATE) <= 12_000
    top = signal.sosfilt(signal.butter(8, 17_000, "highpass", fs=RATE, output="sos"), full, axis=0)
    assert find_bandwidth(low_rate(16_000) + top, RATE) == RATE / 2
    one_channel = np.concatenate([low_rate(16_000), full], axis=1)
    assert find_bandwidth(one_channel, RATE) == RATE / 2


@pytest.mark.parametrize("rate", [8000, RATE])
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_limiting_is_flat_below_and_silent_above(rate, share):
    hertz = share * rate / 2
    impulse = np.zeros((1, rate, 1), np.float32)
    impulse[0, rate // 2] = 1
    response = np.abs(np.fft.rfft(limit_bandwidth(impulse, hertz, rate)[0, :, 0]))  # a bin per hertz
    frequencies = np.arange(len(response))
    passed, stopped = response[frequencies <= hertz - 200], response[frequencies >= hertz + 200]
    assert np.abs(20 * np.log10(passed)).max() < 0.1
    assert 20 * np.log10(stopped.max()) < -60


def test_limiting_delays_nothing_and_treats_rows_and_channels_alike():
    tone = np.sin(2 * np.pi * 500 * np.arange(4000) / 8000).astype(np.float32)
    stems = tone[None, :, None] * np.float32([[1, 2], [3, 4]])[:, None, :]
    stems.flags.writeable = False
    limited = limit_bandwidth(stems, 2000.0, 8000)
    assert limited.shape == stems.shape and limited.dtype == np.float32
    np.testing.assert_allclose(limited[:, 500:-500], stems[:, 500:-500], atol=2e-3)


def test_limits_near_half_the_rate_and_beyond_change_nothing():
    stems = noise(8000, 1)[None]
    for hertz in (3900.0, 4000.0, np.inf):
        assert limit_bandwidth(stems, hertz, 8000) is stems


def test_short_chunks_and_silence():
    assert limit_bandwidth(noise(8000, 1)[None, :10], 2000.0, 8000).shape == (1, 10, 1)
    assert not limit_bandwidth(np.zeros((2, 500, 2), np.float32), 2000.0, 8000).any()


def test_what_was_limited_is_found():
    found = find_bandwidth(limit_bandwidth(noise(RATE)[None], 9000.0, RATE)[0], RATE)
    assert found == pytest.approx(9000, abs=200)


@pytest.mark.skipif("DIFFVS_SONGS_DIR" not in os.environ, reason="DIFFVS_SONGS_DIR names no folder of songs")
def test_real_voices_that_were_made_narrow():
    path = sorted(Path(os.environ["DIFFVS_SONGS_DIR"]).rglob("vocals.*"))[0]
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True, stop=44_100 * 90)
    assert find_bandwidth(audio, rate) > 14_000
    for lower in (16_000, 24_000):
        narrow = soxr.resample(soxr.resample(audio, rate, lower), lower, rate)
        assert 0.9 * lower / 2 < find_bandwidth(narrow, rate) <= lower / 2
