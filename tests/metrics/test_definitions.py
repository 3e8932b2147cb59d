from pathlib import Path

import numpy as np
import pytest

from diffvs_jax.metrics.bss_eval import museval_frames
from diffvs_jax.metrics.ratios import median
from tests.metrics import definitions

DOC = Path(__file__).parents[2] / "docs" / "metrics.md"
ROUNDED = 0.011  # dB: two decimals, and what decoders of the excerpt may differ by


@pytest.fixture(scope="module")
def case():
    truth, mixture, rate = definitions.song()
    errors = definitions.errors(truth["vocals"], truth["instrumental"], rate)
    return truth, definitions.with_instrumental(errors, mixture), mixture, rate


@pytest.fixture(scope="module")
def documented():
    """Error to the numbers of its row in the doc's table."""
    block = DOC.read_text().split("```")[-2].strip("\n").splitlines()
    width = len(block[1].split("  ")[0])
    assert block[0].split() == definitions.HEADER
    return {line[:width].rstrip(): [float(cell) for cell in line[width:].split()] for line in block[2:]}


def test_the_docs_table_holds_our_scores(case, documented):
    truth, methods, mixture, rate = case
    found = definitions.our_scores(truth, methods, mixture, rate)
    assert list(found) == list(documented)
    for name, scores in found.items():
        expected = documented[name][: len(definitions.OURS)]
        np.testing.assert_allclose(definitions.shown(scores), expected, rtol=0, atol=ROUNDED, err_msg=name)


def test_the_docs_table_holds_musevals(case, documented):
    truth, methods, _, rate = case
    name = "accompaniment at -10 dB"
    found = museval_frames(*(np.stack(list(stems.values())) for stems in (truth, methods[name])), rate)
    scores = definitions.shown([float(median(frames[0])) for frames in found])
    csdr, isr, sir, sar = (documented[name][column] for column in (0, 5, 6, 7))
    np.testing.assert_allclose(scores, [csdr, isr, sir, sar], rtol=0, atol=ROUNDED)
