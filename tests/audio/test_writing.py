import io
import resource
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from diffvs_jax.audio import encoding
from diffvs_jax.audio.encoding import FORMATS, check_format
from diffvs_jax.audio.reading import open_audio
from diffvs_jax.audio.writing import StemFiles
from diffvs_jax.errors import InputError

RATE = 44_100
LOSSLESS = ["wav16", "wav24", "wav32f", "flac"]


def noise(num_samples, channels=2, loudest=0.5, seed=0):
    return (loudest * np.random.default_rng(seed).uniform(-1, 1, (num_samples, channels))).astype(np.float32)


def write(folder, form, stems, size=7001, rate=RATE, **options):
    audio = next(iter(stems.values()))
    with StemFiles(folder, list(stems), form, rate, audio.shape[1], len(audio), **options) as files:
        for start in range(0, len(audio), size):
            files.write({name: stem[start : start + size] for name, stem in stems.items()})
        return files.finish()


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(
    ("form", "subtype", "dtype"),
    [("wav16", "PCM_16", "int16"), ("wav24", "PCM_24", "int32"), ("flac", "PCM_24", "int32")],
)
def test_integers_read_and_written_are_the_same_integers(tmp_path, form, subtype, dtype, channels):
    bits = 16 if dtype == "int16" else 24
    limits = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -1, 0, 1])
    drawn = np.random.default_rng(0).integers(limits[0], limits[1], 20_000 * channels - 5, endpoint=True)
    integers = (np.concatenate([limits, drawn]).reshape(-1, channels) << (0 if bits == 16 else 8)).astype(dtype)
    soundfile.write(tmp_path / "song.wav", integers, RATE, subtype)
    with open_audio(tmp_path / "song.wav") as song:
        (written,) = write(tmp_path, form, {"copy": np.concatenate(list(song.blocks()))})
    copy, rate = soundfile.read(written.path, dtype=dtype, always_2d=True)
    np.testing.assert_array_equal(copy, integers)
    assert rate == RATE and soundfile.info(written.path).subtype == subtype and written.num_clipped == 0


@pytest.mark.filterwarnings("ignore:Chunk")  # scipy does not know libsndfile's note of the peak
def test_floats_are_written_bit_for_bit_however_loud(tmp_path):
    audio = noise(20_001, loudest=8)
    (written,) = write(tmp_path, "wav32f", {"loud": audio})
    rate, copy = wavfile.read(written.path)
    np.testing.assert_array_equal(copy, audio)
    assert rate == RATE and written.num_clipped == 0 and written.peak == np.abs(audio).max()


def test_sixteen_bits_round_to_the_nearest(tmp_path):
    audio = noise(50_000)
    (written,) = write(tmp_path, "wav16", {"stem": audio})
    error = wavfile.read(written.path)[1] - audio * 32768.0
    assert np.abs(error).max() <= 0.5 and abs(error.mean()) < 0.01


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("rate", [8000, 48_000])
@pytest.mark.parametrize("length", [1, 2, 1153, 30_001])
def test_lengths_are_exact_and_nothing_is_shifted(tmp_path, form, rate, length):
    time = np.arange(length)[:, None] / rate
    audio = (np.sin(2 * np.pi * 440 * time) * [[0.5, 0.3]]).astype(np.float32)
    (written,) = write(tmp_path, form, {"stem": audio}, rate=rate)
    copy, copy_rate = soundfile.read(written.path, dtype="float32", always_2d=True)
    assert written.num_samples == len(copy) == length and copy_rate == rate
    assert written.path == tmp_path / f"stem.{FORMATS[form].suffix}"
    if length > 2000:
        np.testing.assert_allclose(copy[1000:-1000], audio[1000:-1000], atol=1e-4 if form in LOSSLESS else 0.03)


@pytest.mark.parametrize("form", ["wav16", "wav24", "flac", "ogg", "mp3"])
def test_what_is_beyond_full_scale_is_clipped_and_counted(tmp_path, form):
    audio = noise(30_000)
    audio[[5000, 20_000], [0, 1]] = [2.0, -1.5]
    audio[7000, 0], audio[7001, 0] = 1.0, -1.0  # full scale itself is not beyond
    loud, quiet = write(tmp_path, form, {"loud": audio, "quiet": noise(30_000)})
    assert (loud.num_clipped, loud.peak) == (2, 2.0) and loud.peak_db == pytest.approx(6.02, abs=0.01)
    assert quiet.num_clipped == 0 and quiet.peak_db < -6
    if form in LOSSLESS:
        copy, _ = soundfile.read(loud.path, always_2d=True)
        np.testing.assert_allclose(copy, np.clip(audio, -1, 1), atol=2**-15)


@pytest.mark.parametrize("form", ["wav32f", "wav16", "flac"])
def test_normalizing_takes_the_loudest_sample_of_all_stems_to_full_scale(tmp_path, form):
    stems = {"loud": noise(200_001, loudest=3), "quiet": noise(200_001, loudest=0.1, seed=1)}
    with StemFiles(tmp_path, list(stems), form, RATE, 2, 200_001, normalize=True) as files:
        files.write(stems)
        loud, _quiet = files.finish()
    peak = np.abs(stems["loud"]).max()
    assert loud.peak == 1 and loud.num_clipped == 0 and files.gain == pytest.approx(1 / peak)
    for name, stem in stems.items():
        copy, _ = soundfile.read(tmp_path / f"{name}.{FORMATS[form].suffix}", dtype="float32")
        np.testing.assert_allclose(copy, stem / peak, atol=1e-7 if form == "wav32f" else 2**-15)
    assert len(list(tmp_path.iterdir())) == 2


