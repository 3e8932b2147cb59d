import numpy as np
import pytest
import soundfile

from diffvs_jax.data.datasets import stems_folder
from diffvs_jax.data.tracks import make_track
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.clips import load_clip, load_references
from tests.helpers import RATE, write_song


def noise(seed, num_samples):
    return np.random.default_rng(seed).standard_normal((num_samples, 2)).astype(np.float32)


def test_without_a_mixture_file_the_mixture_is_the_sum(tmp_path):
    track = stems_folder(write_song(tmp_path / "song", 0))
    mixture, truth, rate = load_references(track, ["vocals"])
    stems = {path.stem: soundfile.read(path, dtype="float32")[0] for path in (tmp_path / "song").iterdir()}
    np.testing.assert_allclose(mixture, sum(stems.values()), atol=1e-6)
    np.testing.assert_array_equal(truth["vocals"], stems["vocals"])
    np.testing.assert_allclose(truth["instrumental"], stems["drums"] + stems["other"], atol=1e-6)
    assert list(truth) == ["vocals", "instrumental"]
    assert rate == RATE


def test_a_mixture_file_is_taken_and_the_instrumental_is_what_it_leaves(tmp_path):
    folder = write_song(tmp_path / "song", 0)
    mastered = noise(1, round(1.3 * RATE))
    soundfile.write(folder / "mixture.wav", mastered, RATE, subtype="FLOAT")
    mixture, truth, _ = load_references(stems_folder(folder), ["vocals", "drums"])
    np.testing.assert_array_equal(mixture, mastered)
    np.testing.assert_allclose(truth["vocals"] + truth["instrumental"], mastered, atol=1e-5)


def test_references_that_do_not_fit_are_bad_input(tmp_path):
    folder = write_song(tmp_path / "song", 0)
    with pytest.raises(InputError, match=r"no stem 'piano' \(it has drums, other, vocals\)"):
        load_references(stems_folder(folder), ["piano"])
    soundfile.write(folder / "mixture.wav", noise(1, 100), RATE)
    with pytest.raises(InputError, match="song: stems differ in length"):
        load_references(stems_folder(folder), ["vocals"])


@pytest.mark.parametrize("with_mixture", [False, True])
def test_stems_that_differ_a_little_in_length_are_fitted(tmp_path, with_mixture):
    folder = write_song(tmp_path / "song", 0, mixture=with_mixture)
    length = round(1.3 * RATE)
    vocals, drums = noise(1, length - 1), noise(2, length + 700)
    soundfile.write(folder / "vocals.wav", vocals, RATE, subtype="FLOAT")
    soundfile.write(folder / "drums.wav", drums, RATE, subtype="FLOAT")
    mixture, truth, _ = load_references(stems_folder(folder), ["vocals", "drums"])
    assert len(mixture) == (length if with_mixture else length + 700)
    assert {stem.shape for stem in truth.values()} == {mixture.shape}
    np.testing.assert_array_equal(truth["vocals"][: length - 1], vocals)
    assert not truth["vocals"][length - 1 :].any()
    np.testing.assert_array_equal(truth["drums"], drums[: len(mixture)])


def test_the_middle_of_a_track(tmp_path):
    track = stems_folder(write_song(tmp_path / "song", 0))
    whole, part = load_clip(track, ["vocals"]), load_clip(track, ["vocals"], 0.5)
    start = (len(whole.mixture) - RATE // 2) // 2
    np.testing.assert_array_equal(part.mixture, whole.mixture[start : start + RATE // 2])
    np.testing.assert_array_equal(part.truth["instrumental"], whole.truth["instrumental"][start : start + RATE // 2])
    assert len(load_clip(track, ["vocals"], 60.0).mixture) == len(whole.mixture)
    for audio in (part.mixture, *part.truth.values()):
        assert audio.base is None or audio.base.nbytes == audio.nbytes  # the whole track is let go


def test_a_target_that_a_song_need_not_have_is_silent(tmp_path):
    folder = write_song(tmp_path / "song", 0, stems=("drums", "other"))
    paths = {path.stem: [path] for path in folder.iterdir()}
    mixture, truth, _ = load_references(make_track("song", paths, whole=False), ["vocals"])
    assert not truth["vocals"].any() and truth["vocals"].shape == mixture.shape
    np.testing.assert_array_equal(truth["instrumental"], mixture)
