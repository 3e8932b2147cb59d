"""Procedural songs: their shape, levels and sound; and the corpus on disk."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import soundfile

from diffvs_jax.data.synthetic import STEMS, corpus, render_song, sound, write_corpus
from diffvs_jax.data.synthetic.phonemes import Syllable
from diffvs_jax.data.synthetic.singer import draw_singer
from diffvs_jax.data.synthetic.voice import _pulses, make_tracks, sing
from diffvs_jax.errors import InputError


def _accompaniment(song):
    return sum(song[name] for name in STEMS if name != "vocals")


def _decibels(power):
    return 10 * np.log10(np.maximum(power, 1e-12))


def test_same_seed_gives_the_same_bits():
    first, second = render_song(5, 1.5, 16_000, 2), render_song(5, 1.5, 16_000, 2)
    for name in STEMS:
        assert first[name].tobytes() == second[name].tobytes()


def test_the_global_generator_has_no_say():
    first = render_song(5, 0.5, 8000, 1)["vocals"]
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(render_song(5, 0.5, 8000, 1)["vocals"], first)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_different_seeds_give_different_songs():
    first, second = render_song(1, 1.0, 8000, 1), render_song(2, 1.0, 8000, 1)
    for name in ("vocals", "other"):
        correlation = np.corrcoef(first[name][:, 0], second[name][:, 0])[0, 1]
        assert abs(correlation) < 0.5


@pytest.mark.parametrize(
    ("seconds", "sample_rate", "num_channels"),
    [(1.37, 8000, 1), (0.01, 8000, 2), (0.4, 11_025, 2), (1.0, 44_100, 2)],
)
def test_shape_type_and_peak(seconds, sample_rate, num_channels):
    song = render_song(11, seconds, sample_rate, num_channels)
    assert tuple(song) == STEMS
    for stem in song.values():
        assert stem.shape == (round(seconds * sample_rate), num_channels)
        assert stem.dtype == np.float32
        assert np.isfinite(stem).all()
    assert 0.45 < np.abs(sum(song.values())).max() <= 0.9


def test_channels_of_a_stereo_song_differ_but_not_in_level():
    song = render_song(4, 3.0, 16_000, 2)
    left, right = sum(song.values()).T
    assert np.mean((left - right) ** 2) > 1e-3 * np.mean(left**2)
    assert abs(_decibels(np.mean(left**2)) - _decibels(np.mean(right**2))) < 6


def test_pan_keeps_the_power():
    mono = np.ones(4, np.float32)
    left, center = sound.pan(mono, -1, 2), sound.pan(mono, 0, 2)
    np.testing.assert_allclose(left, np.sqrt([[2, 0]] * 4), atol=1e-6)
    np.testing.assert_allclose(center, np.ones((4, 2)), atol=1e-6)
    assert sound.pan(mono, -1, 1).shape == (4, 1)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((0.0, 16_000, 1), "seconds=0.0"),
        ((1.0, 100, 1), "sample_rate=100"),
        ((1.0, 16_000, 3), "num_channels=3"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, part):
    with pytest.raises(InputError, match=part):
        render_song(0, *arguments)


@pytest.fixture(scope="module")
def songs():
    return [render_song(seed, 6.0, 8000, 1) for seed in range(12)]


def test_vocals_come_and_go(songs):
    shares = []
    for song in songs:
        power = _decibels(np.mean(song["vocals"].reshape(-1, 400) ** 2, axis=1))
        shares.append(np.mean(power > power.max() - 30))
    assert 0.4 < np.mean(shares) < 0.8
    assert min(shares) > 0.05
    # Some rest: a voice that never pauses would teach nothing about silence.
    assert min(shares) < 0.6


def test_a_song_of_a_second_has_a_voice_and_a_band():
    for seed in range(6):
        song = render_song(seed, 1.2, 8000, 1)
        assert np.sqrt(np.mean(song["vocals"] ** 2)) > 1e-3
        assert np.sqrt(np.mean(song["other"] ** 2)) > 1e-3


def test_levels_are_spread_as_on_records(songs):
    ratios = [
        _decibels(np.sum(song["vocals"] ** 2.0)) - _decibels(np.sum(_accompaniment(song) ** 2.0)) for song in songs
    ]
    assert all(-20 < ratio < 6 for ratio in ratios)
    assert -9 < np.mean(ratios) < -2
    assert 2 < np.std(ratios) < 7


def test_bass_is_low_and_drums_are_struck(songs):
    def centroid(audio):
        power = np.abs(np.fft.rfft(audio[:, 0])) ** 2
        return np.sum(power * np.fft.rfftfreq(len(audio), 1 / 8000)) / np.sum(power)

    def unevenness(audio):
        """Of the power of twentieths of a second: the loudest against the usual."""
        power = np.mean(audio.reshape(-1, 400) ** 2, axis=1)
        return np.percentile(power, 95) / (np.median(power) + 1e-12)

    playing = [song for song in songs if np.any(song["bass"]) and np.any(song["drums"])]
    assert len(playing) >= len(songs) // 2
    assert np.median([centroid(song["bass"]) for song in playing]) < 250
    assert np.median([centroid(song["vocals"]) for song in playing]) > 400
    steady, struck = (np.median([unevenness(song[name]) for song in playing]) for name in ("other", "drums"))
    assert struck > 1.5 * steady


def test_the_voice_is_the_same_at_every_sample_rate():
    """Aliases, or noise whose level depends on the rate, would show in the common band."""
    for seed in (3, 8):
        spectra = []
        for sample_rate in (16_000, 44_100):
            song = render_song(seed, 3.0, sample_rate, 1)
            length = sample_rate // 10
            _, power = scipy.signal.welch(song["vocals"][:, 0], sample_rate, nperseg=length)
            # 10 Hz bins in both; averaged over 200 Hz from 100 Hz to 6.5 kHz.
            spectra.append(_decibels(power[10:650].reshape(-1, 20).mean(axis=1) / power[10:650].mean()))
        difference = spectra[0] - spectra[1]
        assert np.mean(np.abs(difference)) < 1.5
        assert np.abs(difference).max() < 6


def test_consonants_have_the_same_loudness_at_every_sample_rate():
    singer = draw_singer(np.random.default_rng(1))
    words = [Syllable(0.4 * n, 0.4 * n + 0.3, 50.0, (0, 0), "S", "", 1.0, False) for n in range(20)]
    powers = []
    for sample_rate in (16_000, 44_100):
        tracks = make_tracks(np.random.default_rng(2), singer, words, 8.0)
        tracks.voicing[:] = 0
        tracks.breath[:] = 0
        noise = sing(np.random.default_rng(3), singer, tracks, 8 * sample_rate, sample_rate)
        _, power = scipy.signal.welch(noise, sample_rate, nperseg=sample_rate // 100)
        powers.append(_decibels(power[25:50].mean()))
    assert abs(powers[0] - powers[1]) < 1


@pytest.mark.parametrize("sample_rate", [8000, 16_000])
def test_no_partials_beyond_nyquist_are_folded_back(sample_rate):
    """A high pulse train at a steady pitch: between its harmonics there is nothing."""
    f0 = np.full(sample_rate, 650.0)
    pulses = _pulses(np.cumsum(f0) / sample_rate, f0, sample_rate)
    power = np.abs(np.fft.rfft(pulses * np.hanning(sample_rate))) ** 2
    bins = np.arange(len(power))
    distance = np.abs((bins + 325) % 650 - 325)
    assert power[distance > 5].max() < 1e-6 * power.max()
    assert power[distance == 0][1:].max() > 0.5 * power.max()


def test_the_voice_moves_where_instruments_stand_still():
    """Between syllables a voice's spectral envelope changes more than a held chord's."""
    rng = np.random.default_rng(0)
    singer = draw_singer(rng)
    words = [
        Syllable(0, 0.5, 50.0, (0, 0), "", "", 1.0, True),
        Syllable(0.5, 1, 50.0, (5, 5), "s", "", 1.0, False),
    ]
    tracks = make_tracks(rng, singer, words, 1.0)
    audio = sing(rng, singer, tracks, 16_000, 16_000)

    def share_above(segment, hertz):
        power = np.abs(np.fft.rfft(segment)) ** 2
        return power[int(hertz * len(segment) / 16_000) :].sum() / power.sum()

    ah, ee, s = audio[3200:6400], audio[11_200:14_400], audio[7400:8000]
    power = [np.abs(np.fft.rfft(vowel)) ** 2 for vowel in (ah, ee)]
    # 5 Hz bins: the first formant of "ah" (600..900 Hz) against that of "ee" (200..400 Hz).
    low = [each[40:90].sum() / each[120:200].sum() for each in power]
    assert low[1] > 5 * low[0]
    assert share_above(s, 4000) > 10 * share_above(ah, 4000)


def _files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_corpus_has_musdb_layout(tmp_path):
    calls = []
    write_corpus(tmp_path, "train", 2, 0.5, 8000, 1, 7, 1, progress=lambda *counts: calls.append(counts))
    songs = sorted((tmp_path / "train").iterdir())
    assert len(songs) == 2
    for song in songs:
        assert sorted(path.name for path in song.iterdir()) == sorted(f"{name}.wav" for name in STEMS)
        header = soundfile.info(str(song / "vocals.wav"))
        assert (header.samplerate, header.frames, header.channels, header.subtype) == (
            8000,
            4000,
            1,
            "PCM_16",
        )
    assert calls == [(1, 2), (2, 2)]


def test_corpus_holds_what_is_rendered(tmp_path):
    write_corpus(tmp_path, "train", 1, 0.5, 8000, 2, 7, 1)
    song = render_song(corpus._song_seed(7, "train", 0), 0.5, 8000, 2)
    for name, stem in song.items():
        audio, _ = soundfile.read(next((tmp_path / "train").glob(f"*/{name}.wav")), dtype="float32", always_2d=True)
        np.testing.assert_allclose(audio, stem, atol=1e-4)


def test_corpus_goes_on_where_it_stopped(tmp_path):
    write_corpus(tmp_path, "train", 1, 0.2, 8000, 1, 7, 1)
    first = next((tmp_path / "train").glob("*/vocals.wav"))
    before = (first.stat().st_mtime_ns, first.stat().st_ino)
    calls = []
    write_corpus(tmp_path, "train", 2, 0.2, 8000, 1, 7, 1, progress=lambda *counts: calls.append(counts))
    assert (first.stat().st_mtime_ns, first.stat().st_ino) == before
    assert calls == [(2, 2)]
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_splits_share_no_song(tmp_path):
    seeds = [corpus._song_seed(seed, split, i) for seed in (0, 1) for split in ("train", "test") for i in range(50)]
    assert len(set(seeds)) == len(seeds)
    for split in ("train", "test"):
        write_corpus(tmp_path, split, 1, 0.2, 8000, 1, 0, 1)
    train, test = (next((tmp_path / split).glob("*/other.wav")).read_bytes() for split in ("train", "test"))
    assert train != test


def test_no_partial_folder_is_left_when_rendering_fails(tmp_path, monkeypatch):
    def failing_write(path, *args, **kwargs):
        if "bass" in path:
            raise OSError("disk full")
        original(path, *args, **kwargs)

    original = soundfile.write
    monkeypatch.setattr(corpus.soundfile, "write", failing_write)
    with pytest.raises(OSError, match="disk full"):
        write_corpus(tmp_path, "train", 2, 0.2, 8000, 1, 0, 1)
    assert list((tmp_path / "train").iterdir()) == []


def test_worker_processes_write_the_same_songs(tmp_path):
    for folder, num_workers in (("one", 1), ("two", 2)):
        write_corpus(tmp_path / folder, "train", 2, 0.2, 8000, 1, 3, num_workers)
    assert _files(tmp_path / "one") == _files(tmp_path / "two") != []
    for name in _files(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_rendering_does_not_load_jax():
    code = (
        "import sys; from diffvs_jax.data import synthetic;"
        "synthetic.render_song(0, 0.1, 8000, 1); print('jax' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "False"
