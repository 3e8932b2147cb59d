import sys

import numpy as np
import pytest

from diffvs_jax.audio.reading import open_audio
from diffvs_jax.errors import InputError

RATE = 44_100


def tone(channels=2):
    phase = 2 * np.pi * 440 * np.arange(100_000) / RATE
    return (np.sin(phase)[:, None] * np.linspace(0.4, 0.1, channels)).astype(np.float32)


def write(path, codec, audio, **options):
    """Encodes as another program would."""
    av = pytest.importorskip("av", reason="PyAV, of the extra 'formats', is not installed")
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[audio.shape[1]]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio.T), format="fltp", layout=layout)
    frame.sample_rate, frame.pts = RATE, 0
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=RATE, layout=layout)
        size = stream.codec_context.frame_size or 1024
        cut = av.AudioResampler(format=stream.format, layout=layout, rate=RATE, frame_size=size)
        for part in [*cut.resample(frame), *cut.resample(None), None]:
            container.mux(stream.encode(part))
    return path


def read(path, size=4096):
    with open_audio(path) as reader:
        blocks = list(reader.blocks(size))
    assert all(len(block) == size for block in blocks[:-1]) and all(block.dtype == np.float32 for block in blocks)
    return np.concatenate(blocks), reader


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_alac_in_m4a_is_read_to_the_sample(tmp_path, channels):
    audio, reader = read(write(tmp_path / "song.m4a", "alac", tone(channels)))
    assert (reader.sample_rate, reader.num_channels, reader.num_samples) == (RATE, channels, 100_000)
    np.testing.assert_allclose(audio, tone(channels), atol=1e-6)


@pytest.mark.parametrize(("name", "codec"), [("song.m4a", "aac"), ("song.aac", "aac"), ("song.mka", "flac")])
def test_others_are_read_to_their_ends(tmp_path, name, codec):
    audio, reader = read(write(tmp_path / name, codec, tone()))
    assert (reader.sample_rate, reader.num_channels) == (RATE, 2)
    assert 100_000 <= len(audio) < 100_000 + 3 * 1024
    spectrum = np.abs(np.fft.rfft(audio[20_000 : 20_000 + RATE, 0]))
    assert spectrum.argmax() == 440 and spectrum[440] == pytest.approx(0.2 * RATE, rel=0.02)


def test_an_m4a_that_is_cut_off_is_told_with_its_end(tmp_path):
    path = write(tmp_path / "song.m4a", "alac", tone(), movflags="faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"song.m4a: is cut off .*second [01]\.\d\d"):
        read(path)


def test_without_pyav_the_line_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for name, hint in {"song.m4a": "; for m4a, wma and others: pip install av", "song.txt": ""}.items():
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypM4A \0\0\0\0")
        with pytest.raises(InputError, match=rf"{name}: not an audio file .*recogni[sz]ed\.?{hint}\)$"):
            read(tmp_path / name)
