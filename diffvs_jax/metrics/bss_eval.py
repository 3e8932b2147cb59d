"""BSS-eval's SDR, ISR, SIR and SAR per second, by the libraries that define them; dB, larger is better.

Vincent et al. 2007 split an estimate's error into spatial distortion (ISR), interference (SIR) and
artifacts (SAR) by projecting it onto the references, filtered with 512 taps. museval (Stöter,
Liutkus and Ito 2018) fits the filters once per track, mir_eval in every second: their SDRs are
equal, all else is not and must not share a column. BSS-eval's *sources* variant, which forgives
whatever a filter can undo, is not offered.
"""

import functools
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from diffvs_jax.errors import InputError


class BssEval(NamedTuple):
    """Scores of every source in every second, float64 ``[sources, frames]`` in dB.

    NaN for all sources in frames in which any reference or estimate sums over channels to silence.
    """

    sdr: np.ndarray
    isr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray


def museval_frames(references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> BssEval:
    """museval's BSS-eval v4, with windows and hops of one second and one filter per track.

    Ratios above some 150 dB are rounding noise where exact numbers were infinite. Takes minutes a song.

    Args:
      references: ``[sources, samples, channels]``.
      estimates: like ``references``.
      sample_rate: in Hz.

    Raises:
      InputError: museval is not installed.
      ValueError: the shapes differ.
    """
    bss_eval = museval_metrics().bss_eval

    def score(*signals: np.ndarray) -> Any:
        return bss_eval(*signals, window=sample_rate, hop=sample_rate)

    return _score(score, references, estimates, sample_rate)


def mir_eval_frames(references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> BssEval:
    """mir_eval's BSS-eval v3 of images: like ``museval_frames``, but filters are fitted anew in every second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mir_eval import separation  # leaves in mir_eval 0.9, and says so

    def score(*signals: np.ndarray) -> Any:
        # What lasts less than two windows would be scored as one: a silent second follows.
        padded = [np.pad(signal, [(0, 0), (0, sample_rate), (0, 0)]) for signal in signals]
        return separation.bss_eval_images_framewise(*padded, window=sample_rate, hop=sample_rate)

    return _score(score, references, estimates, sample_rate)


def _score(score: Callable[..., Any], references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> BssEval:
    """Both libraries refuse a source that is silent throughout, and both warn of what is no mistake here."""
    if references.shape != estimates.shape or references.ndim != 3:
        raise ValueError(f"need [sources, samples, channels] twice, got {references.shape}, {estimates.shape}")
    frames = references.shape[1] // sample_rate
    signals = [signal.astype(np.float64) for signal in (references, estimates)]
    if frames == 0 or any(_silent(signal).any() for signal in signals):
        return BssEval(*np.full((4, len(references), frames), np.nan))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = np.array(score(*signals)[:4])[..., :frames]
    found[:, np.isnan(found[0])] = np.nan  # mir_eval leaves the ISR of a silent frame as it found it
    return BssEval(*found)


def _silent(sources: np.ndarray) -> np.ndarray:
    return ~np.any(sources.sum(axis=2), axis=1)


@functools.cache
def museval_metrics() -> ModuleType:
    """museval's formulas alone: the package around them wants ffmpeg to import.

    Raises:
      InputError: museval is not installed.
    """
    package = importlib.util.find_spec("museval")
    if package is None or not package.submodule_search_locations:
        raise InputError("ISR, SIR and SAR need museval, which is not installed: pip install -e '.[eval]'")
    path = Path(package.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
