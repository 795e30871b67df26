"""The notebook runs from top to bottom, on a smaller set."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.checkout import CHECKOUT

pytestmark = pytest.mark.slow

NOTEBOOK = CHECKOUT / "main.ipynb"


def test_every_cell_runs(tmp_path: Path, toy_root: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += (
        f"\nEPOCHS, TRAIN_IMAGES, TEST_IMAGES = 3, 10, 5\nDATA, LOGS = {str(toy_root)!r}, {str(tmp_path)!r}"
    )
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(CHECKOUT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if {"image/jpeg", "image/png"} & set(output.get("data", {}))]
    assert len(pictures) == 7
    assert (tmp_path / "notebook/version_0/test/report.html").is_file()
    texts = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert not texts  # which notebooks show in red


def test_what_is_committed_was_executed_and_is_small() -> None:
    assert NOTEBOOK.stat().st_size < 1_000_000
    assert str(CHECKOUT) not in NOTEBOOK.read_text()
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
