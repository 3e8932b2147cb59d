"""Music for the nano model."""

import numpy as np

from tests.helpers import RATE


def music(num_samples, channels=2, seed=0):
    """Tones over noise, peak near 0.5."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_samples)[:, None] / RATE
    tones = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 3000, channels) * time)
    return (tones + 0.05 * rng.standard_normal((num_samples, channels))).astype(np.float32)
