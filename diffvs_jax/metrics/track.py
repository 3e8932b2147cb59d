"""All scores of whole tracks of any length, with programs that compile once per rate and number of channels.

Tracks are cut into blocks of one size. Programs give sums per second and distances per frame; what
is made of them is done on the host in float64.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from diffvs_jax.metrics import spectral
from diffvs_jax.metrics.blocks import cut, precision
from diffvs_jax.metrics.leakage import SILENCE_DB, leakage_of_frames
from diffvs_jax.metrics.ratios import median
from diffvs_jax.metrics.sdr import sdr_of_frames, si_sdr_of_track, usdr_of_track
from diffvs_jax.metrics.sums import Sums, frame_sums
from diffvs_jax.metrics.together import scored_together

Stems = Mapping[str, np.ndarray]

_SECONDS = 8  # of a block
_FRAMES = 512  # spectra of a block


class TrackScores(NamedTuple):
    """What a method scores on a track.

    Attributes:
      scores: such as "csdr_vocals" to a value in dB; NaN where there is none.
      frames: such as "sdr_vocals" to float64 ``[seconds]`` in dB, whose median is the cSDR.
    """

    scores: dict[str, float]
    frames: dict[str, np.ndarray]


def score_track(
    references: Stems,
    estimates: Stems,
    mixture: np.ndarray,
    sample_rate: int,
    *,
    dtype: str = "float32",
    silence_db: float = SILENCE_DB,
) -> TrackScores:
    """Scores csdr, usdr, sisdr, lsd and leakage of every stem, such as "csdr_vocals" (see ``docs/metrics.md``).

    Args:
      references: true stems by name, ``[samples, channels]``.
      estimates: the same stems, estimated.
      mixture: what they were separated from.
      sample_rate: in Hz.
      dtype: "float32", on JAX's default device, or "float64", on the CPU; they agree to 1e-4 dB.
      silence_db: see ``leakage``.

    Raises:
      ValueError: shapes differ, or another dtype.
    """
    methods = {"": estimates}
    return score_methods(references, methods, mixture, sample_rate, dtype=dtype, silence_db=silence_db)[""]


def score_methods(
    references: Stems,
    methods: Mapping[str, Stems],
    mixture: np.ndarray,
    sample_rate: int,
    *,
    dtype: str = "float32",
    silence_db: float = SILENCE_DB,
) -> dict[str, TrackScores]:
    """``score_track`` for several methods' estimates: what concerns the references alone is done once."""
    sums = _sums(references, methods, sample_rate, dtype)
    total = _track_sums(mixture, [mixture], sample_rate, dtype)[0].signal
    whole = len(mixture) // sample_rate
    values = sample_rate * mixture.shape[1]
    results = {name: _sdr_scores(references, own, sample_rate) for name, own in sums.items()}
    for stem, reference in references.items():
        distances = _track_distances(reference, [stems[stem] for stems in methods.values()], dtype)
        for (name, result), distance in zip(results.items(), distances, strict=True):
            own = sums[name][stem]
            energies = own.signal[:whole], own.estimate[:whole], total[:whole]
            result.scores[f"lsd_{stem}"] = distance
            with np.errstate(divide="ignore"):
                result.scores[f"leakage_{stem}"] = float(leakage_of_frames(*energies, values, silence_db))
    return results


def score_sdr(references: Stems, estimates: Stems, sample_rate: int, *, dtype: str = "float32") -> TrackScores:
    """The part of ``score_track`` that needs neither spectra nor the mixture: csdr, usdr, sisdr."""
    return _sdr_scores(references, _sums(references, {"": estimates}, sample_rate, dtype)[""], sample_rate)


def track_usdr(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """uSDR of one stem of a track, in dB, by the program that scores everything else of its rate."""
    return float(usdr_of_track(_track_sums(reference, [estimate], sample_rate, "float32")[0]))


def _sdr_scores(references: Stems, sums: Mapping[str, Sums], sample_rate: int) -> TrackScores:
    seconds = {stem: len(reference) // sample_rate for stem, reference in references.items()}
    frames = {stem: np.full(count, np.nan) for stem, count in seconds.items()}
    scores = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for group in scored_together(references):
            whole = [Sums(*(values[: seconds[stem]] for values in sums[stem])) for stem in group]
            stacked = Sums(*(np.stack(values) for values in zip(*whole, strict=True)))
            frames.update(zip(group, sdr_of_frames(stacked), strict=True))
        for stem in references:
            scores[f"csdr_{stem}"] = float(median(frames[stem]))
        for stem in references:
            scores[f"usdr_{stem}"] = float(usdr_of_track(sums[stem]))
            scores[f"sisdr_{stem}"] = float(si_sdr_of_track(sums[stem]))
    return TrackScores(scores, {f"sdr_{stem}": values for stem, values in frames.items()})


def _sums(references: Stems, methods: Mapping[str, Stems], sample_rate: int, dtype: str) -> dict[str, dict[str, Sums]]:
    """Of every method and stem."""
    sums: dict[str, dict[str, Sums]] = {name: {} for name in methods}
    for stem, reference in references.items():
        found = _track_sums(reference, [stems[stem] for stems in methods.values()], sample_rate, dtype)
        for name, own in zip(methods, found, strict=True):
            sums[name][stem] = own
    return sums


def _track_sums(reference: np.ndarray, estimates: Sequence[np.ndarray], sample_rate: int, dtype: str) -> list[Sums]:
    """Float64 sums of every second, for every estimate; past the end they are 0."""
    length = _SECONDS * sample_rate
    with precision(dtype):
        blocks = [
            [jax.device_get(_second_sums(s, e, sample_rate)) for e in es]
            for s, *es in cut([reference, *estimates], dtype, length, length)
        ]
    return [Sums(*map(_joined, zip(*own, strict=True))) for own in zip(*blocks, strict=True)]


def _track_distances(reference: np.ndarray, estimates: Sequence[np.ndarray], dtype: str) -> list[float]:
    """Log-spectral distance of every estimate."""
    length, stride = (_FRAMES - 1) * spectral.HOP + spectral.N_FFT, _FRAMES * spectral.HOP
    distances = []
    with precision(dtype):
        # The first frame is the first that touches the track, like log_spectral_distance's.
        for s, *es in cut([reference, *estimates], dtype, length, stride, before=spectral.N_FFT - spectral.HOP):
            levels = _levels(s)
            distances.append([jax.device_get(_distances(levels, e)) for e in es])
    joined = [_joined([values.ravel() for values in own]) for own in zip(*distances, strict=True)]
    heard = [values[~np.isnan(values)] for values in joined]
    return [float(np.mean(values)) if len(values) else float("nan") for values in heard]


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    joined = np.concatenate(parts)
    return joined if joined.dtype == bool else joined.astype(np.float64)


@functools.partial(jax.jit, static_argnums=2)
def _second_sums(reference: jax.Array, estimate: jax.Array, sample_rate: int) -> Sums:
    return frame_sums(reference, estimate, sample_rate)


@jax.jit
def _levels(audio: jax.Array) -> jax.Array:
    return spectral.levels(audio)


@jax.jit
def _distances(reference_levels: jax.Array, estimate: jax.Array) -> jax.Array:
    return spectral.frame_distances(reference_levels, spectral.levels(estimate))
