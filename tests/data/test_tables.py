"""Tables: odd files give the right cells or one line that names the place; polars and the csv module agree."""

from __future__ import annotations

import csv
import gzip
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import zoo
from tests.data.common import error_of, rewrites_files
from zoo.data.tables.csv_table import _exact, _fast, read_csv
from zoo.data.tables.table import Source, Table

NAN = float("nan")


def table_of(content: str | bytes, **dialect: Any) -> zoo.Table:
    return read_csv("x.csv", content if isinstance(content, bytes) else content.encode(), zoo.Dialect(**dialect))


# (content, dialect, the numbers of column b, what the summary begins with)
GOOD: dict[str, tuple[str | bytes, dict[str, Any], list[float], str]] = {
    "commas": ("a,b\n1,2\n", {}, [2], "separated by commas; 1 row"),
    "semicolons": ("a;b\nx;2.5\n", {}, [2.5], "separated by semicolons; 1 row"),
    "tabs": ("a\tb\nx, y\t2\n", {}, [2], "separated by tabs; 1 row"),
    "vertical bars": ("a|b\n1|2\n", {}, [2], "separated by vertical bars; 1 row"),
    "a separator that is stated": ("a~b\n1~2\n", {"separator": "~"}, [2], "separated by '~'; 1 row"),
    "a separator inside of cells": ('a;b\n"1;2";3\n', {}, [3], "separated by semicolons; 1 row"),
    "commas in names": ("a, in m;b\n1;2\n3;4\n", {}, [2, 4], "separated by semicolons; 2 rows"),
    "decimal comma": ("a;b\n1;2,5\n2;-0,25\n", {}, [2.5, -0.25], "separated by semicolons, decimal comma; 2 rows"),
    "decimal comma, one decides": ("a;b\n1,5;2,123\n", {}, [2.123], "separated by semicolons, decimal comma; 1 row"),
    "decimal comma, groups": ("b;a\n1.234.567,8;1\n1.000;2\n", {}, [1234567.8, 1000], "separated by semicolons, decim"),
    "decimal comma after nought": ("b;a\n0,123;1\n", {}, [0.123], "separated by semicolons, decimal comma; 1 row"),
    "decimal comma in quotes": ('a,b\n1,"2,5"\n', {}, [2.5], "separated by commas, decimal comma; 1 row"),
    "decimal comma with exponent": ("b;a\n1,5e3;1\n", {}, [1500], "separated by semicolons, decimal comma; 1 row"),
    "groups of three": ('a,b\n1,"1,234.5"\n2,"1,234"\n', {}, [1234.5, 1234], "separated by commas, digits in groups"),
    "millions": ('a,b\n1,"1,234,567"\n', {}, [1234567], "separated by commas, digits in groups of three; 1 row"),
    "decimal stated": ("b;a\n1,234;1\n", {"decimal": ","}, [1.234], "separated by semicolons, decimal comma; 1 row"),
    "thousands stated": ("b;a\n1,234;1\n", {"thousands": ","}, [1234], "separated by semicolons, digits in groups"),
    "thousands with apostrophes": ("b;a\n1'234.5;1\n", {"thousands": "'"}, [1234.5], "separated by semicolons"),
    "thousands with spaces": ("b;a\n1\u202f234,5;1\n", {"thousands": " "}, [1234.5], "separated by semicolons, decim"),
    "names are no decimals": ("a;b\nSmith, J;2.5\n", {}, [2.5], "separated by semicolons; 1 row"),
    "UTF-8 with a mark": (b"\xef\xbb\xbfa,b\n1,2\n", {}, [2], "separated by commas; 1 row"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), {}, [2], "separated by commas, encoded as UTF-16; 1 row"),
    "cp1252 stated": (b"\xe9,b\n1,2\n", {"encoding": "cp1252"}, [2], "separated by commas, encoded as CP1252; 1 row"),
    "UTF-8 stated, with a mark": (b"\xef\xbb\xbfb,a\n1,2\n", {"encoding": "utf8"}, [1], "separated by commas; 1 row"),
    "lines of Windows": ("a,b\r\n1,2\r\n\r\n", {}, [2], "separated by commas; 1 row"),
    "no line break at the end": ("a,b\n1,2", {}, [2], "separated by commas; 1 row"),
    "empty lines at the end": ("a,b\n1,2\n\n\n", {}, [2], "separated by commas; 1 row"),
    "one column": ("b\n1\nNA\n", {}, [1, NAN], "separated by commas; 2 rows"),
    "line breaks in cells": ('a,b\n"x\ny",2\n', {}, [2], "separated by commas; 1 row"),
    "quotes in quotes": ('a,b\n"x ""y""",2\n', {}, [2], "separated by commas; 1 row"),
    "quotes within a cell": ('a,b\n5" pipe,2\n6" pipe,3\n', {}, [2, 3], "separated by commas; 2 rows"),
    "spaces and signs": ("a,b\n1, +2e0 \n1,-.5\n", {}, [2, -0.5], "separated by commas; 2 rows"),
    "marks of missing numbers": ("a,b\n1,NA\n1,\n1,n/a\n1,None\n1,2\n", {}, [NAN] * 4 + [2], "separated by commas"),
    "null values stated": ("a,b\n1,-999\n1,\n1,2\n", {"null_values": ("-999",)}, [NAN, NAN, 2], "separated by commas"),
    "a huge integer": ("a,b\n1,123456789012345678901234567890\n", {}, [1.2345678901234568e29], "separated by commas"),
    "the last digit": ("a,b\n1,0.1000000000000000055511151231257827\n", {}, [0.1], "separated by commas; 1 row"),
}

