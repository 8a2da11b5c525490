"""Labelled texts from files for the data source ``text``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import zoo

__all__ = ["Texts", "from_files", "from_folder", "from_table"]


@dataclass(frozen=True)
class Texts:
    """Texts, none of them empty, and the label of each."""

    source: str
    """Name of the whole collection in messages."""
    description: str
    """Name of the collection in the description of the data set."""
    texts: Sequence[str]
    labels: Sequence[str]
    place: Callable[[int], str]
    """Returns the place of a text, by its index, which begins messages."""


def from_files(files: Mapping[str, str]) -> Texts:
    """Read a file for each label, with a text on each line.

    Args:
        files: the path by label.

    Raises:
        DataError: a file cannot be read or has no text, or a line between texts is empty.
    """
    texts: list[str] = []
    labels: list[str] = []
    places: list[str] = []
    for label, name in files.items():
        if not label.strip():
            raise zoo.DataError(f"data.files: the label of {name} is empty; give it a name")
        lines = _lines(Path(name))
        texts += lines
        labels += [label] * len(lines)
        places += [f"{name}:{number}" for number in range(1, len(lines) + 1)]
    if not texts:
        raise zoo.DataError("data.files: is empty, expected a file for each label")
    names = ", ".join(Path(name).name for name in files.values())
    return Texts("data.files", names, texts, labels, places.__getitem__)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file without surrounding white space; empty lines are allowed at the end only."""
    lines: list[str] = []
    empty = None
    with zoo.open_data(path) as stream:
        for number, line in enumerate(zoo.text_lines(path, stream), 1):
            if not line.strip():
                empty = empty or number
            elif empty:
                raise zoo.DataError(f"{path}:{empty}: is an empty line between texts; fill it or remove it")
            else:
                lines.append(line.strip())
    if not lines:
        raise zoo.DataError(f"{path}: contains no texts, expected one per line")
    return lines


def from_folder(folder: Path) -> Texts:
    """Read a folder with a folder for each label, in which each .txt file is a text.

    Raises:
        DataError: the folder or a file cannot be read, a file is empty, or a label has no file.
    """
    if fault := zoo.name_fault(folder):
        raise zoo.DataError(fault)
    try:
        labels = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        files = [(path, label.name) for label in labels for path in sorted(label.glob("*.txt"))]
    except OSError as error:
        raise zoo.DataError(
            f"{folder}: cannot be read ({error.strerror or error}), expected a folder that contains a folder for each "
            "label; correct data.folder"
        ) from error
    texts = []
    for path, _ in files:
        with zoo.open_data(path) as stream:
            texts.append("".join(zoo.text_lines(path, stream)).strip())
        if not texts[-1]:
            raise zoo.DataError(f"{path}: is empty, expected a text; fill it or remove it")
    if not files:
        raise zoo.DataError(f"{folder}: contains no texts, expected a folder for each label with .txt files in it")
    if lacking := {path.name for path in labels} - {label for _, label in files}:
        raise zoo.DataError(
            f"{folder / min(lacking)}: contains no .txt file; add one for each text or remove the folder"
        )
    paths = [str(path) for path, _ in files]
    return Texts(str(folder), folder.name, texts, [label for _, label in files], paths.__getitem__)


def from_table(path: Path, form: zoo.TextForm, label: str) -> Texts:
    """Read the texts and the labels of a table.

    Args:
        path: the file.
        form: the column of the texts, and the dialect.
        label: the column of the labels.

    Raises:
        DataError: the file is no table, lacks a column or has no rows, or a text or a label is missing.
    """
    table = zoo.read_table(path, form.dialect)
    table.require(form.column, "text")
    table.require(label, "label")
    columns = []
    for name in (form.column, label):
        cells = [cell or "" for cell in table.texts(name)]
        if "" in cells:
            raise zoo.DataError(
                f"{table.place(cells.index(''), name)}: {name!r} is empty; fill it in or remove the row"
            )
        columns.append(cells)
    texts, labels = columns
    return Texts(str(path), f"{path.name} ({table.summary})", texts, labels, lambda row: table.place(row, form.column))
