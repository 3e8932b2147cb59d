"""Mapped reading of wav files gives libsndfile's bits, and leaves alone what it does not know."""

import struct

import numpy as np
import pytest
import soundfile

from diffvs_jax.audio import files, segments, wav
from diffvs_jax.errors import InputError

RATE = 44_100
PCM, FLOAT, ALAW, EXTENSIBLE = 1, 3, 6, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name, content, size=None):
    """A RIFF chunk, padded to an even length; ``size`` is what its header claims."""
    return name + struct.pack("<I", len(content) if size is None else size) + content + b"\0" * (len(content) % 2)


def fmt(channels=2, bits=16, tag=PCM, block=None):
    block = channels * bits // 8 if block is None else block
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, RATE, RATE * block, block, bits))


def extensible(channels=2, bits=16, tag=PCM):
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", EXTENSIBLE, channels, RATE, RATE * block, block, bits)
    return chunk(b"fmt ", head + struct.pack("<HHIH", 22, bits, (1 << channels) - 1, tag) + GUID_TAIL)


def riff(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def noise(num_samples=1000, channels=2, limit=1.0):
    return np.random.default_rng(0).uniform(-limit, limit, (num_samples, channels)).astype(np.float32)


def shorts(num_samples=1000, channels=2):
    """Every kind of 16-bit sample, the extremes included."""
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (num_samples, channels)).astype("<i2")
    samples[:3, 0] = -(2**15), 2**15 - 1, 0
    return samples


def decoded(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def check_segments(path):
    """All kinds of segments of a file are libsndfile's, bit for bit, zeros beyond its end."""
    whole = decoded(path)
    assert whole.any()
    length, channels = whole.shape
    padded = np.concatenate([whole, np.zeros((2000, channels), np.float32)])
    for start, count in [
        (0, 1),
        (0, length),
        (1, 7),
        (length - 5, 5),
        (length - 5, 50),
        (length, 9),
        (length + 999, 9),
    ]:
        segment = segments.load_segment(path, start, count, RATE, channels)
        assert segment.dtype == np.float32
        np.testing.assert_array_equal(segment, padded[start : start + count])


@pytest.fixture
def refuse_decoding(monkeypatch):
    """Makes a segment that is decoded instead of mapped fail."""

    def switch_on():
        def refuse(*_):
            raise AssertionError("the file was decoded")

        monkeypatch.setattr(segments, "_decode", refuse)

    return switch_on


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_32", "FLOAT"])
def test_what_is_mapped_has_libsndfiles_bits(tmp_path, refuse_decoding, subtype, channels, form):
    path = tmp_path / "song.wav"
    soundfile.write(
        path, noise(channels=channels, limit=3.0 if subtype == "FLOAT" else 1.0), RATE, subtype, format=form
    )
    layout = wav.read_layout(path)
    assert (layout.sample_rate, layout.num_channels, layout.num_samples) == (RATE, channels, 1000)
    assert layout.dtype and layout.missing_samples == 0
    refuse_decoding()
    check_segments(path)


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_U8", "DOUBLE", "ULAW", "ALAW"])
def test_other_samples_are_decoded(tmp_path, subtype, form):
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(), RATE, subtype, format=form)
    assert wav.read_layout(path).dtype == ""
    check_segments(path)


@pytest.mark.parametrize("samples", [shorts(), 2**16 * shorts().astype("<i4") + 1], ids=["16 bits", "32 bits"])
def test_full_scale_integers_have_libsndfiles_bits(tmp_path, samples):
    bits = 8 * samples.itemsize
    path = write_bytes(tmp_path / "song.wav", riff(fmt(bits=bits), chunk(b"data", samples.tobytes())))
    check_segments(path)
    audio = segments.load_segment(path, 0, 3, RATE, 2)[:, 0]
    np.testing.assert_allclose(audio, [-1, 1, 0], atol=2**-14)


EXTRA = {"LIST": b"INFOx", "bext": b"b" * 603, "JUNK": b"", "junk": b"j" * 28}
FORMATS = {"plain": fmt(), "extensible": extensible(), "fact": fmt() + chunk(b"fact", struct.pack("<I", 1000))}


@pytest.mark.parametrize("name", EXTRA)
@pytest.mark.parametrize("description", FORMATS.values(), ids=FORMATS)
def test_chunks_before_the_samples_are_passed_over(tmp_path, refuse_decoding, description, name):
    extra, samples = chunk(name.encode(), EXTRA[name]), chunk(b"data", shorts().tobytes())
    path = write_bytes(tmp_path / "a.wav", riff(extra, description, extra, samples, extra))
    assert wav.read_layout(path).num_samples == 1000
    refuse_decoding()
    check_segments(path)


