"""The notebook specs/book/tutorial.ipynb runs, and the stored outputs are those of a whole run."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from tests.book.tutorial import NOTEBOOK, execute


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    """In an empty folder and a kernel of its own; each cell asserts what its text states."""
    notebook = execute(tmp_path)
    pictures = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "image/png" in str(output)]
    assert len(pictures) >= 4
    assert (tmp_path / "runs").is_dir()


def test_the_stored_outputs_are_whole_and_small() -> None:
    """In the order of the cells; without errors, warnings, dates and paths of the machine that wrote them."""
    assert NOTEBOOK.stat().st_size < 300_000
    code = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    streams = [output for cell in code for output in cell.outputs if output.output_type == "stream"]
    assert {stream.name for stream in streams} == {"stdout"}
    assert not any(re.search(r"\b20\d\d-\d\d|/tmp/|/home/|site-packages", stream.text) for stream in streams)
    assert all(output.output_type != "error" for cell in code for output in cell.outputs)


def test_every_link_of_the_notebook_leads_somewhere() -> None:
    text = "\n".join(
        cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "markdown"
    )
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert links
    assert all((NOTEBOOK.parent / link).resolve().is_file() for link in links)