BAD: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "empty": ("", {}, "x.csv: is empty, expected a line with the names of the columns and rows below it"),
    "a mark alone": (b"\xef\xbb\xbf", {}, "x.csv: is empty, expected a line with the names"),
    "header alone": ("a;b\n", {}, "x.csv: has no rows below the names of its columns, expected at least one"),
    "numbers as header": ("1;2,5\n3;4,5\n", {"separator": ";"}, "x.csv:1: contains no names of columns; add them as"),
    "dates as header": ("31.12.2020;1\n1.1.2021;2\n", {}, "x.csv:1: contains no names of columns"),
    "a hint for Excel": ("sep=;\na;b\n1;2\n", {}, "x.csv:1: is a hint for Excel, expected the names of the columns"),
    "names twice": ("a,a\n1,2\n", {}, "x.csv:1:2: names a second column 'a'; rename one of them"),
    "two separators": (
        "a;b,c\n1;2,3\n",
        {},
        "x.csv:1: may be separated by commas (2 columns) or semicolons (2 columns)",
    ),
    "one group": (
        "b;a\n5;1\n1,234;1\n",
        {},
        "x.csv:3:1: '1,234' may be 1.234 or 1234; set data.decimal to ',' or to '.'",
    ),
    "one group with a point": (
        "a;b\n1,5;2.500\n",
        {},
        "x.csv:2:2: '2.500' may be 2.500 or 2500; set data.decimal to '.'",
    ),
    "both decimals": (
        "b;a\n1,5;1\n1,234.5;1\n",
        {},
        "x.csv:2:1: '1,5' may be 1.5 or 15; set data.decimal to ',' or to",
    ),
    "groups of two": ("b;a\n1'23;1\n", {"thousands": "'"}, 'x.csv:2:1: "1\'23" is not a number'),
    "row too short": ("b,a\n1\n1,2\n", {}, "x.csv:2: columns: 1, expected 2 as in the first line"),
    "row too long": ("b,a\n1,2\n1,2,\n", {}, "x.csv:3: columns: 3, expected 2 as in the first line"),
    "long and short": ("b,a\n1\n1,2,", {}, "x.csv:2: columns: 1, expected 2 as in the first line"),
    "an empty line": ("b\n1\n\n2\n", {}, "x.csv:3: is an empty line between rows; fill it or remove it"),
    "open quote": ('b,a\n1,"2\n3,4\n', {}, "x.csv:3: is not CSV: unexpected end of data; correct the line"),
    "text after a quote": ('b,a\n"1"2,3\n', {}, "x.csv:2: is not CSV: ',' expected after '\"'; correct the line"),
    "lines of old Macs": ("b,a\r1,2\r", {}, "x.csv:1: is not CSV: new-line character seen in unquoted field"),
    "NUL": ("b,a\n1,\0\n", {}, "x.csv:2: contains a NUL byte; for UTF-16 text set data.encoding, such as utf-16-le"),
    "UTF-16 without a mark": ("b,a\n1,2\n".encode("utf-16-le"), {}, "x.csv:1: contains a NUL byte"),
    "cp1252": (
        b"b,a\n1,\xe9\n",
        {},
        "x.csv:2: is not UTF-8 text; give a text file saved as UTF-8, or set data.encoding, s",
    ),
    "another encoding": (b"b\n\x81\n", {"encoding": "cp1252"}, "x.csv:2: is not text in cp1252; correct data.encoding"),
    "no encoding": (
        "b\n1\n",
        {"encoding": "x"},
        "data.encoding: 'x' is no encoding that Python knows; give one such as",
    ),
    "an encoding of bytes": ("b\n1\n", {"encoding": "zlib"}, "data.encoding: 'zlib' is no encoding that Python knows"),
    "a word": ("a;b\n1,5;2\n", {"decimal": "."}, "x.csv:2:1: '1,5' is not a number"),
    "below a line break": ('b,a\n1,"x\ny"\nw,z\n', {}, "x.csv:4:1: 'w' is not a number; give one with a decimal point"),
    "infinity": ("a,b\n1,-inf\n", {}, "x.csv:2:2: '-inf' is more than float32 can hold; replace it"),
    "too large": ("a,b\n1,1e39\n", {}, "x.csv:2:2: '1e39' is more than float32 can hold; replace it"),
    "underscores": ("a,b\n1,1_0\n", {}, "x.csv:2:2: '1_0' is not a number"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", {}, "x.csv:3: contains a NUL byte"),
}


