import numpy as np
import pytest

from diffvs_jax.inference import remainder
from diffvs_jax.metrics import together

HEARD, SILENT = np.ones((4, 2)), np.zeros((4, 2))


@pytest.mark.parametrize(
    "stems, groups",
    [
        ("vocals instrumental", [["vocals", "instrumental"]]),
        ("bass rest", [["bass", "rest"]]),
        ("vocals bass drums instrumental", [["vocals", "instrumental"], ["vocals", "bass", "drums"]]),
        ("vocals -bass drums instrumental", [["vocals", "instrumental"], ["vocals", "drums"]]),
        ("bass -drums rest", [["bass", "rest"]]),
        ("-bass -drums -rest", []),
    ],
)
def test_stems_that_are_scored_together(stems, groups):
    references = {stem.removeprefix("-"): SILENT if stem.startswith("-") else HEARD for stem in stems.split()}
    assert together.scored_together(references) == groups


def test_stems_are_named_as_they_are_separated():
    assert (together.VOCALS, together.INSTRUMENTAL) == (remainder.VOCALS, remainder.INSTRUMENTAL)
