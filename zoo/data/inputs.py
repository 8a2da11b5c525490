"""A user's sequences, from a file or from memory, of the kind that the model's signature has. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite, require_kind, to_float32, to_tokens
from zoo.data.categories import require_ids
from zoo.data.datafile import name_fault
from zoo.data.preparation.predicting import last_windows
from zoo.data.recordings.form import RecordingForm
from zoo.data.recordings.inputs import recording_inputs
from zoo.data.sequences import read_columns, read_sequences
from zoo.data.signature import Signature
from zoo.data.tables.read import read_table
from zoo.data.texts import read_texts, text_ids
from zoo.errors import DataError

ARRAY_ENDINGS = (".npy",)
"""Endings of files with arrays: sequences of features as the model takes them, without a table's preparation."""


def read_inputs(
    path: Path, signature: Signature, notes: MutableMapping[str, str] | None = None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each sequence of a file after its name, such as ``x.npy[2]`` or ``x.txt:3``.

    Args:
        path: a .npy file with (time, features) or (sequences, time, features) numbers; a table, such as a .csv file,
            with a row for each step, in the units of the training data; or a .txt file with one text per line. For a
            model of recordings also a folder, a .npz or a .ts file, see `zoo.data.recordings.inputs`.
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
        texts = read_texts(path, signature)
        yield from ((f"{path}:{number}", text) for number, text in enumerate(texts, 1))
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


def as_steps(
    sequence: str | NDArray[Any], signature: Signature, where: str, *, allow_nonfinite: bool = False, advice: str = ""
) -> NDArray[Any]:
    """Return a sequence in memory as (time, features) numbers, float32, or (time,) token ids, int64.

    Args:
        sequence: an array, nested lists of numbers, or a text.
        signature: of the model.
        where: name of the sequence, which begins the message of an error.
        allow_nonfinite: whether NaN and infinities are accepted.
        advice: what to do about such a value, at the end of the message.

    Raises:
        DataError: the sequence does not fit the signature.
    """
    if isinstance(sequence, str):
        if not signature.tokenizer:
            raise DataError(f"{where}: is a text, and this model takes numbers; give an array")
        return text_ids(sequence, signature, where)
    values = as_array(sequence, where)
    features = signature.features
    expected = f"(time, {features})" if features else "(time,)"
    axes = 2 if features else 1
    if values.ndim != axes or (features and values.shape[1] != features) or len(values) == 0:
        hint = "; where x is one sequence, put it in a list: [x]" if values.ndim == axes - 1 else ""
        raise DataError(f"{where}: has the shape {values.shape}, expected {expected} with at least one step{hint}")
    require_kind(values.dtype, where, tokens=not features)
    if not features:
        return to_tokens(values, len(signature.vocabulary), lambda at: f"{where}, step [{at[0]}]")

    def place(at: tuple[int, ...]) -> str:
        return f"{where}, step [{at[0]}], feature [{at[1]}]"

    narrow = to_float32(values)
    if not allow_nonfinite:
        require_finite(narrow, values, place, advice=advice)
    return require_ids(narrow, signature, place)
