"""Two folders of scores and their reports, written once."""

import pytest

from diffvs_jax.evaluation.report.page import write_report
from tests.evaluation.report.fabricated import ODD_NAMES, write_scores, write_sweep


@pytest.fixture(scope="session")
def scores_folder(tmp_path_factory):
    """Two runs of four tracks with odd names, and a sweep. Leave it as it is."""
    folder = write_scores(tmp_path_factory.mktemp("scores"), better=0.5, excerpts=1)
    write_sweep(folder)
    return folder


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory):
    """Three of those tracks with lower scores of their middle seconds, one run. Leave it as it is."""
    folder = tmp_path_factory.mktemp("other")
    return write_scores(folder, ODD_NAMES[:3], (0,), excerpts=0, seconds=30.0, config="other", dtype="float64")


@pytest.fixture(scope="session")
def report(scores_folder, tmp_path_factory):
    """The report of the first folder."""
    return write_report(scores_folder, output=tmp_path_factory.mktemp("page") / "new" / "report.html")


@pytest.fixture(scope="session")
def compared(scores_folder, other_folder, tmp_path_factory):
    """The report of both."""
    return write_report(scores_folder, other_folder, tmp_path_factory.mktemp("page") / "compared.html")
