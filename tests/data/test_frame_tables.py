"""Data frames of any library as tables: types, missing values, an index, and what cannot be used."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import zoo
from tests.data.common import error_of
from zoo.data.frame_tables import frame_table
from zoo.data.in_memory import given_sequences

COLUMNS: dict[str, list[Any]] = {
    "when": [datetime(2024, 1, 1, 13, tzinfo=UTC), datetime(2024, 1, 2, 13, tzinfo=UTC)],
    "day": [date(2024, 1, 1), date(2024, 1, 2)],
    "load": [1, None],
    "kind": ["x", None],
    "open": [True, None],
    "mixed": ["x", 1],
}


class Stream:
    """An object with an Arrow stream and nothing else."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


class Index:
    names = ("day",)


class Indexed:
    """A frame like those of pandas: arrays of objects, and a column that is the index until it is reset."""

    def __init__(self, columns: dict[str, list[Any]], *, reset: bool = False) -> None:
        self.columns = [name for name in columns if reset or name != "day"]
        self.index = None if reset else Index()
        self._columns = columns

    def reset_index(self) -> Indexed:
        return Indexed(self._columns, reset=True)

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return np.array([np.nan if value is None else value for value in self._columns[name]], object)


class Batch:
    """A table like those of pyarrow without its stream: names in column_names, and columns that are no names."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.column_names = list(columns)
        self.columns = [np.array(values, object) for values in columns.values()]

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self.columns[self.column_names.index(name)]


FRAMES: dict[str, Any] = {
    "columns": COLUMNS,
    "polars": pl.DataFrame(COLUMNS, strict=False),
    "stream": Stream(pl.DataFrame(COLUMNS, strict=False)),
    "pandas": Indexed(COLUMNS),
    "pyarrow": Batch(COLUMNS),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_of_any_library_is_a_table(kind: str) -> None:
    table = frame_table(FRAMES[kind], "x")
    assert sorted(table.names) == sorted(COLUMNS)
    assert len(table) == 2
    np.testing.assert_array_equal(table.numbers("load"), [1, np.nan])
    assert table.texts("kind") == ["x", None]
    assert table.texts("open") == ["true", None]
    assert table.texts("mixed") == ["x", "1"]
    assert table.dates("when").astype(str).tolist() == ["2024-01-01T13:00:00.000000", "2024-01-02T13:00:00.000000"]
    assert table.dates("day").astype("datetime64[D]").astype(str).tolist() == ["2024-01-01", "2024-01-02"]
    assert table.place(1, "load") == "x[1]:load"


def test_a_structured_array_is_a_table() -> None:
    values = np.array([(1.5, "2024-01-01", "x")], [("load", "f2"), ("day", "M8[D]"), ("kind", "U1")])
    table = frame_table(values, "x")
    assert table.numbers("load").tolist() == [1.5]
    assert [table.kind(name) for name in table.names] == ["number", "date", "text"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"a": [1], "b": [1, 2]}, "x: has columns of different lengths: a 1, b 2"),
        ({"a": [[1, 2]]}, "x, column 'a': has the shape (1, 2), expected a value for each row"),
        ({"a": []}, "x: has no rows, expected at least one"),
        (Batch({}), "x: has no columns, expected those of the training data"),
    ],
)
def test_frames_that_are_no_tables(frame: Any, message: str) -> None:
    assert error_of(lambda: frame_table(frame, "x")) == message


def test_texts_of_a_frame() -> None:
    signature = zoo.Signature(vocabulary=("<unknown>", "bad", "not"), tokenizer="words", labels=("a", "b"))
    given = given_sequences([pl.DataFrame({"id": [7, 8], "text": ["not bad", None]}), "bad"], signature)
    assert [(each.name, each.value) for each in given] == [("[0][0]", "not bad"), ("[0][1]", ""), ("[1]", "bad")]