def test_an_odd_number_of_bytes_before_float_samples_is_no_hindrance(tmp_path):
    samples = noise()
    path = write_bytes(
        tmp_path / "a.wav", riff(fmt(2, 32, FLOAT), chunk(b"LIST", b"ab"), chunk(b"data", samples.tobytes()))
    )
    assert wav.read_layout(path).offset % 4
    check_segments(path)
    np.testing.assert_array_equal(segments.load_segment(path, 0, 1000, RATE, 2), samples)


def test_a_size_that_was_never_filled_in_means_the_rest_of_the_file(tmp_path):
    path = write_bytes(tmp_path / "pipe.wav", riff(fmt(), chunk(b"data", shorts().tobytes(), 0xFFFFFFFF)))
    layout = wav.read_layout(path)
    assert (layout.num_samples, layout.missing_samples, wav.missing_samples(path)) == (1000, 0, 0)
    assert files.info(path).num_samples == 1000
    check_segments(path)


def test_a_size_of_zero_means_no_samples_as_it_does_to_libsndfile(tmp_path):
    content = riff(fmt(), chunk(b"data", b""), chunk(b"LIST", b"INFO" * 10))
    path = write_bytes(tmp_path / "empty.wav", content)
    assert (wav.read_layout(path).num_samples, files.info(path).num_samples) == (0, 0)
    assert not segments.load_segment(path, 0, 10, RATE, 2).any()


@pytest.mark.parametrize(("cut", "there"), [(4, 999), (5, 998), (400, 900), (3999, 0)])
def test_samples_that_were_cut_off_are_counted(tmp_path, cut, there):
    path = write_bytes(tmp_path / "cut.wav", riff(fmt(), chunk(b"data", shorts().tobytes()))[:-cut])
    layout = wav.read_layout(path)
    assert (layout.num_samples, layout.missing_samples) == (there, 1000 - there)
    assert wav.missing_samples(path) == 1000 - there
    if there:
        assert files.info(path).num_samples == there
        check_segments(path)


def test_what_is_no_cut_off_wav_misses_nothing(tmp_path):
    for name in ("whole.wav", "song.flac", "song.ogg"):
        soundfile.write(tmp_path / name, noise(), RATE)
        assert wav.missing_samples(tmp_path / name) == 0


@pytest.mark.parametrize("form", ["RF64", "W64", "AIFF", "FLAC"])
def test_other_containers_are_decoded(tmp_path, form):
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(), RATE, "PCM_16", format=form)
    assert wav.read_layout(path) is None
    check_segments(path)


def test_big_endian_riff_is_decoded(tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(), RATE, "PCM_16", endian="BIG", format="WAV")
    assert path.read_bytes()[:4] == b"RIFX"
    assert wav.read_layout(path) is None
    check_segments(path)


GARBAGE = {
    "nothing": b"",
    "a few bytes": b"RIFF\0\0",
    "another RIFF": b"RIFF" + struct.pack("<I", 100) + b"AVI " + bytes(96),
    "a header alone": riff(),
    "zeros": riff(bytes(200)),
    "words": riff(b"these are words, not a chunk" * 10),
    "no samples": riff(fmt(), chunk(b"LIST", b"abcd")),
    "no format": riff(chunk(b"data", bytes(400))),
    "a cut off format": riff(fmt())[:30],
    "a cut off extension": riff(extensible())[:40],
    "a short format": riff(chunk(b"fmt ", bytes(8)), chunk(b"data", bytes(400))),
    "no channels": riff(fmt(0, 16, PCM, 4), chunk(b"data", bytes(400))),
    "empty samples": riff(fmt(2, 16, PCM, 0), chunk(b"data", bytes(400))),
    "a chunk without end": riff(fmt(), chunk(b"LIST", b"abcd", 0xFFFFFFF0), chunk(b"data", bytes(400))),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_has_no_layout(tmp_path, content):
    path = write_bytes(tmp_path / "garbage.wav", content)
    assert wav.read_layout(path) is None
    assert wav.missing_samples(path) == 0


@pytest.mark.parametrize("name", ["nothing", "a header alone", "words", "no samples", "a cut off format"])
def test_garbage_is_named_when_it_is_read(tmp_path, name):
    path = write_bytes(tmp_path / "garbage.wav", GARBAGE[name])
    with pytest.raises(InputError, match=r"garbage\.wav: not an audio file") as caught:
        segments.load_segment(path, 0, 10, RATE, 2)
    assert "\n" not in str(caught.value)


def test_a_container_wider_than_its_samples_is_decoded(tmp_path):
    """24 bits in blocks of 4 bytes per channel: what the format says of the block goes before the bits."""
    content = riff(fmt(2, 16, PCM, 8), chunk(b"data", bytes(800)))
    layout = wav.read_layout(write_bytes(tmp_path / "wide.wav", content))
    assert layout.dtype == ""
