"""Gain, channel swap, sign flip, silenced targets and mono: another mix of the same sounds."""

import numpy as np


def draw_mix(
    num_stems: int,
    num_targets: int,
    gain_range: tuple[float, float],
    channel_swap_probability: float,
    sign_flip_probability: float,
    drop_target_probability: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Factors and channel swaps of the stems, each stem's drawn for itself.

    A negative factor flips the sign: inaudible alone, another mixture together. A factor of zero
    drops a target. With vocals as the one target this makes chunks without vocals, from which a
    model learns to answer silence. Targets are dropped one by one: all at once would leave no
    music at all when the targets are the whole song.

    Args:
      num_stems: rows of the example; the first ``num_targets`` can be dropped.
      num_targets: see ``num_stems``.
      gain_range: lowest and highest gain, drawn uniformly.
      channel_swap_probability: of reversed channels.
      sign_flip_probability: of a negative factor.
      drop_target_probability: of a factor of zero.
      rng: always gives the same number of draws.

    Returns:
      ``(factors float32 [num_stems], swapped bool [num_stems])`` for ``scale_and_swap``.
    """
    factors = rng.uniform(*gain_range, size=num_stems).astype(np.float32)
    # random() is below 1 and never below 0, so probabilities 1 and 0 mean always and never.
    swapped = rng.random(num_stems) < channel_swap_probability
    factors[rng.random(num_stems) < sign_flip_probability] *= -1
    factors[:num_targets][rng.random(num_targets) < drop_target_probability] = 0
    return factors, swapped


def scale_and_swap(
    stems: np.ndarray, factors: np.ndarray, swapped: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Every stem times its factor, with reversed channels where ``swapped``, in one pass over memory.

    Args:
      stems: ``[num_stems, samples, channels]``; mono has nothing to swap.
      factors: ``[num_stems]``; zero gives exact silence.
      swapped: bool ``[num_stems]``.
      out: where to put the result; None: a new array.

    Returns:
      ``out``, ``[num_stems, samples, channels]``.
    """
    last = stems.shape[2] - 1
    mixed = np.empty_like(stems) if out is None else out
    for stem, result, factor, swap in zip(stems, mixed, factors, swapped, strict=True):
        if factor == 0:
            result[:] = 0
        elif swap and last:
            for channel in range(last + 1):  # a reversed view would be walked two samples at a time
                np.multiply(stem[:, last - channel], factor, out=result[:, channel])
        else:
            np.multiply(stem, factor, out=result)
    return mixed


def to_mono(stems: np.ndarray) -> np.ndarray:
    """The mean of the channels in every channel: a mono recording, ``[..., samples, channels]``."""
    mean = stems[..., 0].copy()
    for channel in range(1, stems.shape[-1]):
        mean += stems[..., channel]
    mean /= stems.shape[-1]
    return np.repeat(mean[..., None], stems.shape[-1], axis=-1)
