import weakref

import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.embedding.mse import embedding_mse, embedding_mses

AUDIO = np.zeros((6, 2), np.float32)


def in_pairs(audio, sample_rate):
    """Samples as frames of two features, two at a time."""
    assert sample_rate == 8000
    for first in range(0, len(audio), 2):
        yield audio[first : first + 2]


def test_the_mean_over_frames_and_features_whatever_the_blocks():
    reference, estimate = np.random.default_rng(0).standard_normal((2, 7, 2)).astype(np.float32)
    expected = np.mean((reference.astype(np.float64) - estimate) ** 2)
    assert embedding_mse(in_pairs, reference, estimate, 8000) == pytest.approx(expected, rel=1e-12)
    assert embedding_mse(lambda audio, rate: audio, reference, estimate, 8000) == pytest.approx(expected, rel=1e-12)
    assert embedding_mse(in_pairs, reference, reference, 8000) == 0


def test_several_estimates_share_one_embedding_of_the_reference():
    embedded = []

    def embed(audio, sample_rate):
        embedded.append(audio[0, 0])
        return in_pairs(audio, sample_rate)

    assert embedding_mses(embed, AUDIO, [AUDIO + 1, AUDIO + 3], 8000) == [1, 9]
    assert sorted(embedded) == [0, 1, 3]


def test_sums_are_in_float64():
    def embed(audio, sample_rate):
        yield audio[:1] * np.float32(4096)
        for _ in range(1000):
            yield audio[:1]

    got = embedding_mse(embed, AUDIO, AUDIO + 1, 8000)
    assert got == (4096**2 + 1000) / 1001


def test_blocks_are_not_kept():
    alive = []

    def embed(audio, sample_rate):
        for _ in range(50):
            assert sum(block() is not None for block in alive) <= 6  # of three tracks, the block before and this one
            block = np.zeros((3, 4))
            alive.append(weakref.ref(block))
            yield block
            del block

    embedding_mses(embed, AUDIO, [AUDIO, AUDIO], 8000)
    assert len(alive) == 150


def test_no_frame_has_no_error():
    assert np.isnan(embedding_mse(in_pairs, AUDIO[:0], AUDIO[:0], 8000))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"an estimate is \(5, 2\), its reference \(6, 2\)"):
        embedding_mse(in_pairs, AUDIO, AUDIO[:5], 8000)
    with pytest.raises(ValueError, match=r"an estimate's block is \(4, 1\), its reference's \(3, 1\)"):
        embedding_mse(lambda audio, rate: np.ones((3 + int(audio[0, 0]), 1)), AUDIO, AUDIO + 1, 8000)
    with pytest.raises(ValueError, match="shorter"):
        embedding_mse(lambda audio, rate: [audio] * (3 - int(audio[0, 0])), AUDIO, AUDIO + 1, 8000)


def test_an_array_of_any_kind_is_one_block():
    def embed(audio, sample_rate):
        return jnp.asarray(audio, jnp.bfloat16)

    assert embedding_mse(embed, AUDIO, AUDIO + 3, 8000) == 9


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.zeros(3), r"not \(3,\) float64"),
        (jnp.zeros((1, 2, 3)), r"not \(1, 2, 3\) float32"),
        ([[1.0, 2.0], [3.0, 4.0]], r"not \(2,\) float64"),
        ([["a", "b"]], r"not \(2,\) <U1"),
        (np.array([["a", "b"]]), r"not \(1, 2\) <U1"),
        (np.zeros((1, 2), complex), "complex128"),
        (np.array([[0, np.nan]]), r"\(1, 2\), holds NaN or infinite numbers"),
        ([np.zeros((1, 2)), np.array([[0, np.inf]])], "holds NaN or infinite numbers"),
        (jnp.full((1, 2), jnp.inf, jnp.bfloat16), "holds NaN or infinite numbers"),
    ],
)
def test_what_are_no_vectors_is_refused(embedding, message):
    with pytest.raises(ValueError, match=message):
        embedding_mse(lambda audio, rate: embedding, AUDIO, AUDIO, 8000)
