"""Augmentation of one training example, in numpy and seeded.

Every function takes and gives ``stems [num_stems, samples, channels]`` float32: the targets in
the order of the config, then one row for the rest of the music. None of them touches its input.

The mixture is never augmented nor stored. Whoever needs it sums the rows last, so that
"mixture = sum of stems" holds whatever was done to them.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What ``augment`` does, and how often.

    Attributes:
      gain_range: lowest and highest factor of a stem's amplitude.
      channel_swap_probability: per stem.
      sign_flip_probability: per stem.
      drop_target_probability: per target.
    """

    gain_range: tuple[float, float] = (1.0, 1.0)
    channel_swap_probability: float = 0.0
    sign_flip_probability: float = 0.0
    drop_target_probability: float = 0.0


NO_AUGMENTATION = Augmentation()


def augment(stems: np.ndarray, num_targets: int, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """All augmentations in turn, ``[num_stems, samples, channels]`` in and out."""
    stems = random_gain(stems, augmentation.gain_range, rng)
    stems = random_channel_swap(stems, augmentation.channel_swap_probability, rng)
    stems = random_sign_flip(stems, augmentation.sign_flip_probability, rng)
    return random_target_drop(stems, num_targets, augmentation.drop_target_probability, rng)


def random_gain(stems: np.ndarray, gain_range: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Scales each stem by its own factor, uniform in ``gain_range``."""
    low, high = gain_range
    gains = rng.uniform(low, high, size=(stems.shape[0], 1, 1))
    return stems * gains.astype(np.float32)


def random_channel_swap(stems: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Reverses the channels of each stem with ``probability``; mono stays as it is."""
    swapped = _coins(stems.shape[0], probability, rng)
    return np.where(swapped[:, None, None], stems[:, :, ::-1], stems)


def random_sign_flip(stems: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Negates each stem with ``probability``: inaudible alone, another mixture together."""
    flipped = _coins(stems.shape[0], probability, rng)
    return np.where(flipped[:, None, None], -stems, stems)


def random_target_drop(stems: np.ndarray, num_targets: int, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Silences each of the first ``num_targets`` stems with ``probability``.

    With vocals as the one target this makes chunks without vocals, from which a model learns to
    answer silence. Targets are dropped one by one: all at once would leave no music at all when
    the targets are the whole song.
    """
    dropped = np.zeros(stems.shape[0], dtype=bool)
    dropped[:num_targets] = _coins(num_targets, probability, rng)
    return np.where(dropped[:, None, None], np.float32(0), stems)


def _coins(count: int, probability: float, rng: np.random.Generator) -> np.ndarray:
    # random() is below 1 and never below 0, so probabilities 1 and 0 mean always and never.
    return rng.random(count) < probability
