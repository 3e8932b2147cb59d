import numpy as np
import pytest
from matplotlib import image

from diffvs_jax.audio import files
from diffvs_jax.data.datasets import open_split
from diffvs_jax.evaluation.demo import EXCERPT, Clip, demo_clips, excerpt, run_demo
from diffvs_jax.metrics.sdr import usdr
from tests.helpers import RATE


def test_the_packaged_excerpt_is_ten_seconds_of_real_stems():
    stems, rate = excerpt()
    assert list(stems) == ["vocals", "instrumental"]
    assert rate == 44_100
    assert {stem.shape for stem in stems.values()} == {(441_000, 2)}
    for stem in stems.values():
        assert np.sqrt(np.mean(stem**2)) > 0.01
    assert np.abs(sum(stems.values())).max() <= 1.1
    assert abs(np.corrcoef(stems["vocals"][:, 0], stems["instrumental"][:, 0])[0, 1]) < 0.2


def test_clips_are_the_middle_of_each_song_and_the_excerpt(musdb_folder):
    tracks = open_split(musdb_folder, "test")
    clips = demo_clips(tracks, ["vocals"], 1, 0.5)
    assert [clip.name for clip in clips] == [tracks[0].name, EXCERPT]
    whole, _ = tracks[0].load_stem("vocals")
    np.testing.assert_array_equal(clips[0].truth["vocals"], whole[3200:7200])  # 1.3 s at 8 kHz
    for clip in clips:
        np.testing.assert_allclose(sum(clip.truth.values()), clip.mixture, atol=1e-5)


def test_a_song_shorter_than_a_clip_is_taken_whole(musdb_folder):
    (clip,) = demo_clips(open_split(musdb_folder, "test")[:1], ["drums"], 5, 60.0)
    assert clip.mixture.shape == (round(1.3 * RATE), 2)
    assert set(clip.truth) == {"drums", "rest"}


class HalfSeparator:
    """Answers with half of the mixture in one step, and with a tenth of it otherwise."""

    targets = ("vocals",)
    sigmas = np.array([3.0, 1.0, 0.0])

    def __call__(self, audio, sample_rate, *, sigmas=None):
        vocals = audio * np.float32(0.1 if sigmas is None else 0.5)
        return {"vocals": vocals, "instrumental": audio - vocals}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    rng = np.random.default_rng(0)

    def clip(group):
        vocals, rest = rng.standard_normal((2, RATE, 2)).astype(np.float32) * 0.1
        return Clip(group, vocals + rest, {"vocals": vocals, "instrumental": rest}, RATE)

    clips = [clip("test songs"), clip("test songs"), clip(EXCERPT)]
    folder, log = tmp_path_factory.mktemp("demo") / "demo", []
    return clips, folder, log, run_demo(HalfSeparator(), clips, folder, log.append)


def test_demo_scores_the_mixture_one_step_and_all_steps(shown):
    clips, _, _, results = shown
    songs, real = results
    assert (songs["group"], songs["target"], songs["songs"]) == ("test songs", "vocals", 2)
    assert (real["group"], real["songs"]) == (EXCERPT, 1)
    for name, gain in (("mixture", 1.0), ("one_step", 0.5), ("all_steps", 0.1)):
        expected = [usdr(clip.truth["vocals"], clip.mixture * np.float32(gain)) for clip in clips[:2]]
        assert songs[name] == pytest.approx(np.mean(expected), abs=1e-4)


def test_demo_prints_a_table(shown):
    text = "\n".join(shown[2])
    assert "2 steps" in text
    assert f"{EXCERPT}: vocals" in text
    assert f"{shown[3][0]['all_steps']:.2f}" in text


def test_demo_writes_the_excerpts_sound_and_picture(shown):
    clips, folder, _, _ = shown
    assert sorted(path.name for path in folder.iterdir()) == ["instrumental.wav", "spectrogram.png", "vocals.wav"]
    vocals, rate = files.load(folder / "vocals.wav")
    assert rate == RATE
    np.testing.assert_allclose(vocals, clips[2].mixture * 0.1, atol=1e-6)
    assert image.imread(folder / "spectrogram.png").std() > 0.05
