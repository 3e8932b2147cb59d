"""Songs for commands, and what comes of them."""

import numpy as np
import soundfile


def write_wav(path, num_samples=2001, channels=2, rate=11_025):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal((num_samples, channels)), rate, subtype="FLOAT")
    return path


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)