@pytest.mark.parametrize(("content", "dialect", "numbers", "summary"), GOOD.values(), ids=GOOD.keys())
def test_odd_files(content: str | bytes, dialect: dict[str, Any], numbers: list[float], summary: str) -> None:
    table = table_of(content, **dialect)
    assert table.summary.startswith(summary)
    assert table.kind("b") == "number"
    np.testing.assert_array_equal(table.numbers("b"), np.array(numbers, np.float64), strict=True)
    assert len(table.take(np.array([0, 0]))) == 2


@pytest.mark.parametrize(("content", "dialect", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_files(content: str | bytes, dialect: dict[str, Any], expected: str) -> None:
    def read() -> None:
        table = table_of(content, **dialect)
        for name in table.names:
            table.numbers(name)

    message = error_of(read)
    assert message.startswith(expected)
    assert len(message) < 250


# Kinds, texts, places


def test_kinds() -> None:
    table = table_of("n,m,w,b,d,e\n1,1,a,True,2020-01-01,\n2,x,3,false,2020-01-02,NA\n")
    assert [table.kind(name) for name in table.names] == ["number", "number", "number", "boolean", "date", "text"]
    assert error_of(lambda: table.numbers("m")).startswith("x.csv:3:2: 'x' is not a number")


def test_texts_keep_words_that_mark_missing_numbers() -> None:
    table = table_of("a,b\n NA ,1\n,2\n-,3\n", null_values=("-",))
    assert table.texts("a") == ["NA", None, None]


def test_places_stay_with_the_rows() -> None:
    table = table_of('a,b\n"x\ny",1\nz,2\nz,w\n').take(np.array([2, 1]))
    assert [table.place(0), table.place(1, "b")] == ["x.csv:5", "x.csv:4:2"]
    assert error_of(lambda: table.numbers("b")) == (
        "x.csv:5:2: 'w' is not a number; give one with a decimal point, such as 0.5"
    )
    assert error_of(lambda: table.require("B", "text")) == (
        "x.csv: has no column 'B', which data.text names; columns: 'a', 'b'"
    )


def test_marks_of_a_part_are_those_of_the_whole() -> None:
    table = table_of("a;b\n1,234;1\n1,5;2\n").take(np.array([0]))
    assert table.numbers("a").tolist() == [1.234]


def test_the_fields_of_a_spec() -> None:
    config = zoo.TableConfig(separator=";", decimal=",", null_values=("-",), date_format="%d.%m.%Y", zone="Asia/Tokyo")
    assert config.dialect() == zoo.Dialect(";", ",", None, None, ("-",))
    assert config.date_form() == zoo.DateForm("%d.%m.%Y", "Asia/Tokyo")


@pytest.mark.parametrize(
    "field",
    [
        {"date_format": "%Q"},
        {"date_format": "%d.%m."},
        {"separator": ";;"},
        {"decimal": ";"},
        {"separator": '"'},
        {"decimal": ",", "thousands": ","},
    ],
)
def test_fields_that_are_refused(field: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        zoo.TableConfig(**field)  # type: ignore[arg-type]


# Other formats

FRAME = pl.DataFrame({"n": [1, None, 3], "t": ["x", None, "y"], "b": [True, False, None]})
DAYS = FRAME.with_columns(d=pl.Series(["2020-01-01", "2020-01-02", "2020-01-03"]).str.to_date())


@pytest.mark.parametrize(
    "name", ["x.parquet", "x.arrow", "x.feather", "x.ipc", "x.jsonl", "x.csv", "x.tsv", "x.csv.gz"]
)
def test_formats(tmp_path: Path, name: str) -> None:
    stream = io.BytesIO()
    writers: dict[str, Any] = {".parquet": DAYS.write_parquet, ".arrow": DAYS.write_ipc, ".feather": DAYS.write_ipc}
    writers |= {
        ".ipc": DAYS.write_ipc_stream,
        ".jsonl": DAYS.write_ndjson,
        ".csv": DAYS.write_csv,
        ".gz": DAYS.write_csv,
    }
    if name.endswith(".tsv"):
        DAYS.write_csv(stream, separator="\t")
    else:
        writers[Path(name).suffix](stream)
    content = stream.getvalue()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    table = zoo.read_table(tmp_path / name)
    assert table.names == ("n", "t", "b", "d")
    assert [table.kind(column) for column in table.names] == ["number", "text", "boolean", "date"]
    np.testing.assert_array_equal(table.numbers("n"), [1, NAN, 3])
    assert table.texts("t") == ["x", None, "y"]
    assert table.texts("b") == ["true", "false", None]
    assert table.dates("d").astype("datetime64[D]").astype(str).tolist() == ["2020-01-01", "2020-01-02", "2020-01-03"]
    place = {".parquet": "[2]:n", ".jsonl": ":3:n"}.get(Path(name).suffix)
    assert place is None or table.place(2, "n") == f"{tmp_path / name}{place}"


def test_json_lines_with_empty_lines_and_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n{"a": NaN, "b": "x"}\r\n')
    table = zoo.read_table(path)
    np.testing.assert_array_equal(table.numbers("a"), [1, NAN])
    assert table.texts("b") == [None, "x"]
    assert table.place(1) == f"{path}:3"


BAD_FORMATS: dict[str, tuple[str, bytes, str]] = {
    "no JSON": ("x.jsonl", b'{"a": 1}\n{"a": \n', ":2: is not JSON; write one object such as"),
    "no object": ("x.jsonl", b'{"a": 1}\n5\n', ":2: is no JSON object; write one such as"),
    "an array": ("x.jsonl", b'[{"a": 1}]', ":1: is no JSON object"),
    "mixed": (
        "x.ndjson",
        b'{"a": true}\n{"a": 2}\n',
        ":2: 'a' is a number, and true or false in a line before; use one",
    ),
    "huge": ("x.jsonl", b'{"a": 1' + 44 * b"0" + b"}\n", ":1:a: '1e+44' is more than float32 can hold; replace it"),
    "beyond floats": ("x.jsonl", b'{"a": 1' + 400 * b"0" + b"}\n", ":1:a: 'inf' is more than float32 can hold"),
    "a name of two lines": (
        "x.jsonl",
        b'{"a\\n": 1}\n{"a\\n": true}\n',
        ":2: 'a\\n' is true or false, and a number in a",
    ),
    "nested": ("x.jsonl", b'{"a": [1]}\n', ":1:a: contains List(Int64), expected numbers; name another column"),
    "empty objects": ("x.jsonl", b"{}\n", ": is empty, expected named columns with at least one row"),
    "empty": ("x.jsonl", b"", ": is empty, expected named columns"),
    "not UTF-8": ("x.jsonl", b'{"a": "\xff"}\n', ":1: is not UTF-8 text"),
    "no Parquet": ("x.parquet", b"PAR1junkPAR1", ": is not a complete Parquet file; write it again, or name it after"),
    "empty Parquet": ("x.parquet", b"", ": is not a complete Parquet file"),
    "no Arrow": ("x.arrow", b"ARROW1\0\0junk", ": is not a complete Arrow file"),
    "pickled": ("x.parquet", pickle.dumps({"a": 1}), ": is not a complete Parquet file"),
    "no gzip": ("x.csv.gz", b"a,b\n1,2\n", ": is not a complete gzip file"),
    "half a gzip": ("x.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-6], ": is not a complete gzip file"),
    "another ending": (
        "x.xlsx",
        b"PK",
        ": has the ending '.xlsx', expected .csv, .tsv, .txt, .parquet, .arrow, .feather,",
    ),
}


@pytest.mark.parametrize(("name", "content", "expected"), BAD_FORMATS.values(), ids=BAD_FORMATS.keys())
def test_bad_formats(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert error_of(lambda: zoo.read_table(path).numbers("a")).startswith(f"{path}{expected}")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a;b\n1;x\n")))
    assert error_of(lambda: zoo.read_table(Path("-")).numbers("b")).startswith(
        "standard input:2:2: 'x' is not a number"
    )


# Any file

cells = st.text('ab1 .,;"\n\u2028é', max_size=4)


@given(
    st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_round_trip(rows: list[list[str]], separator: str, end: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator, lineterminator=end).writerows([["x", "y"], *rows])
    table = table_of(stream.getvalue(), separator=separator)
    for index, name in enumerate(table.names):
        assert table.texts(name) == [row[index].strip() or None for row in rows]


@given(st.lists(st.floats(width=64, allow_infinity=False).filter(lambda x: not abs(x) > 3e38), min_size=1))
def test_numbers_round_trip_to_the_last_digit(numbers: list[float]) -> None:
    text = "a,b\n" + "".join(f"{number!r},1\n" for number in numbers)
    np.testing.assert_array_equal(table_of(text).numbers("a"), np.array(numbers, np.float64), strict=True)


@given(st.one_of(st.text('a1",\n\r', max_size=24), st.text('a1",\n', max_size=12)))
def test_polars_reads_what_the_csv_module_reads_or_is_not_used(text: str) -> None:
    data = text.encode()
    read = _fast(data, ",")
    if read is not None:
        header, frame, lines = _exact("x.csv", data, ",")
        assert read[0] == header
        assert read[1].rows() == frame.rows()
        assert read[2].tolist() == lines.tolist()


@rewrites_files
@given(st.binary(max_size=60), st.sampled_from(["x.csv", "x.tsv", "x.jsonl", "x.csv.gz"]))
def test_any_bytes_give_a_table_or_one_line(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        table = zoo.read_table(path)
        for column in filter(None, table.names):
            table.kind(column)
            table.texts(column)
            table.dates(column)
    except zoo.DataError as error:
        message = str(error)
        assert message.splitlines() == [message]


def test_polars_is_imported_when_a_table_is_read() -> None:
    code = "import sys, zoo, zoo.cli.main, zoo.data.tables.read, zoo.data.sequences; sys.exit('polars' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("categories", [(), ("b",), ("b", "a", "Ω x"), ("true", "1", "1.0", "not there")])
@pytest.mark.parametrize(
    "column",
    [
        ["a", "b", None, "", " Ω x", "a longer text than twelve bytes"],
        [None] * 6,
        [1.0, 2.0, None, 1.0, 0.5, 3.0],
        [1, 2, None, 1, 0, 3],
        [True, False, None, True, True, False],
    ],
)
def test_ids_and_different_texts_are_those_of_the_texts(categories: tuple[str, ...], column: list[Any]) -> None:
    frame = pl.DataFrame({"x": column})
    table = Table(Source("x", "arrays", range(6)), ["x"], frame)
    texts = table.texts("x")
    places = [np.nan if text is None else categories.index(text) + 1 if text in categories else 0 for text in texts]
    np.testing.assert_array_equal(table.ids("x", categories), np.array(places, np.float64), strict=True)
    for rows in ([], [5, 0, 2], [*range(6), 1]):
        expected = {texts[row] for row in rows} - {None}
        assert table.different("x", np.array(rows, np.int64)) == expected
