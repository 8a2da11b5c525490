"""A user's sequences from a file, of the kind that the model's signature has. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zoo.data.datafile import name_fault
from zoo.data.sequences import read_columns, read_sequences
from zoo.data.signature import Signature
from zoo.data.texts import read_texts
from zoo.errors import DataError


def read_inputs(path: Path, signature: Signature) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each sequence of a file after its name, such as ``x.npy[2]`` or ``x.txt:3``.

    Args:
        path: a .npy file with (time, features) or (sequences, time, features) numbers, a .csv file with one sequence
            and a step per row, both in the units of the training data; for a model of texts, a .txt file or the
            standard input, ``-``, with one text per line, or a table with the column of the training.
        signature: of the model. A sequence is (time, features) numbers, float32, or (time,) token ids, int64.

    Raises:
        DataError: the file does not fit the signature.
    """
    if fault := name_fault(path):  # before a reader is chosen by the file's suffix
        raise DataError(fault)
    if signature.tokenizer:
        yield from read_texts(path, signature)
    elif signature.columns and path.suffix.lower() == ".csv":
        yield str(path), read_columns(path, signature.columns, signature.window)
    else:
        sequences = read_sequences(path, signature.features)
        names = [f"{path}[{number}]" for number in range(len(sequences))] if len(sequences) > 1 else [str(path)]
        yield from zip(names, sequences, strict=True)
