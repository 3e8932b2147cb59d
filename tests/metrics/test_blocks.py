import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.metrics.blocks import cut, precision


@pytest.mark.parametrize("samples", [1, 9, 10, 11, 30])
def test_blocks_hold_every_sample_and_silence_around_it(samples):
    signal = np.arange(1.0, 2 * samples + 1).reshape(samples, 2)
    blocks = [block for (block,) in cut([signal], "float32", 10, 10)]
    assert {block.shape for block in blocks} == {(10, 2)}
    joined = np.concatenate(blocks)
    np.testing.assert_array_equal(joined[:samples], signal)
    assert len(blocks) == -(-samples // 10) and not joined[samples:].any()


def test_blocks_that_overlap_begin_before_the_signal():
    signal = np.arange(1.0, 13.0)[:, None]
    blocks = [block[:, 0] for block, _ in cut([signal, signal], "float32", 7, 5, before=2)]
    expected = [[0, 0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9, 10], [9, 10, 11, 12, 0, 0, 0]]
    np.testing.assert_array_equal(blocks, expected)


def test_no_samples_are_one_silent_block():
    for before in (0, 3):
        ((block,),) = cut([np.zeros((0, 2))], "float32", 4, 4, before=before)
        np.testing.assert_array_equal(block, np.zeros((4, 2)))


def test_signals_must_be_alike():
    with pytest.raises(ValueError, match=r"alike, got \(5, 2\), \(6, 2\)"):
        next(cut([np.zeros((5, 2)), np.zeros((6, 2))], "float32", 4, 4))


def test_precision_is_as_asked_for_and_only_within():
    for dtype in ("float32", "float64", "float32"):
        with precision(dtype):
            assert jnp.asarray(np.ones(2), dtype).dtype == dtype
    assert jnp.ones(2).dtype == "float32"
    with pytest.raises(ValueError, match="got bfloat16"), precision("bfloat16"):
        pass
