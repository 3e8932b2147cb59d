from pathlib import Path

import numpy as np

from tests.metrics import definitions

DOC = Path(__file__).parents[2] / "docs" / "metrics.md"
ROUNDED = 0.011  # dB: two decimals, and what decoders of the excerpt may differ by
TESTED = slice(0, None, 3)  # the other rows would take seconds


def documented():
    """Error to the numbers of its row in the doc's table."""
    block = DOC.read_text().split("```")[-2].strip("\n").splitlines()
    width = len(block[1].split("  ")[0])
    assert block[0].split() == definitions.HEADER
    return {line[:width].rstrip(): [float(cell) for cell in line[width:].split()] for line in block[2:]}


def test_the_docs_table_holds_our_scores():
    truth, mixture, rate = definitions.song()
    errors = definitions.errors(truth["vocals"], truth["instrumental"], rate)
    rows = documented()
    assert list(errors) == list(rows)
    methods = definitions.with_instrumental(dict(list(errors.items())[TESTED]), mixture)
    for name, scores in definitions.our_scores(truth, methods, mixture, rate).items():
        expected = rows[name][: len(definitions.OURS)]
        np.testing.assert_allclose(definitions.shown(scores), expected, rtol=0, atol=ROUNDED, err_msg=name)
