import numpy as np
import pytest
import soundfile

from diffvs_jax.data import datasets
from diffvs_jax.data.tracks import require_targets
from diffvs_jax.errors import InputError

RATE = 8000


def write(path, num_samples=800, channels=2, rate=RATE, value=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((num_samples, channels), value, np.float32), rate)
    return path


def test_layout_becomes_tracks_sorted_by_name(tmp_path):
    for name in ("b song", "a song"):
        for stem in ("vocals.wav", "drums.flac", "choir.wav", "mixture.wav"):
            write(tmp_path / "train" / name / stem)
    write(tmp_path / "test" / "c song" / "vocals.wav")
    tracks = datasets.open_split(tmp_path, "train")
    assert [track.name for track in tracks] == ["a song", "b song"]
    assert list(tracks[0].stems) == ["choir", "drums", "vocals"]
    assert tracks[0].stems["drums"] == (tmp_path / "train" / "a song" / "drums.flac",)
    assert tracks[0].mixture == tmp_path / "train" / "a song" / "mixture.wav"


def test_what_is_no_stem_is_passed_over(tmp_path):
    folder = tmp_path / "train" / "song"
    for stem in ("vocals.WAV", "bass.wav"):
        write(folder / stem)
    for name in (".DS_Store", "._vocals.wav", "cover.jpg", "lyrics.txt"):
        (folder / name).write_bytes(b"not audio")
    (folder / "takes.wav").mkdir()
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "README.txt").write_text("about")
    (track,) = datasets.open_split(tmp_path, "train")
    assert list(track.stems) == ["bass", "vocals"]
    assert track.mixture is None


def test_header_fields_are_of_the_first_stem_and_the_longest_duration(tmp_path):
    write(tmp_path / "train/song/vocals.wav", num_samples=800, channels=2, rate=16000)
    write(tmp_path / "train/song/bass.wav", num_samples=800, channels=1, rate=8000)
    (track,) = datasets.open_split(tmp_path, "train")
    assert (track.seconds, track.sample_rate, track.num_channels) == (0.1, 8000, 1)


def test_listing_decodes_no_audio(tmp_path, monkeypatch):
    write(tmp_path / "train/song/vocals.wav")

    def refuse(*_, **__):
        raise AssertionError("samples were read")

    monkeypatch.setattr(soundfile.SoundFile, "read", refuse)
    assert len(datasets.open_split(tmp_path, "train")) == 1


def test_missing_root_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such .*expected .*nowhere/train/TRACK/vocals\.wav"):
        datasets.open_split(tmp_path / "nowhere", "train")


def test_missing_split_says_what_was_found_and_expected(tmp_path):
    write(tmp_path / "training/song/vocals.wav")
    with pytest.raises(InputError, match=r"no split 'train' \(found training\); expected .*/train/TRACK/"):
        datasets.open_split(tmp_path, "train")


def test_split_without_tracks_says_so(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "song.stem.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"split 'train' holds no tracks; expected .*mp4 files are not read"):
        datasets.open_split(tmp_path, "train")


def test_folder_without_stems_is_named(tmp_path):
    write(tmp_path / "train/song/mixture.wav")
    with pytest.raises(InputError, match=r"train/song: holds no stems; add files"):
        datasets.open_split(tmp_path, "train")


def test_two_files_for_one_stem_are_named(tmp_path):
    write(tmp_path / "train/song/vocals.wav")
    write(tmp_path / "train/song/vocals.flac")
    with pytest.raises(InputError, match=r"both vocals\.flac and vocals\.wav; keep one"):
        datasets.open_split(tmp_path, "train")


@pytest.mark.parametrize("content, message", [(b"garbage", "not an audio file"), (None, "holds no samples")])
def test_unusable_stem_is_named(tmp_path, content, message):
    path = write(tmp_path / "train/song/vocals.wav", num_samples=0)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"song/vocals\.wav: {message}"):
        datasets.open_split(tmp_path, "train")


@pytest.fixture
def tracks(tmp_path):
    for stem in ("vocals", "bass"):
        write(tmp_path / "train/whole" / f"{stem}.wav")
    return datasets.open_split(tmp_path, "train")


def test_targets_that_are_there_pass(tracks):
    require_targets(tracks, ("vocals",))
    require_targets(tracks, ("bass", "vocals"))


@pytest.mark.parametrize(
    "targets, message",
    [
        ((), "name at least one stem"),
        (("vocals", "vocals"), "each of them once"),
        (("vocals", "drums"), r"track 'whole' has no stem 'drums' \(it has bass, vocals\); add the file"),
    ],
)
def test_targets_that_cannot_be_learned_are_named(tracks, targets, message):
    with pytest.raises(InputError, match=message):
        require_targets(tracks, targets)


def test_target_without_accompaniment_is_refused(tmp_path):
    write(tmp_path / "train/solo/vocals.wav")
    write(tmp_path / "train/solo/mixture.wav")
    with pytest.raises(InputError, match=r"'solo' has 'vocals' as its only stem"):
        require_targets(datasets.open_split(tmp_path, "train"), ("vocals",))


def sine(seconds, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * seconds)


def test_reading_resamples_and_mixes_down(tmp_path):
    path = tmp_path / "train/song/vocals.wav"
    path.parent.mkdir(parents=True)
    wave = sine(np.arange(32000) / 32000)
    soundfile.write(path, np.stack([wave, 0.5 * wave], axis=1), 32000, subtype="FLOAT")
    (track,) = datasets.open_split(tmp_path, "train")
    audio = track.read_stem("vocals", 4000, 2000, 16000, 1)
    assert audio.shape == (2000, 1) and audio.dtype == np.float32
    wanted = 0.75 * sine((4000 + np.arange(2000)) / 16000)
    inside = slice(100, -100)  # the resampler does not see beyond the segment
    np.testing.assert_allclose(audio[inside, 0], wanted[inside], atol=1e-3)


def test_reading_duplicates_mono_and_pads_the_end(tmp_path):
    write(tmp_path / "train/song/vocals.wav", num_samples=100, channels=1, value=0.25)
    (track,) = datasets.open_split(tmp_path, "train")
    audio = track.read_stem("vocals", 90, 20, RATE, 2)
    np.testing.assert_array_equal(audio, [[0.25, 0.25]] * 10 + [[0, 0]] * 10)


def test_reading_refuses_samples_that_are_not_finite(tmp_path):
    path = tmp_path / "train/song/vocals.wav"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.array([[0.0], [np.nan], [0.0]]), RATE, subtype="FLOAT")
    (track,) = datasets.open_split(tmp_path, "train")
    with pytest.raises(InputError, match=r"vocals\.wav: holds NaN or infinite samples"):
        track.read_stem("vocals", 0, 3, RATE, 1)
    assert track.read_stem("vocals", 2, 1, RATE, 1) == 0
