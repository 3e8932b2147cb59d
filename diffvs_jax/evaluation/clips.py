"""Music to score: a mixture and its true stems, decoded."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.data.tracks import SAME_LENGTH, Track
from diffvs_jax.errors import InputError
from diffvs_jax.inference.remainder import add_remainder


class Clip(NamedTuple):
    """Scored music: ``mixture [samples, channels]`` and its true stems by name."""

    name: str
    mixture: np.ndarray
    truth: dict[str, np.ndarray]
    sample_rate: int

    def middle(self, seconds: float) -> "Clip":
        """Its middle ``seconds``; all of it for 0."""
        truth = {name: middle(stem, self.sample_rate, seconds) for name, stem in self.truth.items()}
        return self._replace(mixture=middle(self.mixture, self.sample_rate, seconds), truth=truth)


def load_clip(track: Track, targets: Sequence[str], seconds: float = 0.0) -> Clip:
    """The middle ``seconds`` of a track with its references, or all of it for 0 (see ``load_references``)."""
    return Clip(track.name, *load_references(track, targets)).middle(seconds)


def middle(audio: np.ndarray, sample_rate: int, seconds: float) -> np.ndarray:
    """The middle ``seconds`` of ``[samples, channels]``, as a copy that lets go of the rest; all of it for 0."""
    length = round(seconds * sample_rate)
    if not 0 < length < len(audio):
        return audio
    start = (len(audio) - length) // 2
    return audio[start : start + length].copy()


def load_references(track: Track, targets: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """A track's mixture, its true stems, and its rate in Hz.

    The stems are the targets and what is left, named as ``Separator`` names it. The mixture is
    the data set's own file where there is one, else the sum of the stems. All are as long as that file, or as the
    longest stem. A target that a track need not have is silent where it is missing.

    Raises:
      InputError: a target is missing, or stems differ in rate, channels, or by more than ``SAME_LENGTH`` in length.
    """
    loaded = {name: track.load_stem(name) for name in track.stems}
    mixture = files.load(track.mixture) if track.mixture else None
    parts = [*loaded.values(), *([mixture] if mixture else [])]
    rate = _common_rate(track.name, parts)
    longest = max(len(audio) for audio, _ in loaded.values())
    length = len(mixture[0]) if mixture else longest
    # A stem that need not be whole is silent from where it ends.
    lengths = {length, longest, *(len(audio) for audio, _ in loaded.values() if track.whole)}
    if (difference := max(lengths) - min(lengths)) > SAME_LENGTH * rate:
        raise InputError(
            f"{track.name}: stems differ in length by {difference / rate:.2f} s; they may differ by {SAME_LENGTH} s"
        )
    stems = {name: files.fit_length(audio, length) for name, (audio, _) in loaded.items()}
    total = mixture[0] if mixture else np.sum(list(stems.values()), axis=0)
    if not track.whole:
        stems = dict.fromkeys(targets, np.zeros_like(total)) | stems
    missing = [name for name in targets if name not in stems]
    if missing:
        raise InputError(f"{track.name}: has no stem '{missing[0]}' (it has {', '.join(stems)})")
    return total, add_remainder(total, {name: stems[name] for name in targets}), rate


def _common_rate(name: str, parts: Sequence[tuple[np.ndarray, int]]) -> int:
    forms = {(audio.shape[1], rate) for audio, rate in parts}
    if len(forms) > 1:
        raise InputError(f"{name}: stems differ in channels or rate: {sorted(forms)}")
    return parts[0][1]
