import numpy as np
import pytest
import soundfile

from diffvs_jax.data.datasets import stems_folder
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.clips import load_clip
from diffvs_jax.evaluation.estimates import files_of, find_folder, find_targets, fingerprint, load_estimates
from tests.helpers import RATE, write_song

LENGTH = round(1.3 * RATE)


def write(path, num_samples=LENGTH, channels=2, rate=RATE, seed=5):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = 0.1 * np.random.default_rng(seed).standard_normal((num_samples, channels)).astype(np.float32)
    soundfile.write(path, audio, rate, subtype="FLOAT")
    return audio


@pytest.fixture
def song(tmp_path):
    track = stems_folder(write_song(tmp_path / "song", 0))
    return load_clip(track, ["vocals"])


def load(folder, clip, targets=("vocals",)):
    return load_estimates(files_of(folder, targets), clip)


def test_without_a_file_what_is_left_is_the_mixture_without_the_vocals(song, tmp_path):
    vocals = write(tmp_path / "stems" / "vocals.wav")
    stems = load(tmp_path / "stems", song)
    np.testing.assert_array_equal(stems["vocals"], vocals)
    np.testing.assert_array_equal(stems["instrumental"], song.mixture - vocals)


@pytest.mark.parametrize("name", ["instrumental", "accompaniment", "no_vocals"])
def test_a_file_of_what_is_left_is_taken_whatever_it_is_called(song, tmp_path, name):
    write(tmp_path / "stems" / "vocals.wav")
    left = write(tmp_path / "stems" / f"{name}.wav", seed=6)
    stems = load(tmp_path / "stems", song)
    assert list(stems) == ["vocals", "instrumental"]
    np.testing.assert_array_equal(stems["instrumental"], left)


def test_what_is_left_of_the_vocals_is_not_what_is_left_of_the_drums(song, tmp_path):
    for name in ("drums", "instrumental"):
        write(tmp_path / "stems" / f"{name}.wav")
    assert list(files_of(tmp_path / "stems", ("drums",))) == ["drums"]


@pytest.mark.parametrize("missing", [-500, 500])
def test_an_estimate_may_differ_a_little_in_length(song, tmp_path, missing):
    vocals = write(tmp_path / "stems" / "vocals.wav", LENGTH - missing)
    found = load(tmp_path / "stems", song)["vocals"]
    assert found.shape == song.mixture.shape
    both = min(LENGTH, LENGTH - missing)
    np.testing.assert_array_equal(found[:both], vocals[:both])
    assert not found[both:].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 16_000, "num_samples": 2 * LENGTH}, "16000 Hz and 2 channels; the references have 8000 Hz"),
        ({"channels": 1}, "8000 Hz and 1 channels"),
        ({"num_samples": LENGTH + RATE}, "lasts 2.30 s, the references 1.30 s; they may differ by 0.1 s"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(song, tmp_path, changes, message):
    write(tmp_path / "stems" / "vocals.wav", **changes)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "stems", song)


def test_estimates_lie_with_or_without_the_split(tmp_path):
    write(tmp_path / "a" / "test" / "song" / "vocals.wav")
    write(tmp_path / "b" / "song" / "vocals.wav")
    assert find_folder(tmp_path / "a", "test", ["song"]) == tmp_path / "a" / "test" / "song"
    assert find_folder(tmp_path / "b", "test", ["song"]) == tmp_path / "b" / "song"
    with pytest.raises(InputError, match="other: no estimates; expected"):
        find_folder(tmp_path / "b", "test", ["other"])
    with pytest.raises(InputError, match="has no estimate of 'drums' \\(it has vocals\\)"):
        files_of(tmp_path / "b" / "song", ("vocals", "drums"))


def test_the_first_name_that_is_there_is_taken(tmp_path):
    for name in ("AC/DC - Song", "Song."):
        write(tmp_path / "test" / name / "vocals.wav", 8)
    assert find_folder(tmp_path, "test", ["AC/DC - Song", "AC_DC - Song"]) == tmp_path / "test" / "AC" / "DC - Song"
    assert find_folder(tmp_path, "test", ["Song.", "Song"]) == tmp_path / "test" / "Song."
    assert find_folder(tmp_path, "test", ["..", ".", "", str(tmp_path), "Song."]) == tmp_path / "test" / "Song."
    with pytest.raises(InputError, match=r"AC_DC: no estimates; expected .*/test/AC_DC or .*, with vocals.wav"):
        find_folder(tmp_path, "test", ["AC/DC", "AC_DC"])


def test_targets_are_what_is_there(tmp_path):
    for name in ("drums", "vocals", "accompaniment", "mixture"):
        write(tmp_path / "stems" / "song" / f"{name}.wav")
    assert find_targets(tmp_path / "stems", "test") == ("vocals", "drums")
    with pytest.raises(InputError, match="no such folder of estimates"):
        find_targets(tmp_path / "gone", "test")
    (tmp_path / "hollow" / "song").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no estimates"):
        find_targets(tmp_path / "hollow", "test")


def test_targets_are_what_every_track_has_or_those_that_are_chosen(tmp_path):
    for song, stems in (("a", ("bass", "drums", "vocals")), ("b", ("drums", "vocals")), ("c", ("vocals", "drums"))):
        for stem in stems:
            write(tmp_path / "test" / song / f"{stem}.wav", 8)
    (tmp_path / "test" / "notes").mkdir()
    write(tmp_path / "test" / "left" / "instrumental.wav", 8)
    assert find_targets(tmp_path, "test") == ("vocals", "drums")
    assert find_targets(tmp_path, "test", ["drums"]) == ("drums",)
    assert find_targets(tmp_path, "test", ["vocals", "bass"]) == ("vocals", "bass")
    with pytest.raises(InputError, match=r"--targets=vocals,piano: .* has 'piano'; choose from vocals, bass, drums"):
        find_targets(tmp_path, "test", ["vocals", "piano"])
    write(tmp_path / "test" / "d" / "piano.wav", 8)
    with pytest.raises(InputError, match=r"no stem is there for every track; choose from vocals, .* by --targets"):
        find_targets(tmp_path, "test")


def test_a_changed_estimate_is_known(tmp_path):
    write(tmp_path / "song" / "vocals.wav")
    before = fingerprint(tmp_path, "test", ["song"])
    assert fingerprint(tmp_path, "test", ["song"]) == before != []
    write(tmp_path / "song" / "vocals.wav", LENGTH + 1)
    assert fingerprint(tmp_path, "test", ["song"]) != before
    assert fingerprint(tmp_path, "test", ["gone"]) == []
