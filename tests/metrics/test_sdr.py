import jax
import numpy as np
import pytest

from diffvs_jax.metrics import bss_eval, sdr
from diffvs_jax.metrics.blocks import precision
from diffvs_jax.metrics.sums import Sums

RATE = 2000


@pytest.fixture(autouse=True)
def exact():
    with precision("float64"):
        yield


@pytest.fixture(scope="module")
def song():
    """Two stereo sources and their estimates over eight seconds and a tail, a few frames of them silent."""
    rng = np.random.default_rng(0)
    references = rng.standard_normal((2, 8 * RATE + 700, 2))
    estimates = references + rng.uniform(0.05, 0.8, (2, 1, 2)) * rng.standard_normal(references.shape)
    estimates[0] += 0.2 * np.roll(references[1], 5, axis=0)
    references[0, RATE : 2 * RATE] = 0  # a silent reference
    estimates[1, 3 * RATE : 4 * RATE] = 0  # a silent estimate
    references[1, 5 * RATE : 6 * RATE, 1] = -references[1, 5 * RATE : 6 * RATE, 0]  # silent to museval: sides cancel
    references[1, 6 * RATE : 7 * RATE - 1] = 0  # one sample short of silence
    return references, estimates


def test_framewise_sdr_is_musevals(song):
    expected = bss_eval.museval_metrics().bss_eval(*song, window=RATE, hop=RATE, filters_len=64)[0]
    got = sdr.framewise_sdr(*song, RATE)
    assert got.shape == (2, 8)
    np.testing.assert_array_equal(np.isnan(got).all(axis=0), [False, True, False, True, False, True, False, False])
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_a_tail_under_a_second_is_dropped(song):
    references, estimates = song
    changed = estimates.copy()
    changed[:, 8 * RATE :] = 1e3
    np.testing.assert_array_equal(sdr.framewise_sdr(references, changed, RATE), sdr.framewise_sdr(*song, RATE))
    assert sdr.framewise_sdr(references[:, : RATE - 1], estimates[:, : RATE - 1], RATE).shape == (2, 0)


def frames_with_errors(decibels):
    """One source whose frame k has an error of -decibels[k] dB, and a second, perfect but for its gain."""
    references = np.random.default_rng(0).standard_normal((2, len(decibels) * 100, 2))
    gains = np.repeat(1 - 10 ** (-np.array(decibels) / 20), 100)[:, None]
    return references, np.stack([references[0] * gains, references[1] * 0.9])


def test_csdr_is_the_median_over_frames_with_sound():
    references, estimates = frames_with_errors([3.0, 50.0, 7.0, 11.0, 5.0])
    np.testing.assert_allclose(sdr.csdr(references, estimates, 100), [7, 20], rtol=1e-9)
    estimates[1, 100:200] = 0
    references[1, 200:300] = 0
    np.testing.assert_allclose(sdr.csdr(references, estimates, 100), [5, 20], rtol=1e-9)


def test_csdr_without_a_scored_frame_is_nan():
    silent = np.zeros((2, 300, 2))
    assert np.isnan(sdr.csdr(silent, silent, 100)).all()
    assert np.isnan(sdr.csdr(np.ones((2, 99, 2)), np.ones((2, 99, 2)), 100)).all()


def test_an_exact_estimate_scores_infinity():
    references = frames_with_errors([1.0] * 3)[0]
    assert (sdr.csdr(references, references, 100) == np.inf).all()
    assert (sdr.si_sdr(references, references) == np.inf).all()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 100, 2\), \(2, 99, 2\)"):
        sdr.framewise_sdr(np.ones((2, 100, 2)), np.ones((2, 99, 2)), 10)


@pytest.mark.parametrize("gain", [0.5, 0.99, 2.0, -1.0])
def test_usdr_of_a_gain_error_is_that_errors_level(gain):
    reference = np.random.default_rng(0).standard_normal((5000, 2))
    np.testing.assert_allclose(sdr.usdr(reference, gain * reference), -20 * np.log10(abs(1 - gain)), atol=1e-6)


def test_usdr_of_silence_is_finite():
    silence = np.zeros((100, 2))
    assert sdr.usdr(silence, silence) == 0
    np.testing.assert_allclose(sdr.usdr(silence, silence + 1), 10 * np.log10(1e-7 / (200 + 1e-7)))
    np.testing.assert_allclose(sdr.usdr(silence + 1, silence + 1), 10 * np.log10((200 + 1e-7) / 1e-7))


def test_usdr_weighs_the_whole_track_at_once():
    reference, estimate = np.ones((100, 1)), np.ones((100, 1))
    estimate[:50] += 0.1  # half of the samples 20 dB down
    np.testing.assert_allclose(sdr.usdr(reference, estimate), 20 + 10 * np.log10(2), atol=1e-6)


@pytest.mark.parametrize("gain", [1.0, 0.01, -3.0])
def test_si_sdr_sees_only_the_orthogonal_error(gain):
    t = np.arange(1000) / 1000
    reference = np.stack([np.sin(2 * np.pi * 5 * t), np.cos(2 * np.pi * 5 * t)], -1)
    error = np.stack([np.sin(2 * np.pi * 9 * t), np.cos(2 * np.pi * 9 * t)], -1)  # orthogonal, equally loud
    np.testing.assert_allclose(sdr.si_sdr(reference, gain * (reference + 0.1 * error)), 20, atol=1e-9)


def test_si_sdr_removes_no_mean():
    reference = np.ones((100, 1))
    alternating = np.tile([[1.0], [-1.0]], (50, 1))
    np.testing.assert_allclose(sdr.si_sdr(reference, reference + 0.1 * alternating), 20, atol=1e-9)


def test_si_sdr_at_its_limits():
    reference = np.float32([[1], [2], [4]])
    assert sdr.si_sdr(reference, 2 * reference) == np.inf
    assert np.isnan(sdr.si_sdr(0 * reference, reference))


def test_scores_within_a_program_over_a_batch():
    rng = np.random.default_rng(0)
    references = rng.standard_normal((3, 2, 250, 2))
    estimates = references + 0.1 * rng.standard_normal(references.shape)
    csdr, si_sdr = jax.jit(jax.vmap(lambda s, e: (sdr.csdr(s, e, 100), sdr.si_sdr(s, e))))(references, estimates)
    np.testing.assert_allclose(csdr, [sdr.csdr(*pair, 100) for pair in zip(references, estimates, strict=True)])
    np.testing.assert_allclose(si_sdr, sdr.si_sdr(references, estimates), atol=1e-9)


def test_silence_at_the_end_changes_no_score_of_the_whole_track(song):
    padded = [np.pad(stems, [(0, 0), (0, RATE // 2), (0, 0)]) for stems in song]
    np.testing.assert_allclose(sdr.usdr(*padded), sdr.usdr(*song), atol=1e-12)
    np.testing.assert_allclose(sdr.si_sdr(*padded), sdr.si_sdr(*song), atol=1e-12)


def test_rounding_below_no_error_is_infinity():
    """A copy whose products round so that its error comes out as -1e-18."""
    one, none = np.ones(1), np.zeros(1)
    sums = Sums(one, one, none, gain=one, residual=none, cross=np.array([1e-9]), silent=none > 0)
    with np.errstate(divide="ignore"):
        assert sdr.si_sdr_of_track(sums) == np.inf
