"""Notebooks run from top to bottom with a nano model, and are stored without outputs."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "colab"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebook_is_stored_without_outputs(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert cell["cell_type"] == "markdown" or (not cell["outputs"] and cell["execution_count"] is None)


@pytest.mark.filterwarnings("default")  # the kernel's own libraries warn
def test_separate_shows_a_song_and_its_stems(trained, tmp_path):
    notebook = nbformat.read(FOLDER / "separate.ipynb", as_version=4)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source += f"\nCHECKPOINT = {str(trained.workdir)!r}\nOUTPUT = {str(tmp_path)!r}\n"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": FOLDER}}).execute()
    shown = [kind for cell in notebook.cells for out in cell.get("outputs", []) for kind in out.get("data", {})]
    assert shown.count("image/png") == 1
    assert shown.count("text/html") == 3  # players: mixture, vocals, instrumental
    assert {file.name for file in tmp_path.iterdir()} == {"vocals.wav", "instrumental.wav", "spectrogram.png"}
