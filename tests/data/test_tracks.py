import numpy as np
import pytest
import soundfile

from diffvs_jax.data import datasets
from diffvs_jax.data.tracks import make_track, rename_stems, require_targets
from diffvs_jax.errors import InputError
from tests.data.layouts import RATE, level, noise, write


def test_header_fields_are_of_the_first_stem_and_the_longest_duration(tmp_path):
    write(tmp_path / "train/song/vocals.wav", level(0.1, 800, 2), 16000)
    write(tmp_path / "train/song/bass.wav", level(0.1, 800, 1))
    (track,) = datasets.open_split(tmp_path, "train")
    assert (track.seconds, track.sample_rate, track.num_channels) == (0.1, 8000, 1)


@pytest.fixture
def tracks(tmp_path):
    for stem in ("vocals", "bass"):
        write(tmp_path / "train/whole" / f"{stem}.wav", level(0.1))
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
    write(tmp_path / "train/solo/vocals.wav", level(0.1))
    write(tmp_path / "train/solo/mixture.wav", level(0.1))
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
    np.testing.assert_allclose(audio[:, 0], wanted, atol=1e-3)


def test_reading_duplicates_mono_and_pads_the_end(tmp_path):
    write(tmp_path / "train/song/vocals.wav", level(0.25, 100, 1))
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


def test_a_stem_is_the_sum_of_its_files_as_long_as_the_longest(tmp_path):
    first, second = noise(0, 300), noise(1, 500)
    paths = [write(tmp_path / "a.wav", first), write(tmp_path / "b.wav", second)]
    track = make_track("song", {"vocals": paths}, whole=False)
    wanted = second.copy()
    wanted[:300] += first
    np.testing.assert_array_equal(track.load_stem("vocals")[0], wanted)
    np.testing.assert_array_equal(track.read_stem("vocals", 250, 100, RATE, 2), wanted[250:350])
    assert track.seconds == 500 / RATE


def test_files_of_one_stem_agree_when_it_is_loaded_whole(tmp_path):
    paths = [write(tmp_path / "a.wav", noise(0)), write(tmp_path / "b.wav", noise(1), 2 * RATE)]
    track = make_track("song", {"vocals": paths}, whole=False)
    with pytest.raises(InputError, match=r"song: files of stem 'vocals' differ in channels or rate"):
        track.load_stem("vocals")
    assert track.read_stem("vocals", 0, 10, RATE, 2).any()


def test_stems_that_get_one_name_are_summed(tmp_path):
    audio = {stem: noise(seed) for seed, stem in enumerate(("bass", "choir", "lead", "vocals"))}
    stems = {stem: [write(tmp_path / f"{stem}.wav", samples)] for stem, samples in audio.items()}
    track = make_track("song", stems, bandwidths={"lead": 1000.0})
    renamed = rename_stems(track, {"choir": "vocals", "lead": "vocals"})
    assert list(renamed.stems) == ["bass", "vocals"]
    wanted = audio["choir"] + audio["lead"] + audio["vocals"]
    np.testing.assert_allclose(renamed.load_stem("vocals")[0], wanted, atol=1e-6)
    assert renamed.bandwidths == {"bass": 4000.0, "vocals": 1000.0}
    swapped = rename_stems(track, {"bass": "vocals", "vocals": "bass"})
    np.testing.assert_array_equal(swapped.load_stem("vocals")[0], audio["bass"])
    np.testing.assert_array_equal(swapped.load_stem("bass")[0], audio["vocals"])


def test_stems_of_one_song_are_equally_long(tmp_path):
    stems = {"vocals": [write(tmp_path / "v.wav", level(0.1, 8000))]}
    stems["bass"] = [write(tmp_path / "b.wav", level(0.1, 7300))]  # 0.0875 s are let pass
    assert make_track("song", stems).seconds == 1.0
    stems["bass"] = [write(tmp_path / "b.wav", level(0.1, 7000))]
    with pytest.raises(InputError, match=r"track 'song': b\.wav lasts 0\.88 s and v\.wav 1\.00 s; .* equally long"):
        make_track("song", stems)
    assert make_track("song", stems, whole=False).seconds == 1.0


def test_a_file_that_is_cut_off_is_named(tmp_path):
    path = write(tmp_path / "vocals.wav", level(0.1, 8000))
    path.write_bytes(path.read_bytes()[: -4 * 2000])
    with pytest.raises(InputError, match=r"vocals\.wav: ends 0\.25 s before its header says; replace the file"):
        make_track("song", {"vocals": [path]})


def test_bandwidth_is_half_the_rate_or_what_is_known(tmp_path):
    stems = {"vocals": [write(tmp_path / "v.wav", level(0.1)), write(tmp_path / "w.wav", level(0.1), 4000)]}
    stems["bass"] = [write(tmp_path / "b.wav", level(0.1))]
    assert make_track("song", stems, whole=False).bandwidths == {"bass": 4000.0, "vocals": 2000.0}
    known = make_track("song", stems, bandwidths={"bass": 500.0, "vocals": 9000.0}, whole=False)
    assert known.bandwidths == {"bass": 500.0, "vocals": 2000.0}
