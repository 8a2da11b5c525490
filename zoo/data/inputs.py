"""A user's sequences from a file, of the kind that the model's signature has. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zoo.data.datafile import name_fault
from zoo.data.preparation.form import Feature, TableForm
from zoo.data.preparation.predicting import last_windows
from zoo.data.recordings.form import RecordingForm
from zoo.data.recordings.inputs import prepared_recordings, recording_inputs
from zoo.data.recordings.read_tables import table_recordings
from zoo.data.sequences import read_array_file, read_sequences
from zoo.data.signature import Signature
from zoo.data.tables.read import read_table
from zoo.data.tables.table import Table
from zoo.data.texts import read_texts
from zoo.errors import DataError

Named = Iterator[tuple[str, NDArray[Any]]]
"""Sequences, each after its name."""
Notes = MutableMapping[str, str]
"""What the user must know of a sequence, by its name."""


def read_inputs(path: Path, signature: Signature, notes: Notes | None = None) -> Named:
    """Yield each sequence of a file after its name, such as ``x.npy[2]`` or ``x.txt:3``.

    Args:
        path: a table of any format of `zoo.data.tables`, or ``-`` for CSV from the standard input, in the units of the
            training data and prepared as these were; arrays (.npy, .npz), see `zoo.data.sequences`; for a model of
            recordings also a folder or a .ts file, see `zoo.data.recordings.inputs`; for a model of texts a .txt file
            or ``-`` with one text per line, or a table with the column of the training.
        signature: of the model. A sequence is (time, features) numbers, float32, or (time,) token ids, int64.
        notes: gets what the user must know of a sequence, by its name; also of one that is left out as too short.

    Raises:
        DataError: the file does not fit the signature.
    """
    if fault := name_fault(path):  # before a reader is chosen by the file's suffix
        raise DataError(fault)
    ending, form = path.suffix.lower(), table_form(signature)
    if isinstance(form, RecordingForm):
        yield from recording_inputs(path, form)
    elif signature.tokenizer:
        yield from read_texts(path, signature)
    elif ending == ".npz":
        yield from read_array_file(path, signature.features)
    elif form is not None and ending != ".npy":
        yield from table_inputs(read_table(path, form.dialect), form, notes)
    else:
        sequences = read_sequences(path, signature.features)
        names = [f"{path}[{number}]" for number in range(len(sequences))] if len(sequences) > 1 else [str(path)]
        yield from zip(names, sequences, strict=True)


def table_form(signature: Signature) -> TableForm | RecordingForm | None:
    """Return how tables become sequences of a model: by its form, else by the names of its columns; None without any.

    A model that was trained on arrays with names takes a value without a name as an unknown category, and refuses a
    missing number.
    """
    if signature.form is not None or not signature.columns:
        return signature.form
    categories = signature.categories or ((),) * len(signature.columns)
    features = tuple(
        Feature(name, "category" if names else "number", names)
        for name, names in zip(signature.columns, categories, strict=True)
    )
    return TableForm(features, window=signature.window, missing="mask")


def table_inputs(table: Table, form: TableForm | RecordingForm, notes: Notes | None = None) -> Named:
    """Yield the sequences of a table after their names: its source, with the group or recording in brackets.

    Args:
        table: one or many series or recordings.
        form: how it becomes sequences, see `table_form`.
        notes: see `read_inputs`.

    Raises:
        DataError: the table does not fit the form.
    """
    if isinstance(form, RecordingForm):
        recordings = table_recordings(table, form.reading)
        for name, steps in prepared_recordings(recordings, form):
            yield f"{table.source}[{name}]" if form.reading.sequence else table.source, steps
        return
    for window in last_windows(table, form):
        if window.note and notes is not None:
            notes[window.source] = window.note
        if window.x is not None:
            yield window.source, window.x
