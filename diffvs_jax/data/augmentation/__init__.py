"""Augmentation of one training example, in numpy and seeded.

Everything works on ``stems [num_stems, samples, channels]`` or a single ``stem [samples, channels]``,
float32: the targets in the order of the config, then one row for the rest of the music. Nothing
touches its input, though an effect that has nothing to change may return the input itself.

The mixture is never augmented nor stored. Whoever needs it sums the rows last, so that
"mixture = sum of stems" holds whatever was done to them.
"""

from diffvs_jax.data.augmentation.chain import Trace, augment
from diffvs_jax.data.augmentation.settings import NO_AUGMENTATION, Augmentation

__all__ = ["NO_AUGMENTATION", "Augmentation", "Trace", "augment"]
