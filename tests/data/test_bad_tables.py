"""Bad tables for the data source csv: each raises a one-line error that names the position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import zoo
from tests.data.common import error_of, parts, rewrites_files
from tests.data.test_data_csv import load, load_text

GOOD = "date,a,b\n" + "".join(f"2020-01-{day:02},{day},{day}.5\n" for day in range(1, 29))
SMALL: dict[str, Any] = {"targets": ("b",), "window": 2}


def with_line(number: int, line: str) -> str:
    lines = GOOD.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


COLUMNS = "columns: 'date', 'a', 'b'"
FILL = "or set data.missing to 'previous' or 'interpolate'"
BAD: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "empty": ("", {}, "{path}: is empty, expected a line with the names of the columns"),
    "empty lines alone": ("\n\n", {}, "{path}: is empty, expected a line with the names"),
    "header alone": ("date,a,b\n", {}, "{path}: has no rows below the names of its columns, expected at least one"),
    "no header": (GOOD.partition("\n")[2], {}, "{path}:1: contains no names of columns; add them as"),
    "header of gaps": (",NA,\n1,2,3\n", {}, "{path}:1: contains no names"),
    "names twice": ("a,b,a\n1,2,3\n", {}, "{path}:1:3: names a second column 'a'; rename one of them"),
    "binary": (b"date,a,b\n\x89PNG\r\n", {}, "{path}:2: is not UTF-8 text; give a text file saved as UTF-8"),
    "open quote": ('a,b\n1,"2\n', {}, "{path}:2: is not CSV: unexpected end of data; correct the line"),
    "empty line": (GOOD.replace("\n2020-01-03", "\n\n2020-01-03"), {}, "{path}:4: is an empty line between rows"),
    "row too short": (with_line(5, "2020-01-04,4"), {}, "{path}:5: columns: 2, expected 3 as in the first line"),
    "row too long": (with_line(5, "2020-01-04,4,4,4"), {}, "{path}:5: columns: 4, expected 3 as in the first line"),
    "an unusual separator": (
        GOOD.replace(",", "~"),
        {},
        "{path}: has no column 'b', which data.targets names; columns: 'date~a~b'",
    ),
    "no targets": (
        GOOD,
        {"targets": None},
        "data.targets: is required with data.file; name columns of {path} such as 'a', 'b'",
    ),
    "unknown target": (
        GOOD.replace("b\n", "Close\n"),
        {"targets": ("close",)},
        "{path}: has no column 'close' (did you mean 'Close'?), which data.targets names; columns: 'date', 'a', 'Clo",
    ),
    "unknown input": (GOOD, {"inputs": ("a", "x")}, "{path}: has no column 'x', which data.inputs names; " + COLUMNS),
    "unknown date": (GOOD, {"date": "day"}, "{path}: has no column 'day', which data.date names; " + COLUMNS),
    "many columns": (
        ",".join(f"n{i}" for i in range(2000)) + "\n" + ",".join(["1"] * 2000),
        {},
        "{path}: has no column 'b', which data.targets names; columns: 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', "
        "'n8', 'n9', 'n10', 'n11' and 1988 more",
    ),
    "input twice": (GOOD, {"inputs": ("a", "b", "a")}, "data.inputs: names the column 'a' twice; remove one of them"),
    "target twice": (GOOD, {"targets": ("b", "b")}, "data.targets: names the column 'b' twice; remove one of them"),
    "date as input": (GOOD, {"inputs": ("date",)}, "data.inputs: 'date' is the column of dates; name columns of"),
    "target in the window": (
        GOOD,
        {"inputs": ("a", "b"), "horizon": 0},
        "data.inputs: 'b' is also a target, and with a horizon of 0 the window contains it; remove it",
    ),
    "nothing to predict from": (
        GOOD,
        {"targets": ("a", "b"), "horizon": 0},
        "{path}: has no column of numbers besides the targets; add one to predict from",
    ),
    "a word": (
        with_line(9, "2020-01-08,8,x"),
        {},
        "{path}:9:3: 'x' is not a number; give one with",
    ),
    "a column of words": (
        GOOD.replace(".5", "x"),
        {},
        "{path}:2:3: '1x' is not a number; give one with",
    ),
    "underscore": (with_line(9, "2020-01-08,1_0,8"), {}, "{path}:9:2: '1_0' is not a number"),
    "cell with a line break": (with_line(9, '2020-01-08,"1\u2028\nx",8'), {}, "{path}:10:2: '1\\u2028\\nx' is not a"),
    "infinity": (with_line(9, "2020-01-08,8,-inf"), {}, "{path}:9:3: '-inf' is more than float32 can hold"),
    "too large": (
        with_line(9, "2020-01-08,8,1e39"),
        {},
        "{path}:9:3: '1e39' is more than float32 can hold",
    ),
    "missing cell": (with_line(9, "2020-01-08,8,"), {}, "{path}:9:3: 'b' is missing; fill it in " + FILL),
    "missing at first": (
        with_line(2, "2020-01-01,1,nan"),
        {"missing": "previous"},
        "{path}:2:3: 'b' is missing, and no number before it can fill the gap; fill it in or remove the row",
    ),
    "missing at first, lines": (
        with_line(2, "2020-01-01,1,nan"),
        {"missing": "interpolate"},
        "{path}:2:3: 'b' is missing, and no number before it can fill the gap",
    ),
    "missing at last": (
        with_line(29, "2020-01-28,28,nan"),
        {"missing": "interpolate"},
        "{path}:29:3: 'b' is missing, and no number after it can fill the gap",
    ),
    "no date": (with_line(9, "soon,8,8"), {}, "{path}:9:1: 'soon' is not a date; give one such as 2020-12-31 or"),
    "missing date": (with_line(9, ",8,8"), {}, "{path}:9:1: '' is not a date; give one such as 2020-12-31"),
    "no dates": (GOOD, {"date": "a"}, "{path}:2:2: '1' is not a date; give one such as 2020-12-31"),
    "date of no calendar": (with_line(9, "2020-02-30,8,8"), {}, "{path}:9:1: '2020-02-30' is not a date"),
    "date twice": (
        with_line(9, "2020-01-07,8,8"),
        {},
        "{path}:9:1: the date 2020-01-07 00:00:00 occurs twice; remove one of the rows, or name the column that",
    ),
    "date too early": (
        with_line(9, "2020-01-06,8,8"),
        {},
        "{path}:9:1: the date 2020-01-06 00:00:00 is not later than the date before it, 2020-01-07 00:00:00; sort the "
        "rows by date, as data.sort: true does",
    ),
    "one time zone": (
        with_line(9, "2020-01-08T00:00Z,8,8"),
        {},
        "{path}:9:1: '2020-01-08T00:00Z' has a time zone, and the first date has none; use one form",
    ),
    "every without dates": (
        GOOD.replace("date", "c"),
        {"every": "1d"},
        "{path}: has no dates such as 2020-12-31, which data.every needs; set data.date",
    ),
    "missing row": (
        GOOD.replace("2020-01-08,8,8.5\n", ""),
        {"every": "1d"},
        "{path}:9: rows missing before this row by data.every: 1; add them " + FILL,
    ),
    "between steps": (
        with_line(9, "2020-01-08 12:00,8,8"),
        {"every": "1d"},
        "{path}:9: 2020-01-08 12:00:00 lies between two steps counted from the first row; correct the date or",
    ),
    "weekend": (
        GOOD,
        {"every": "1 business day"},
        "{path}:5: 2020-01-04 00:00:00 is not a business day; correct the date or data.every",
    ),
    "business hours": (
        "date,a,b\n2020-01-01,1,1\n2020-01-02 01:00,1,1\n",
        {"every": "1 business day"},
        "{path}:3: 2020-01-02 01:00:00 is not at the first row's time of day; correct the date or data.every",
    ),
    "every too fine": (
        GOOD,
        {"every": "1s", "missing": "previous"},
        "{path}: by data.every 2,332,773 rows are missing between the 28 of the file; set data.every to the distance",
    ),
    "too many rows": (
        GOOD,
        {"train": 20, "validation": 5, "test": 5},
        "data.train: the parts exceed the 28 rows of {path}: train 20, validation 5, test 5; lower one of them",
    ),
    "shares above 1": (
        GOOD,
        {"train": 0.9},
        "data.train: the parts exceed the 28 rows of {path}: train 25, validation 4, test 4; lower one of them",
    ),
    "window too long": (
        GOOD,
        {"window": 20},
        "data.window: too few of the 28 rows of {path} for a window in each part: train 19, validation 4, test 5, "
        "expected at least 21 for train (window 20, horizon 1) and 1 for each other part; lower data.window or",
    ),
    "horizon too long": (
        GOOD,
        {"horizon": 5},
        "data.window: too few of the 28 rows of {path} for a window in each part: train 19, validation 4, test 5, "
        "expected at least 7 for train (window 2, horizon 5) and 5 for each other part; lower data.window or",
    ),
    "a part without rows": (
        GOOD,
        {"test": 0.005},
        "data.window: too few of the 28 rows of {path} for a window in each part: train 19, validation 4, test 0",
    ),
}


def message_of(folder: Path, content: str | bytes, fields: dict[str, Any]) -> str:
    message = error_of(lambda: load_text(folder, content, **{**SMALL, **fields}))
    assert len(message.replace(str(folder / "x.csv"), "")) < 300  # two lines and a half
    return message


@pytest.mark.parametrize(("content", "fields", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_tables(tmp_path: Path, content: str | bytes, fields: dict[str, Any], expected: str) -> None:
    assert len(load_text(tmp_path, GOOD, **SMALL).train) == 17
    assert message_of(tmp_path, content, fields).startswith(expected.format(path=tmp_path / "x.csv"))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(zoo.DataError, match="there is no such file"):
        load(tmp_path / "absent.csv", targets=("b",))


def test_unknown_columns_of_the_embedded_series() -> None:
    with pytest.raises(zoo.DataError, match=r"^the embedded prices: has no column 'Close' .did you mean 'close'"):
        load(targets=("Close",))


@rewrites_files
@given(
    st.one_of(st.binary(max_size=80), st.text('0123456789.,-:eE"\r\n daten_\x00\u2028', max_size=80).map(str.encode))
)
def test_any_table_gives_windows_or_one_line(tmp_path: Path, content: bytes) -> None:
    try:
        dataset = load_text(tmp_path, b"date,b\n" + content, targets=("b",), window=1, train=2, validation=1, test=1)
    except zoo.DataError as error:
        message = str(error)
    else:
        assert all(torch.isfinite(part.x).all() and torch.isfinite(part.y).all() for part in parts(dataset))
        return
    assert message.splitlines() == [message]
    assert str(tmp_path / "x.csv") in message
