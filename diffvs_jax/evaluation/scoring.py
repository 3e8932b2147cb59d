"""One track with its estimates to numbers: scores by method, and the estimate's frames."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diffvs_jax.embedding.choose import Embedding
from diffvs_jax.embedding.mse import embedding_mses
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.baselines import baseline
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.evaluation.records import ESTIMATE
from diffvs_jax.metrics import bss_eval
from diffvs_jax.metrics.ratios import median
from diffvs_jax.metrics.together import scored_together
from diffvs_jax.metrics.track import Stems, score_methods, score_sdr

Scores = dict[str, float]
Row = dict[str, Any]

BSS_EVAL = {"museval": bss_eval.museval_frames, "mir_eval": bss_eval.mir_eval_frames}
"""Who computes ISR, SIR and SAR of the estimate, in about a minute per track."""
_RATIOS = ("isr", "sir", "sar")


@dataclasses.dataclass(frozen=True)
class Scoring:
    """What is computed of every track.

    Attributes:
      targets: stems that are estimated; what is left of the mixture is scored beside them.
      baselines: of ``baselines.BASELINES``.
      bss_eval: of ``BSS_EVAL``, or "none".
      dtype: "float32" or "float64".
      embedding: whose MSE is computed; None: nobody's.
    """

    targets: tuple[str, ...]
    baselines: Sequence[str] = ()
    bss_eval: str = "none"
    dtype: str = "float32"
    embedding: Embedding | None = None

    def facts(self) -> list:
        """All that scores depend on."""
        embedding = [self.embedding.name, self.embedding.fingerprint] if self.embedding else []
        return [self.targets, list(self.baselines), self.bss_eval, self.dtype, embedding]


def score_clip(
    clip: Clip, estimates: Stems, scoring: Scoring, one_step: Callable[[Clip], Stems] | None = None
) -> tuple[dict[str, Scores], dict[str, np.ndarray]]:
    """Scores of the estimate and of baselines, and the estimate's frames: column to a value per second.

    Columns are "csdr_STEM" and what else ``metrics.track.score_track`` names, "embedding_STEM", and "isr_STEM",
    "sir_STEM", "sar_STEM" (medians over seconds; those of mir_eval are called "mir_eval_isr_STEM" and so on).

    Args:
      clip: mixture and truth.
      estimates: of every stem of the truth.
      scoring: what to compute.
      one_step: separates with a single step; None where there is no model.
    """
    found = {name: baseline(name, clip, scoring.targets, one_step) for name in scoring.baselines}
    methods = {ESTIMATE: estimates, **{name: stems for name, stems in found.items() if stems is not None}}
    results = score_methods(clip.truth, methods, clip.mixture, clip.sample_rate, dtype=scoring.dtype)
    scores, frames = {name: result.scores for name, result in results.items()}, dict(results[ESTIMATE].frames)
    if scoring.bss_eval != "none":
        ratios = bss_eval_frames(clip, estimates, scoring.bss_eval)
        frames.update(ratios)
        scores[ESTIMATE].update({column: float(median(values)) for column, values in ratios.items()})
    if scoring.embedding:
        for stem, truth in clip.truth.items():
            heard = [stems[stem] for stems in methods.values()]
            values = _embedding_mses(scoring.embedding, truth, heard, clip.sample_rate)
            for method, value in zip(methods, values, strict=True):
                scores[method][f"embedding_{stem}"] = value
    return scores, frames


def _embedding_mses(
    embedding: Embedding, truth: np.ndarray, estimates: Sequence[np.ndarray], sample_rate: int
) -> list[float]:
    try:
        return embedding_mses(embedding.embed, truth, estimates, sample_rate)
    except Exception as error:  # a user's function may fail in any way
        raise InputError(f"embedding {embedding.name}: {type(error).__name__}: {error}") from error


def bss_eval_frames(clip: Clip, estimates: Stems, whose: str) -> dict[str, np.ndarray]:
    """ISR, SIR and SAR of every stem in every second, in dB, by one of ``BSS_EVAL``."""
    prefix = "" if whose == "museval" else f"{whose}_"
    frames: dict[str, np.ndarray] = {}
    for group in scored_together(clip.truth):
        true, estimated = (np.stack([stems[stem] for stem in group]) for stems in (clip.truth, estimates))
        ratios = BSS_EVAL[whose](true, estimated, clip.sample_rate)._asdict()
        for name in _RATIOS:
            frames.update({f"{prefix}{name}_{stem}": row for stem, row in zip(group, ratios[name], strict=True)})
    return frames


def score(name: str, references: Stems, estimates: Stems, sample_rate: int) -> Row:
    """A row of a table: "track", then cSDR, uSDR and SI-SDR of every stem, in dB."""
    return {"track": name, **score_sdr(references, estimates, sample_rate).scores}