def test_normalized_silence_is_silence(tmp_path):
    (written,) = write(tmp_path, "wav16", {"stem": np.zeros((100, 1), np.float32)}, normalize=True)
    assert not wavfile.read(written.path)[1].any() and written.peak_db == -np.inf


def test_nothing_is_there_before_the_end_and_older_files_stay_until_then(tmp_path):
    write(tmp_path, "wav16", {"vocals": noise(100)})
    before = (tmp_path / "vocals.wav").read_bytes()
    with StemFiles(tmp_path, ["vocals", "rest"], "wav16", RATE, 2, 200) as files:
        files.write({"vocals": noise(200), "rest": noise(200)})
        assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"vocals.wav"}
        assert (tmp_path / "vocals.wav").read_bytes() == before
        files.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rest.wav", "vocals.wav"]
    assert (tmp_path / "vocals.wav").read_bytes() != before


@pytest.mark.parametrize("normalize", [False, True])
def test_an_error_leaves_no_file(tmp_path, normalize):
    with pytest.raises(KeyboardInterrupt), StemFiles(tmp_path, ["a", "b"], "flac", RATE, 2, 9, normalize) as files:
        files.write({"a": noise(9000), "b": noise(9000)})
        raise KeyboardInterrupt
    with pytest.raises(FloatingPointError, match=r"a\.flac.*NaN"):
        write(tmp_path, "flac", {"a": np.full((10, 1), np.nan, np.float32)}, normalize=normalize)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("ctrl_c_is_heard")
@pytest.mark.parametrize("at", ["the header", "samples"])
def test_ctrl_c_is_heard_while_a_file_is_written(tmp_path, monkeypatch, at):
    write, interruptions = encoding._Disk.write, []

    def interrupted(self, data):
        if not interruptions and (at == "the header" or len(data) > 1000):
            interruptions.append(signal.raise_signal(signal.SIGINT))
        return write(self, data)

    monkeypatch.setattr(encoding._Disk, "write", interrupted)
    with pytest.raises(KeyboardInterrupt), StemFiles(tmp_path, ["stem"], "wav32f", RATE, 2, 1000) as files:
        files.write({"stem": noise(1000)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_told_and_leaves_no_file(tmp_path, form):
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, limits[1]))
    try:
        for length in range(1000, 40_000, 997):  # some fail when they are written, some when they are closed
            (written,) = write(tmp_path, form, {"stem": noise(length, 1)})
            assert len(soundfile.read(written.path)[0]) == length
            written.path.unlink()
        raise AssertionError("no file was too large")
    except OSError as error:
        assert error.strerror == "File too large" and "stem" in error.filename
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("num_samples", "container"), [(2**30 - 2**20, "WAV"), (2**30, "RF64")])
def test_a_wav_beyond_4_gib_gets_the_header_for_it(tmp_path, num_samples, container):
    with StemFiles(tmp_path, ["stem"], "wav32f", RATE, 1, num_samples) as files:
        files.write({"stem": noise(1000, 1)})
        (written,) = files.finish()
    assert soundfile.info(written.path).format == container
    np.testing.assert_array_equal(soundfile.read(written.path, dtype="float32", always_2d=True)[0], noise(1000, 1))


def test_formats_that_cannot_hold_a_song_say_so_at_once(tmp_path):
    bad = {("mp3", 44_100, 3), ("mp3", 96_000, 2), ("mp3", 192_000, 1), ("flac", 44_100, 9)}
    for form in FORMATS:
        for rate in (8000, 44_100, 48_000, 96_000, 192_000):
            for channels in (1, 2, 3, 8, 9):
                refused = any(form == f and (channels >= c if c > 2 else rate >= r) for f, r, c in bad)
                if not refused:
                    check_format(form, rate, channels)
                    continue
                with pytest.raises(InputError, match=f"format {form} cannot hold {channels} channels at {rate} Hz"):
                    StemFiles(tmp_path / "new", ["stem"], form, rate, channels, 100)
    with pytest.raises(InputError, match="format 'wma' is none of wav16, wav24"):
        check_format("wma", RATE, 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("normalize", [False, True])
def test_one_stem_can_go_to_standard_output(tmp_path, monkeypatch, normalize):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=output))
    (written,) = write("-", "flac", {"vocals": noise(10_000)}, normalize=normalize)
    output.seek(0)
    audio, rate = soundfile.read(output)
    assert str(written.path) == "-" and rate == RATE and len(audio) == 10_000
    assert np.abs(audio).max() == pytest.approx(1 if normalize else 0.5, abs=1e-3)
    with pytest.raises(InputError, match=r"one stem, not 2 \(a, b\)"):
        StemFiles("-", ["a", "b"], "flac", RATE, 2, 100)
    assert not list(tmp_path.iterdir())
