"""The notebook of the docs runs from its first cell to its last."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_and_gives_the_kinds_of_output_that_it_shows():
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    shown = nbformat.read(NOTEBOOK, 4)
    again = nbformat.read(NOTEBOOK, 4)
    folder = {"metadata": {"path": str(NOTEBOOK.parents[1])}}
    nbclient.NotebookClient(
        again, timeout=500, kernel_name="python3", resources=folder
    ).execute()
    assert kinds(again) == kinds(shown)


def kinds(notebook):
    """Of every cell, what its outputs are made of; warnings of the machine aside."""
    return [
        [
            sorted(output.get("data", {"text": ""}))
            for output in cell.outputs
            if output.get("name") != "stderr"
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_it_names_no_folder_of_the_machine_it_was_run_on():
    text = NOTEBOOK.read_text()
    assert json.loads(text)["nbformat"] == 4
    assert not any(
        f"{place}/" in text for place in ("/tmp", "/home", "/root", "/Users")
    )
