"""A user's sequences from a file, of the kind that the model's signature has. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zoo.data.datafile import name_fault
from zoo.data.preparation.predicting import last_windows
from zoo.data.recordings.form import RecordingForm
from zoo.data.recordings.inputs import recording_inputs
from zoo.data.sequences import read_columns, read_sequences
from zoo.data.signature import Signature
from zoo.data.tables.read import read_table
from zoo.data.texts import read_texts
from zoo.errors import DataError

ARRAY_ENDINGS = (".npy",)
"""Endings of files with arrays: sequences of features as the model takes them, without a table's preparation."""


def read_inputs(
    path: Path, signature: Signature, notes: MutableMapping[str, str] | None = None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each sequence of a file after its name, such as ``x.npy[2]`` or ``x.txt:3``.

    Args:
        path: a .npy file with (time, features) or (sequences, time, features) numbers; a table, such as a .csv file,
            with a row for each step, in the units of the training data; for a model of texts, a .txt file or the
            standard input, ``-``, with one text per line, or a table with the column of the training.
        signature: of the model. A sequence is (time, features) numbers, float32, or (time,) token ids, int64.
        notes: gets what the user must know of a sequence, by its name; also of one that is left out as too short.

    Raises:
        DataError: the file does not fit the signature.
    """
    if fault := name_fault(path):  # before a reader is chosen by the file's suffix
        raise DataError(fault)
    if isinstance(signature.form, RecordingForm):
        yield from recording_inputs(path, signature.form)
    elif signature.tokenizer:
        yield from read_texts(path, signature)
    elif signature.form is not None and path.suffix.lower() not in ARRAY_ENDINGS:
        for window in last_windows(read_table(path, signature.form.dialect), signature.form):
            if window.note and notes is not None:
                notes[window.source] = window.note
            if window.x is not None:
                yield window.source, window.x
    elif signature.columns and path.suffix.lower() == ".csv":
        yield str(path), read_columns(path, signature.columns, signature.window)
    else:
        sequences = read_sequences(path, signature.features)
        names = [f"{path}[{number}]" for number in range(len(sequences))] if len(sequences) > 1 else [str(path)]
        yield from zip(names, sequences, strict=True)
