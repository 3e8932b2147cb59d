import importlib.util

import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.metrics import bss_eval

RATE = 700  # more than the filters' 512 taps, and little to compute


def noise(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal((2, round(seconds * RATE), 1))


@pytest.mark.parametrize("score", [bss_eval.museval_frames, bss_eval.mir_eval_frames])
def test_sources_that_are_silent_where_it_counts_are_nan(score):
    references = noise(2.5)
    estimates = references + 0.1 * noise(2.5, seed=1)
    references[1, : 2 * RATE] = 0  # heard in the tail alone
    for frames in score(references, estimates, RATE):
        np.testing.assert_array_equal(frames, np.full((2, 2), np.nan))
    references[1] = 0
    assert np.isnan(score(references, estimates, RATE).sdr).all()
    assert score(references[:, : RATE - 1], estimates[:, : RATE - 1], RATE).sar.shape == (2, 0)


def test_mir_eval_scores_a_track_of_one_second_and_its_tail_as_that_second():
    references = noise(1.5)
    estimates = references + 0.1 * noise(1.5, seed=1)
    estimates[:, RATE:] += 1
    found = bss_eval.mir_eval_frames(references, estimates, RATE)
    heard, error = (np.sum(x[:, :RATE] ** 2, axis=(1, 2)) for x in (references, references - estimates))
    np.testing.assert_allclose(found.sdr, 10 * np.log10(heard / error)[:, None], atol=1e-9)
    assert all(values.shape == (2, 1) and np.isfinite(values).all() for values in found)


def test_without_museval_a_line_says_what_to_install(monkeypatch):
    bss_eval.museval_metrics.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"need museval, .* pip install -e '\.\[eval\]'"):
        bss_eval.museval_frames(noise(1), noise(1), RATE)


def test_shapes_must_agree():
    for score in (bss_eval.museval_frames, bss_eval.mir_eval_frames):
        with pytest.raises(ValueError, match=r"\(2, 700, 1\), \(2, 1050, 1\)"):
            score(noise(1), noise(1.5), RATE)
