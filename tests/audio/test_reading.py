import io
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from diffvs_jax.audio.reading import open_audio
from diffvs_jax.errors import InputError


def noise(num_samples, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (num_samples, channels)).astype(np.float32)


def read(path, size=4096):
    with open_audio(path) as reader:
        blocks = list(reader.blocks(size))
    assert all(len(block) == size for block in blocks[:-1]) and 0 < len(blocks[-1]) <= size
    assert all(block.dtype == np.float32 for block in blocks)
    return np.concatenate(blocks), reader


FORMS = [
    ("wav", "PCM_U8"),
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "PCM_32"),
    ("wav", "FLOAT"),
    ("wav", "DOUBLE"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
    ("aiff", "PCM_24"),
    ("caf", "PCM_16"),
    ("w64", "FLOAT"),
    ("ogg", "VORBIS"),
    ("mp3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(
    ("suffix", "subtype", "channels"),
    [(*form, channels) for form in FORMS for channels in (1, 2, 6, 8) if form[0] != "mp3" or channels <= 2],
)
def test_blocks_join_to_the_whole_file(tmp_path, suffix, subtype, channels):
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, noise(20_001, channels), 44_100, subtype)
    audio, reader = read(path)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(audio, expected)
    assert (reader.sample_rate, reader.num_channels, reader.num_samples) == (44_100, channels, 20_001)
    assert reader.name == str(path)


@pytest.mark.parametrize("rate", [8000, 11_025, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("length", [1, 7, 4096])
def test_every_rate_and_the_shortest_lengths(tmp_path, rate, length):
    for suffix in ("wav", "flac", "ogg"):
        soundfile.write(tmp_path / f"song.{suffix}", noise(length), rate)
        audio, reader = read(tmp_path / f"song.{suffix}")
        assert len(audio) == reader.num_samples == length and reader.sample_rate == rate


def test_blocks_begin_anew_with_every_call(tmp_path):
    soundfile.write(tmp_path / "song.flac", noise(5000), 8000)
    with open_audio(tmp_path / "song.flac") as reader:
        first = next(reader.blocks(1000))
        np.testing.assert_array_equal(next(reader.blocks(1000)), first)


def test_a_flac_that_tells_no_length_is_read_to_its_end(tmp_path):
    soundfile.write(tmp_path / "song.flac", noise(20_001), 44_100)
    content = bytearray((tmp_path / "song.flac").read_bytes())
    content[21] &= 0xF0  # the 36 bits of the length in STREAMINFO, as an encoder into a pipe leaves them
    content[22:26] = bytes(4)
    (tmp_path / "piped.flac").write_bytes(content)
    audio, reader = read(tmp_path / "piped.flac")
    np.testing.assert_array_equal(audio, read(tmp_path / "song.flac")[0])
    assert reader.num_samples == 20_001


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_wav_from_an_encoder_that_could_not_seek_is_whole(tmp_path, size):
    soundfile.write(tmp_path / "song.wav", noise(5000), 8000)
    content = bytearray((tmp_path / "song.wav").read_bytes())
    struct.pack_into("<I", content, content.index(b"data") + 4, size)
    (tmp_path / "song.wav").write_bytes(content)
    assert len(read(tmp_path / "song.wav")[0]) == 5000


@pytest.fixture
def mp3(tmp_path):
    """An mp3 of changing bit rate, its bytes, and where its second frame begins, behind the Info tag."""
    audio = noise(441_000)
    audio[150_000:300_000] *= 1e-3
    with soundfile.SoundFile(
        tmp_path / "song.mp3", "w", 44_100, 2, compression_level=0.5, bitrate_mode="VARIABLE"
    ) as f:
        f.write(audio)
    content = (tmp_path / "song.mp3").read_bytes()
    return content, content.index(content[:2], 4)


def test_an_mp3_without_an_info_tag_is_read_to_its_end(tmp_path, mp3):
    content, second_frame = mp3
    path = tmp_path / "untagged.mp3"
    path.write_bytes(content[second_frame:])
    guessed = soundfile.info(path).frames
    audio, reader = read(path)
    assert abs(guessed - 441_000) > 44_100  # what libsndfile alone would read
    assert len(audio) == reader.num_samples and 441_000 <= len(audio) < 441_000 + 3 * 1152
    tagged, _ = read(tmp_path / "song.mp3")
    padding = range(len(audio) - 441_000 + 1)  # the encoder's, partly at the start
    lags = [np.abs(audio[lag + 20_000 : lag + 30_000] - tagged[20_000:30_000]).max() for lag in padding]
    assert min(lags) < 1e-6


def test_an_mp3_that_lacks_a_few_frames_is_taken_as_it_is_and_one_cut_off_is_not(tmp_path, mp3, capfd):
    content, _ = mp3
    path = tmp_path / "cut.mp3"
    path.write_bytes(content[:-600])
    audio, reader = read(path)
    assert reader.num_samples == 441_000 and 0 < 441_000 - len(audio) < 4 * 1152
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut.mp3: is cut off: ends at second [3-6]\.\d\d"):
        read(path)
    capfd.readouterr()  # libmpg123 warns, too


CUTS = {"wav": "PCM_24", "flac": "PCM_16", "ogg": "VORBIS", "aiff": "PCM_16", "w64": "PCM_16"}


@pytest.mark.parametrize("suffix", CUTS)
def test_a_file_that_is_cut_off_is_told_with_its_end(tmp_path, suffix):
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, noise(80_000), 8000, CUTS[suffix])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(InputError, match=r"cut off.* second [4-6]\.\d\d") as caught:
        read(path, 4096)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_counted_and_placed(tmp_path, bad):
    audio = noise(20_000)
    audio[[12_000, 12_001], 1] = bad
    soundfile.write(tmp_path / "song.wav", audio, 8000, "FLOAT")
    with open_audio(tmp_path / "song.wav") as reader:
        blocks = reader.blocks(5000)
        next(blocks), next(blocks)
        with pytest.raises(InputError, match=r"song.wav: 2 of 10000 samples .* second 1\.50"):
            next(blocks)


def test_what_is_no_song_is_told_on_one_line(tmp_path):
    (tmp_path / "album").mkdir()
    (tmp_path / "text.mp3").write_text("no sound here " * 1000)
    (tmp_path / "nothing.wav").write_bytes(b"")
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), 8000)
    reasons = {
        "lost.wav": "no such file",
        "album": "is a folder",
        "text.mp3": "not an audio file",
        "nothing.wav": "not an audio file",
        "empty.wav": "no samples",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=f"{name}: .*{reason}") as caught, open_audio(tmp_path / name):
            pass
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_standard_input_is_a_file_like_others(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, noise(20_001), 44_100)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    with open_audio("-") as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks())), read(path)[0])
        assert reader.name.endswith("standard input") and len(list((tmp_path / "spool").iterdir())) == 1
    assert not list((tmp_path / "spool").iterdir())


def test_standard_input_that_holds_no_sound_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    with pytest.raises(InputError, match="standard input: not an audio file"), open_audio("-"):
        pass
