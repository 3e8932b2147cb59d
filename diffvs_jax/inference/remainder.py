"""What is left of a mixture once its stems are taken out."""

from collections.abc import Mapping, Sequence

import numpy as np

VOCALS = "vocals"
INSTRUMENTAL = "instrumental"  # mixture minus vocals
REST = "rest"  # mixture minus all targets, where vocals are none of them


def stem_names(targets: Sequence[str]) -> tuple[str, ...]:
    """Names of all stems that a model with these targets gives."""
    return (*targets, INSTRUMENTAL if VOCALS in targets else REST)


def complete(mixture: np.ndarray, stems: Mapping[str, np.ndarray], sum_to_mixture: bool) -> dict[str, np.ndarray]:
    """The model's stems as they are handed out: with what is left, after ``separation.sum_to_mixture`` where asked."""
    if sum_to_mixture:
        lacking = (mixture - np.sum(list(stems.values()), axis=0)) / np.float32(len(stems))
        stems = {name: stem + lacking for name, stem in stems.items()}
    return add_remainder(mixture, stems)


def add_remainder(mixture: np.ndarray, stems: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Stems and what is left of the mixture: "instrumental" without vocals, or "rest" without all of them."""
    if VOCALS in stems:
        return {**stems, INSTRUMENTAL: mixture - stems[VOCALS]}
    rest = mixture
    for stem in stems.values():
        rest = rest - stem
    return {**stems, REST: rest}
