"""Execution of the notebook specs/book/tutorial.ipynb: ``python -m tests.book.tutorial`` writes its outputs anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.paths import ROOT

NOTEBOOK = ROOT / "specs" / "book" / "tutorial.ipynb"


def execute(folder: Path) -> NotebookNode:
    """Run the notebook in an empty folder and return it with its outputs, of which nothing depends on the date.

    Raises:
        CellExecutionError: a cell raises, also where one of its assertions does not hold.
    """
    notebook: NotebookNode = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata["language_info"] = {"name": "python"}  # without the version
    return notebook


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(execute(Path(folder)), NOTEBOOK)


if __name__ == "__main__":
    main()
