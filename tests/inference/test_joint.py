import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.audio.chunking import ChunkPlan, fade
from diffvs_jax.inference.joint import blend, frame_weights

FRAMES, BINS, CHANNELS = 16, 3, 4


def chunks(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, FRAMES, BINS, CHANNELS)).astype(np.float32)


def blended(denoised, before, step=8, taper=2, units=None):
    weights = frame_weights(ChunkPlan(15 * 64, step * 64, taper * 64), 64)
    units = np.ones((len(denoised), CHANNELS), np.float32) if units is None else units
    return np.asarray(blend(jnp.asarray(denoised), jnp.asarray(units), jnp.asarray(before), weights, step)), weights


def overlap_averages(denoised, weights, step):
    """The mean over a track's timeline, frame by frame, and its slices: the definition, in numpy."""
    length = step * (len(denoised) - 1) + FRAMES
    total, norm = np.zeros((length, BINS, CHANNELS)), np.zeros((length, 1, 1))
    for index, chunk in enumerate(denoised):
        total[index * step : index * step + FRAMES] += weights[:, None, None] * chunk
        norm[index * step : index * step + FRAMES] += weights[:, None, None]
    mean = total / np.where(norm > 0, norm, 1)
    slices = [slice(index * step, index * step + FRAMES) for index in range(len(denoised))]
    return np.stack([np.where(norm[part] > 0, mean[part], own) for part, own in zip(slices, denoised, strict=True)])


def test_weights_are_the_cross_fades_at_the_frames_centres():
    plan = ChunkPlan(15 * 64, 8 * 64, 2 * 64)
    weights, samples = frame_weights(plan, 64), fade(plan)
    assert weights.shape == (16,) and not weights[:2].any() and not weights[-2:].any()
    np.testing.assert_allclose(weights[3:-3], samples[64 * 3 : -64 * 2 : 64], atol=0.02)
    np.testing.assert_allclose(weights, weights[::-1], atol=1e-6)


@pytest.mark.parametrize(("step", "taper"), [(8, 2), (8, 0), (11, 2), (4, 2), (3, 1)])
def test_a_track_is_averaged_as_by_definition(step, taper):
    denoised = chunks(6)
    result, weights = blended(denoised, np.arange(6) - 1, step, taper)
    np.testing.assert_allclose(result, overlap_averages(denoised, weights, step), atol=1e-5)


def test_tracks_leave_each_other_alone_wherever_they_lie():
    first, second, third = chunks(3, 1), chunks(2, 2), chunks(1, 3)
    mixed = np.stack([first[0], second[0], first[1], second[1], third[0], first[2]])
    result, weights = blended(mixed, np.array([-1, -1, 0, 1, -1, 2]))
    np.testing.assert_allclose(result[[0, 2, 5]], overlap_averages(first, weights, 8), atol=1e-5)
    np.testing.assert_allclose(result[[1, 3]], overlap_averages(second, weights, 8), atol=1e-5)
    np.testing.assert_allclose(result[4], third[0], rtol=1e-6)


def test_overlapping_chunks_agree_and_a_second_time_changes_nothing():
    result, _ = blended(chunks(4), np.arange(4) - 1)
    for earlier, later in itertools.pairwise(result):
        np.testing.assert_allclose(earlier[8:], later[:8], atol=1e-5)
    np.testing.assert_allclose(blended(result, np.arange(4) - 1)[0], result, atol=1e-5)


def test_chunks_are_compared_in_common_units_and_answered_in_their_own():
    units = np.random.default_rng(5).uniform(0.1, 10, (4, CHANNELS)).astype(np.float32)
    common = chunks(4)
    expected, _ = blended(common, np.arange(4) - 1)
    result, _ = blended(common / units[:, None, None], np.arange(4) - 1, units=units)
    np.testing.assert_allclose(result * units[:, None, None], expected, atol=1e-4)
