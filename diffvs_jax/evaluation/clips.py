"""Music to score: a mixture and its true stems, decoded."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.inference.remainder import add_remainder


class Clip(NamedTuple):
    """Scored music: ``mixture [samples, channels]`` and its true stems by name."""

    name: str
    mixture: np.ndarray
    truth: dict[str, np.ndarray]
    sample_rate: int


def load_clip(track: Track, targets: Sequence[str], seconds: float = 0.0) -> Clip:
    """The middle ``seconds`` of a track with its references, or all of it for 0 (see ``load_references``)."""
    mixture, truth, rate = load_references(track, targets)
    part = middle(len(mixture), rate, seconds)
    return Clip(track.name, mixture[part], {name: stem[part] for name, stem in truth.items()}, rate)


def middle(num_samples: int, sample_rate: int, seconds: float) -> slice:
    """The middle ``seconds`` of so many samples; all of them for 0."""
    length = round(seconds * sample_rate) if seconds else num_samples
    start = max(0, (num_samples - length) // 2)
    return slice(start, start + length)


def load_references(track: Track, targets: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """A track's mixture, its true stems, and its rate in Hz.

    The stems are the targets and what is left, named as ``Separator`` names it. The mixture is
    the data set's own file where there is one, else the sum of the stems. A target that a track need
    not have is silent where it is missing.

    Raises:
      InputError: a target is missing, or stems differ in rate, channels or length.
    """
    stems = {name: track.load_stem(name) for name in track.stems}
    if not track.whole:  # a stem that ends early is silent from there on
        longest = max(len(audio) for audio, _ in stems.values())
        stems = {name: (files.fit_length(audio, longest), rate) for name, (audio, rate) in stems.items()}
        audio, rate = next(iter(stems.values()))
        stems.update({name: (np.zeros_like(audio), rate) for name in targets if name not in stems})
    mixture = files.load(track.mixture) if track.mixture else None
    loaded = [*stems.values(), *([mixture] if mixture else [])]
    forms = {(audio.shape, rate) for audio, rate in loaded}
    if len(forms) > 1:
        raise InputError(f"{track.name}: stems differ in length, channels or rate: {sorted(forms)}")
    total = mixture[0] if mixture else np.sum([audio for audio, _ in stems.values()], axis=0)
    missing = [name for name in targets if name not in stems]
    if missing:
        raise InputError(f"{track.name}: has no stem '{missing[0]}' (it has {', '.join(stems)})")
    truth = add_remainder(total, {name: stems[name][0] for name in targets})
    return total, truth, loaded[0][1]
