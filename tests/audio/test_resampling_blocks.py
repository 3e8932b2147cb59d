import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from diffvs_jax.audio.reading import open_audio
from diffvs_jax.audio.resampling import fit_blocks, resample_blocks
from diffvs_jax.audio.writing import StemFiles

PAIRS = [(44_100, 48_000), (48_000, 44_100), (8000, 44_100), (44_100, 8000), (192_000, 44_100), (44_100, 192_000)]
PAIRS += [(22_050, 44_100), (44_100, 22_050), (8000, 192_000), (44_100, 44_099)]


def noise(num_samples, channels=2):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (num_samples, channels)).astype(np.float32)


def cut(audio, size):
    return (audio[start : start + size] for start in range(0, len(audio), size))


def join(blocks, like):
    return np.concatenate([like[:0], *blocks])


@pytest.mark.parametrize(("have", "want"), PAIRS)
def test_blocks_are_resampled_like_the_whole(have, want):
    for length, sizes in {1: [1], 3: [1, 2], 1000: [1, 7, 333], 50_001: [997, 65_536]}.items():
        audio = noise(length)
        whole = soxr.resample(audio, have, want, quality="HQ")
        assert abs(len(whole) - length * want / have) < 1
        for size in sizes:
            resampled = join(resample_blocks(cut(audio, size), have, want), audio)
            assert resampled.shape == whole.shape and resampled.dtype == np.float32
            np.testing.assert_allclose(resampled, whole, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 6, 8])
def test_every_channel_is_resampled_alone(channels):
    audio = noise(5000, channels)
    resampled = join(resample_blocks(cut(audio, 999), 44_100, 32_000), audio)
    for channel in range(channels):
        np.testing.assert_allclose(resampled[:, channel], soxr.resample(audio[:, channel], 44_100, 32_000), atol=1e-6)


def test_a_sine_stays_in_its_place():
    phase = 2 * np.pi * 440 * np.arange(96_000)[:, None]
    sine = np.sin(phase / 96_000).astype(np.float32)
    resampled = join(resample_blocks(cut(sine, 1000), 96_000, 44_100), sine)
    np.testing.assert_allclose(resampled[200:-200], np.sin(phase[:44_100] / 44_100)[200:-200], atol=1e-4)


def test_equal_rates_pass_blocks_on_and_no_blocks_are_none():
    blocks = list(cut(noise(1000), 300))
    assert all(one is other for one, other in zip(resample_blocks(blocks, 8000, 8000), blocks, strict=True))
    assert not list(resample_blocks([], 8000, 44_100))


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
@pytest.mark.parametrize("wanted", [1, 950, 999, 1000, 1001, 3000])
def test_a_stream_gets_its_exact_length_at_the_end(size, wanted):
    audio = noise(1000)
    fitted = join(fit_blocks(cut(audio, size), lambda: wanted, slack=50 if wanted >= 950 else 1000), audio)
    np.testing.assert_array_equal(fitted, np.pad(audio, ((0, max(wanted - 1000, 0)), (0, 0)))[:wanted])


def test_the_length_is_asked_for_when_the_blocks_have_ended():
    seen = []

    def blocks():
        for block in cut(noise(1000), 100):
            seen.append(len(block))
            yield block

    assert sum(map(len, fit_blocks(blocks(), lambda: sum(seen) + 3))) == 1003


def test_more_than_is_held_back_cannot_be_cut():
    with pytest.raises(ValueError, match="cannot cut a stream at sample 900: 950"):
        list(fit_blocks(cut(noise(1000), 100), lambda: 900, slack=50))
    with pytest.raises(ValueError, match="cannot cut"):
        list(fit_blocks([], lambda: 0))


def peak_of_a_song(folder, seconds):
    """Most memory that reading, resampling there and back and writing a song takes, in MB."""
    folder.mkdir()
    with soundfile.SoundFile(folder / "song.flac", "w", 44_100, 2) as file:
        for _ in range(seconds):
            file.write(noise(44_100))
    tracemalloc.start()
    try:
        with (
            open_audio(folder / "song.flac") as song,
            StemFiles(folder, ["stem"], "wav16", 44_100, 2, song.num_samples, normalize=True) as files,
        ):
            there = resample_blocks(song.blocks(8192), 44_100, 8000)
            for block in fit_blocks(resample_blocks(there, 8000, 44_100), lambda: song.num_samples):
                files.write({"stem": block})
            assert files.finish()[0].num_samples == seconds * 44_100
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_song(tmp_path):
    peak_of_a_song(tmp_path / "first", 2)
    short, long = peak_of_a_song(tmp_path / "short", 4), peak_of_a_song(tmp_path / "long", 40)
    assert long < short + 0.5 and 3 * long < 40 * 44_100 * 2 * 4 / 1e6
