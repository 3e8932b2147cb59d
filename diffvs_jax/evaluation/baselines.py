"""What a score is to be seen beside: estimates that need no model, or hardly one."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.signal import ShortTimeFFT, get_window

from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.inference.remainder import add_remainder
from diffvs_jax.inference.separator import Stems

BASELINES = ("mixture", "silence", "oracle", "one_step")
"""The mixture taken for every stem, silence for the targets, the ideal ratio mask, the model's one-step estimate."""

_N_FFT, _HOP = 4096, 1024  # of the paper's spectrograms
_AT_ONCE = 1_000_000  # samples whose spectrograms are in memory


def baseline(
    name: str, clip: Clip, targets: tuple[str, ...], one_step: Callable[[Clip], Mapping[str, np.ndarray]] | None
) -> Mapping[str, np.ndarray] | None:
    """A baseline's estimates of a clip's stems; None for a single step where there is no model."""
    if name == "mixture":
        return dict.fromkeys(clip.truth, clip.mixture)
    if name == "silence":
        return add_remainder(clip.mixture, {target: np.zeros_like(clip.mixture) for target in targets})
    if name == "oracle":
        return add_remainder(clip.mixture, ideal_ratio_masks(clip, targets))
    return one_step(clip) if one_step else None


def ideal_ratio_masks(clip: Clip, targets: tuple[str, ...]) -> Stems:
    """Targets cut out of the mixture by masks made from the truth: about the best that any mask can do.

    The mask of a target is its share of the power, ``|s_j|^2 / sum_k |s_k|^2``, in every bin of a
    spectrogram (Hann, 4096, hop 1024), per channel, where k runs over the targets and what is left without
    all of them. (Liutkus & Badeau, "Generalized Wiener filtering with fractional power spectrograms", 2015, with
    exponent 2; the "IRM2" of the SiSEC 2018 campaign.)
    """
    rest = clip.mixture - np.sum([clip.truth[target] for target in targets], axis=0)
    sources = np.stack([*(clip.truth[target] for target in targets), rest])
    transform = ShortTimeFFT(get_window("hann", _N_FFT), _HOP, fs=1.0)
    estimates = np.zeros((len(targets), *clip.mixture.shape), np.float32)
    for part, padded, inner in _parts(len(clip.mixture)):
        mixture = transform.stft(_cut(clip.mixture, padded), axis=0)
        powers = np.stack([np.abs(transform.stft(_cut(source, padded), axis=0)) ** 2 for source in sources])
        masks = powers[: len(targets)] / np.maximum(powers.sum(axis=0), np.finfo(np.float32).tiny)
        for estimate, mask in zip(estimates, masks, strict=True):
            back = transform.istft(mask * mixture, k1=padded[1] - padded[0], f_axis=0, t_axis=-1)
            estimate[part] = back[inner]
    return dict(zip(targets, estimates, strict=True))


def _parts(num_samples: int) -> Iterator[tuple[slice, tuple[int, int], slice]]:
    """Parts of a track, each with what around it reaches into its spectrogram: hops of all lie on one grid."""
    margin = 2 * _N_FFT
    step = _AT_ONCE // _HOP * _HOP
    for start in range(0, num_samples, step):
        stop = min(start + step, num_samples)
        first, last = max(0, start - margin), min(num_samples, stop + margin)
        yield slice(start, stop), (first, max(last, first + _N_FFT)), slice(start - first, stop - first)


def _cut(audio: np.ndarray, bounds: tuple[int, int]) -> np.ndarray:
    """Samples of a track, ended by zeros where it is too short."""
    part = audio[bounds[0] : bounds[1]]
    return np.pad(part, ((0, bounds[1] - bounds[0] - len(part)), (0, 0))) if len(part) < bounds[1] - bounds[0] else part
