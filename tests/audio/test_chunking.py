import itertools

import numpy as np
import pytest

from diffvs_jax.audio.chunking import ChunkPlan, fade, num_chunks, overlap_add, split
from diffvs_jax.errors import InputError

PLANS = [ChunkPlan(64, 32, 4), ChunkPlan(64, 56, 4), ChunkPlan(64, 9, 4), ChunkPlan(10, 10, 0), ChunkPlan(5, 1, 2)]
# Around the taper, one chunk less its tapers (56), a whole chunk, one more step, and many chunks.
LENGTHS = [1, 3, 4, 5, 55, 56, 57, 63, 64, 65, 88, 89, 1000]

plans = pytest.mark.parametrize("plan", PLANS, ids=str)
lengths = pytest.mark.parametrize("num_samples", LENGTHS)


def track(num_samples, channels=2):
    return np.random.default_rng(num_samples).uniform(-1, 1, (num_samples, channels)).astype(np.float32)


def blocks_of(audio, size=37):
    """The track in blocks that fit no plan."""
    return (audio[start : start + size] for start in range(0, len(audio), size))


def chunks_of(audio, plan):
    return [chunk.audio for chunk in split(blocks_of(audio), plan)]


def joined(chunks, plan):
    """What comes of estimates of all chunks of a track."""
    return np.concatenate(list(overlap_add(chunks, plan)), axis=-2)


@plans
@lengths
def test_identity_gives_the_track_back_at_its_exact_length(plan, num_samples):
    audio = track(num_samples)
    back = joined(((chunk.audio, chunk.final) for chunk in split(blocks_of(audio), plan)), plan)
    assert back.shape == audio.shape and back.dtype == np.float32
    np.testing.assert_allclose(back, audio, atol=1e-5)


@plans
@lengths
@pytest.mark.parametrize("size", [1, 5, 64, 5000])
def test_the_size_of_the_blocks_leaves_the_chunks(plan, num_samples, size):
    audio = track(num_samples)
    expected = split([audio], plan)
    for chunk, other in itertools.zip_longest(split(blocks_of(audio, size), plan), expected):
        assert (chunk.number, chunk.final) == (other.number, other.final)
        np.testing.assert_array_equal(chunk.audio, other.audio)


def test_nothing_has_no_chunks():
    assert list(split([], PLANS[0])) == [] and list(split([np.zeros((0, 2), np.float32)], PLANS[0])) == []


@lengths
def test_several_targets_come_back_along_their_own_axis(num_samples):
    plan, audio = PLANS[0], track(num_samples)
    gains = np.float32([1, -2, 0.5])[:, None, None]
    back = joined(((gains * chunk.audio, chunk.final) for chunk in split([audio], plan)), plan)
    np.testing.assert_allclose(back, gains * audio, atol=1e-5)


@plans
@lengths
def test_chunks_are_as_few_as_cover_the_track(plan, num_samples):
    inner = plan.length - 2 * plan.taper
    enough = next(n for n in itertools.count(1) if (n - 1) * plan.step + inner >= num_samples)
    assert num_chunks(num_samples, plan) == enough
    assert len(chunks_of(track(num_samples), plan)) == enough


@plans
def test_chunks_are_slices_of_the_zero_padded_track(plan):
    audio = track(100)
    padded = np.pad(audio, ((plan.taper, 2 * plan.length), (0, 0)))
    for index, chunk in enumerate(chunks_of(audio, plan)):
        np.testing.assert_array_equal(chunk, padded[index * plan.step : index * plan.step + plan.length])


@plans
def test_what_the_model_does_in_the_taper_is_dropped(plan):
    def poisoned():
        for _, chunk, final in split([audio], plan):
            chunk[: plan.taper] = 1e6
            chunk[plan.length - plan.taper :] = -1e6
            yield chunk, final

    audio = track(200)
    np.testing.assert_allclose(joined(poisoned(), plan), audio, atol=1e-5)


@plans
def test_fade_is_positive_inside_and_zero_in_the_taper(plan):
    inner = np.s_[plan.taper : plan.length - plan.taper]
    weights = fade(plan)
    assert (weights[inner] > 0).all() and weights[inner].size == np.count_nonzero(weights)


def test_seams_fade_from_one_chunk_to_the_next_without_a_jump():
    plan = ChunkPlan(256, 128, 8)
    steps = [(np.full((256, 1), index, np.float32), final) for index, final in enumerate([120, 248, 376, 500])]
    back = joined(steps, plan)[:, 0]
    assert back[0] == 0 and back[-1] == 3
    slope = np.diff(back)
    assert slope.min() > -1e-5 and slope.max() < 0.05


def test_a_track_streams_with_one_chunk_in_flight():
    plan, read = ChunkPlan(64, 32, 4), 0

    def counted():
        nonlocal read
        for block in blocks_of(track(1000), 8):
            read += 1
            yield block

    sizes = []
    for block in overlap_add(((chunk.audio, chunk.final) for chunk in split(counted(), plan)), plan):
        sizes.append(block.shape[0])
        assert 8 * read <= sum(sizes) + plan.length + 2 * plan.taper + 8
    assert max(sizes) <= plan.length and sum(sizes) == 1000


@pytest.mark.parametrize("step", [0, -1, 57])
def test_a_step_that_leaves_gaps_is_refused_with_the_limit(step):
    with pytest.raises(InputError, match=f"64 samples tapered by 4 .* step by {step}; .* between 1 and 56"):
        ChunkPlan(64, step, 4)
