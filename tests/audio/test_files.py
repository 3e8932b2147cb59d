import warnings

import numpy as np
import pytest
import soundfile

from diffvs_jax.audio import files, segments
from diffvs_jax.errors import InputError


def noise(num_samples, channels=2):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (num_samples, channels)).astype(np.float32)


def sine(rate, seconds, frequency=440.0):
    phase = 2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate
    return np.stack([0.5 * np.sin(phase), 0.3 * np.cos(phase)], -1).astype(np.float32)


def test_saved_floats_come_back_bit_for_bit_even_above_one(tmp_path):
    audio = noise(1000) * 10
    path = tmp_path / "new" / "folder" / "song.wav"
    files.save(path, audio, 44_100)
    loaded, rate = files.load(path)
    assert rate == 44_100 and loaded.dtype == np.float32 and np.abs(loaded).max() > 4
    np.testing.assert_array_equal(loaded, audio)
    assert files.info(path) == files.AudioInfo(44_100, 1000, 2)


def test_mono_loads_with_a_channel_axis(tmp_path):
    soundfile.write(tmp_path / "mono.wav", noise(100, 1)[:, 0], 8000)
    assert files.load(tmp_path / "mono.wav")[0].shape == (100, 1)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_segment_is_a_slice_of_the_whole(tmp_path, suffix):
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, noise(20_000), 44_100)
    whole = files.load(path)[0]
    for start, length in [(0, 500), (7001, 3000), (19_000, 1000)]:
        segment = segments.load_segment(path, start, length, 44_100, 2)
        np.testing.assert_allclose(segment, whole[start : start + length], atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_a_segment_beyond_the_end_is_zeros(tmp_path, rate):
    path = tmp_path / "song.wav"
    files.save(path, 1 + noise(1000), 8000)
    end = 1000 * rate // 8000
    segment = segments.load_segment(path, end - 300, 500, rate, 2)
    assert segment.shape == (500, 2) and (segment[:290] > 0).all()
    np.testing.assert_array_equal(segment[310:], np.zeros((190, 2)))
    np.testing.assert_array_equal(segments.load_segment(path, end + 5000, 50, rate, 2), np.zeros((50, 2)))


@pytest.mark.parametrize(("have", "want", "start"), [(44_100, 22_050, 3000), (48_000, 44_100, 1470)])
def test_a_resampled_segment_is_a_slice_of_the_resampled_whole(tmp_path, have, want, start):
    path = tmp_path / "song.wav"
    files.save(path, sine(have, 0.5), have)
    segment = segments.load_segment(path, start, 4000, want, 2)
    whole = files.resample(sine(have, 0.5), have, want)
    assert segment.shape == (4000, 2)
    np.testing.assert_allclose(segment[200:-200], whole[start + 200 : start + 3800], atol=1e-4)
    np.testing.assert_allclose(whole[1000:5000], sine(want, 0.5)[1000:5000], atol=1e-3)


def test_channels_are_duplicated_or_averaged():
    stereo = noise(10)
    np.testing.assert_array_equal(files.to_channels(stereo, 2), stereo)
    np.testing.assert_allclose(files.to_channels(stereo, 1)[:, 0], (stereo[:, 0] + stereo[:, 1]) / 2, atol=1e-7)
    np.testing.assert_array_equal(files.to_channels(stereo[:, :1], 2), stereo[:, [0, 0]])
    with pytest.raises(InputError, match="6 channels, wanted 2"):
        files.to_channels(noise(10, 6), 2)


def test_fit_length_cuts_or_pads_the_end():
    audio = noise(10)
    np.testing.assert_array_equal(files.fit_length(audio, 4), audio[:4])
    np.testing.assert_array_equal(files.fit_length(audio, 12), np.concatenate([audio, np.zeros((2, 2))]))


def broken_files(folder):
    (folder / "album").mkdir()
    (folder / "text.wav").write_text("no sound here " * 10)
    soundfile.write(folder / "empty.wav", np.zeros((0, 2), np.float32), 8000)
    nan = noise(100)
    nan[[3, 5], 0] = np.nan
    soundfile.write(folder / "nan.wav", nan, 8000, subtype="FLOAT")
    return {
        "lost.wav": "no such file",
        "album": "is a folder",
        "text.wav": "not an audio file",
        "empty.wav": "no samples",
        "nan.wav": "2 of 200 samples",
    }


def test_every_error_of_load_names_the_file_on_one_line(tmp_path):
    for name, reason in broken_files(tmp_path).items():
        with pytest.raises(InputError, match=reason) as caught:
            files.load(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_audio_gives_its_error_and_no_warnings(tmp_path):
    broken_files(tmp_path)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with pytest.raises(InputError, match="not an audio file"):
            files.load(tmp_path / "text.wav")
    assert not shown


@pytest.mark.parametrize("read", [files.info, lambda path: segments.load_segment(path, 0, 10, 8000, 2)])
def test_headers_and_segments_name_a_bad_file_too(tmp_path, read):
    reasons = broken_files(tmp_path)
    for name in ("lost.wav", "album", "text.wav"):
        with pytest.raises(InputError, match=f"{name}: .*{reasons[name]}"):
            read(tmp_path / name)


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "song.wav"
    files.save(path, noise(10), 8000)
    before = path.read_bytes()

    def full_disk(name, *args, **kwargs):
        with open(name, "wb") as file:
            file.write(b"RIFF")
        raise OSError("no space left on device")

    monkeypatch.setattr(soundfile, "write", full_disk)
    with pytest.raises(OSError, match="no space"):
        files.save(path, noise(20), 8000)
    with pytest.raises(OSError, match="no space"):
        files.save(tmp_path / "other.wav", noise(20), 8000)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(
    ("have", "want"), [(44_100, 48_000), (48_000, 44_100), (44_100, 8000), (8000, 44_100), (22_050, 16_000)]
)
def test_noise_resampled_in_segments_is_noise_resampled_whole(tmp_path, have, want, suffix):
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, noise(2 * have), have, "FLOAT" if suffix == "wav" else "PCM_24")
    whole = files.resample(files.load(path)[0], have, want)
    assert abs(len(whole) - 2 * want) <= 1
    length = want // 4
    for start in (0, 1, 100, want // 20, want // 2 + 7, want + 1, len(whole) - length - 1, len(whole) - length):
        segment = segments.load_segment(path, start, length, want, 2)
        np.testing.assert_allclose(segment, whole[start : start + length], atol=1e-4)
    beyond = segments.load_segment(path, len(whole) - 100, 300, want, 2)
    np.testing.assert_allclose(beyond[:100], whole[-100:], atol=1e-4)
    assert not beyond[102:].any()
