"""Odd recordings: each raises a one-line error that names the place, or gives the data that are meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.data.common import error_of
from tests.data.recording_files import FORMS, labels, load, recordings, table, ts_text
from zoo.data.inputs import read_inputs

TABLE = {"sequence": "id", "label": "what"}
VALUES = recordings()
TEXT = table(VALUES)
LINES = TEXT.splitlines()


def with_line(number: int, line: str) -> str:
    lines = [*LINES]
    lines[number - 1] = line
    return "\n".join([*lines, ""])


def of_columns(header: str, row: Callable[[int, int], str], count: int = 12) -> str:
    """Return a table with three rows for each recording."""
    return "\n".join([header, *(row(number, step) for number in range(count) for step in range(3)), ""])


BAD_TABLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "empty": ("", TABLE, "{path}: is empty, expected a line with the names of the columns"),
    "header alone": ("id,what,x\n", TABLE, "{path}: has no rows below the names of its columns"),
    "no label named": (TEXT, {"sequence": "id"}, "data.label: is required; name the column of {path} with the classes"),
    "no such label": (
        TEXT,
        {**TABLE, "label": "waht"},
        "{path}: has no column 'waht' (did you mean 'what'?), which data.label names; columns: 'id', 'who', 'what'",
    ),
    "no such sequence": (TEXT, {**TABLE, "sequence": "run"}, "{path}: has no column 'run', which data.sequence names"),
    "no such group": (TEXT, {**TABLE, "by": "subject"}, "{path}: has no column 'subject', which data.by names"),
    "one class": (
        TEXT.replace("sit", "run").replace("walk", "run"),
        TABLE,
        "{path}: every 'what' is 'run'; add recordings of another class",
    ),
    "no recording": (with_line(2, ",s0,run,0,1"), TABLE, "{path}:2:1: 'id' is missing; give the name of the recording"),
    "a recording in two pieces": (
        TEXT + "r0,s0,run,0,1\n",
        TABLE,
        "{path}:56:1: the recording 'r0' goes on after rows of another; sort the rows by 'id', rename the second one",
    ),
    "two labels": (
        with_line(3, "r0,s0,sit,0,1"),
        TABLE,
        "{path}:3:3: 'what' is 'sit', and 'run' in the first step of the recording 'r0'; give one value for each "
        "recording, or set data.label_by to",
    ),
    "two subjects": (
        with_line(3, "r0,s9,run,0,1"),
        {**TABLE, "by": "who"},
        "{path}:3:2: 'who' is 's9', and 's0' in the first step of the recording 'r0'; give one value",
    ),
    "a gap": (
        with_line(6, "r1,s0,sit,1,"),
        TABLE,
        "{path}:6:5: 'x1' is missing; fill it in, or set data.missing to 'previous', 'interpolate' or 'mask'",
    ),
    "a gap at first": (
        with_line(5, "r1,s0,sit,1,NaN"),
        {**TABLE, "missing": "previous"},
        "{path}:5:5: 'x1' is missing, and no number before it in the recording can fill the gap",
    ),
    "a gap at last": (
        with_line(4, "r0,s0,run,0,NA"),
        {**TABLE, "missing": "interpolate"},
        "{path}:4:5: 'x1' is missing, and no number on one side of it in the recording can fill the gap",
    ),
    "a word among numbers": (with_line(6, "r1,s0,sit,1,x"), TABLE, "{path}:6:5: 'x' is not a number"),
    "too large": (with_line(6, "r1,s0,sit,1,1e39"), TABLE, "{path}:6:5: '1e39' is more than float32 can hold"),
    "newest first": (
        of_columns("id,what,time,x", lambda n, t: f"{n},{n % 2},2020-01-0{9 - t},{n}"),
        TABLE,
        "{path}:3:3: 'time' is earlier than in the row before it of the same recording; sort the rows, or",
    ),
    "two columns of time": (
        of_columns("id,what,date,time,x", lambda n, t: f"{n},{n % 2},2020-01-01,{t},{n}"),
        TABLE,
        "{path}: has the columns 'date' and 'time'; name one of them in data.order",
    ),
    "a date that is none": (
        of_columns("id,what,date,x", lambda n, t: f"{n},{n % 2},soon,{n}"),
        TABLE,
        "{path}:2:3: 'soon' is not a date; give one such as 2020-12-31 or 2020-12-31 13:00:00, or set data.date_format"
        "; "
        "where 'date' is a feature, name it in data.inputs",
    ),
    "a gap in the order": (
        of_columns("id,what,tick,x", lambda n, t: f"{n},{n % 2},{t if n else ''},{n}"),
        {**TABLE, "order": "tick"},
        "{path}:2:3: 'tick' is missing, and the order of the rows depends on it; fill it in",
    ),
    "free texts": (
        of_columns("id,what,note", lambda n, t: f"{n},{n % 2},note {n} {t}", 60),
        TABLE,
        "{path}: 'note' contains 126 different texts such as 'note 0 0'; leave it out of data.inputs, or declare it",
    ),
    "dates as a feature": (
        of_columns("id,what,day", lambda n, t: f"{n},{n % 2},2020-01-0{1 + t}"),
        TABLE,
        "data.inputs: 'day' is a column of dates, which are no feature; name columns of numbers or categories",
    ),
    "nothing to learn from": (
        of_columns("id,what", lambda n, t: f"{n},{n % 2}"),
        TABLE,
        "{path}: has no column besides",
    ),
    "label as input": (TEXT, {**TABLE, "inputs": ("what",)}, "data.inputs: 'what' is what the model has to predict"),
    "input twice": (TEXT, {**TABLE, "inputs": ("x0", "x0")}, "data.inputs: names the column 'x0' twice; remove one"),
    "category that is no input": (
        TEXT,
        {**TABLE, "categories": ("x7",)},
        "data.categories: 'x7' is no input, expected",
    ),
    "majority of numbers": (
        TEXT,
        {"sequence": "id", "targets": ("x1",), "label_by": "majority", "window": 2},
        "data.label_by: is 'majority', which numbers have none of",
    ),
    "majority of nothing": (TEXT, {**TABLE, "label_by": "last"}, "data.label_by: is 'last' without data.window; give"),
    "step without window": (
        TEXT,
        {**TABLE, "step": 2},
        "data.step: is given without data.window; give both, or neither",
    ),
    "step too long": (TEXT, {**TABLE, "window": 2, "step": 3}, "data.step: is 3, expected at most 2, the steps of a"),
    "label and targets": (TEXT, {**TABLE, "targets": ("x1",)}, "data.label: is given with data.targets; give only one"),
    "too few": (
        "\n".join([*LINES[:8], ""]),
        TABLE,
        "{path}: 2 recordings of 2 classes are too few for 2 outside the training part; add recordings",
    ),
    "too few subjects": (
        of_columns("id,who,what,x", lambda n, t: f"{n},{n % 2},{n % 3},{n}"),
        {**TABLE, "by": "who"},
        "{path}: the recordings have 2 different values of 'who', expected at least 3, one for each part",
    ),
    "no subject": (
        of_columns("id,who,what,x", lambda n, t: f"{n},{n if n else ''},{n % 3},{n}"),
        {**TABLE, "by": "who"},
        "{path}:2: the recording '0' has no 'who'; fill it in, because data.by keeps its groups apart",
    ),
    "a class of one subject": (
        of_columns(
            "id,who,what,part,x", lambda n, t: f"{n},{n % 4},{n % 2 if n else 9},{'train' if n else 'test'},{n}"
        ),
        {**TABLE, "part": "part"},
        "{path}:2: the class of '0' is in no recording of the training part; add recordings of it",
    ),
    "a subject in two given parts": (
        of_columns("id,who,what,part,x", lambda n, t: f"{n},{n % 4},{n % 2},{('train', 'val', 'test')[n % 3]},{n}"),
        {**TABLE, "part": "part", "by": "who"},
        "{path}:5: the recording '1' of who '1' is in the part validation, and another of the same who in train; give",
    ),
    "a part of no name": (
        of_columns("id,what,part,x", lambda n, t: f"{n},{n % 2},{'fold' if n == 2 else 'train'},{n}"),
        {**TABLE, "part": "part"},
        "{path}:8: the recording '2' has 'fold' as 'part', expected train, validation or test; correct it",
    ),
    "no test part": (
        of_columns("id,what,part,x", lambda n, t: f"{n},{n % 2},train,{n}"),
        {**TABLE, "part": "part"},
        "{path}: data.part gives no recording to the part test; give it some",
    ),
    "shares of everything": (
        TEXT,
        {**TABLE, "validation": 0.5, "test": 0.5},
        "data.validation: the shares of validation",
    ),
    "table without sequence": (
        TEXT,
        {"label": "what"},
        "data.sequence: is required with a table; name the column of {path}",
    ),
    "test file of a table": (TEXT, {**TABLE, "test_file": "x.ts"}, "data.test_file: is given with {path}, and only"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(name: str, tmp_path: Path) -> None:
    text, fields, expected = BAD_TABLES[name]
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert expected.format(path=path) in error_of(lambda: load(file=str(path), **fields))


X = np.concatenate(VALUES)
LENGTHS = [len(values) for values in VALUES]
Y = np.array(labels())
PADDED = np.zeros((12, 6, 2))
BAD_ARRAYS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no x": ({"z": X}, {}, "{path}: has no array x, only z; write it with numpy.savez(path, x=..., y=...)"),
    "no y": ({"x": PADDED}, {}, "data.label: is required; name the column of {path} with the classes"),
    "one axis": (
        {"x": X[:, 0], "y": Y},
        {},
        "{path}: x has the shape (54,), expected (recordings, time, features), or",
    ),
    "no steps": ({"x": PADDED[:, :0], "y": Y}, {}, "{path}: x has the shape (12, 0, 2), expected (recordings, time"),
    "complex numbers": ({"x": PADDED.astype(complex), "y": Y}, {}, "{path}: x is of type complex128, expected real"),
    "lengths too large": (
        {"x": PADDED, "lengths": [*[6] * 11, 7], "y": Y},
        {},
        "{path}: lengths[11] is 7, expected 1 to 6, the steps of x",
    ),
    "length of 0": (
        {"x": PADDED, "lengths": [0] * 12, "y": Y},
        {},
        "{path}: lengths[0] is 0, expected 1 to 6, the steps",
    ),
    "lengths of other steps": (
        {"x": X, "lengths": LENGTHS[:-1], "y": Y},
        {},
        "{path}: lengths are 11 with 48 steps in all, expected 54 steps in all",
    ),
    "lengths that are no integers": (
        {"x": PADDED, "lengths": np.ones(12), "y": Y},
        {},
        "{path}: lengths is float64 (12,), expected integers (recordings,)",
    ),
    "offsets that decrease": (
        {"x": X, "offsets": [0, 5, 3], "y": Y},
        {},
        "{path}: offsets do not increase from 0 to at most 54, the steps of x (steps, features); give the first step",
    ),
    "too few labels": ({"x": PADDED, "y": Y[:5]}, {}, "data.label: is required; name the column of {path}"),
    "too few names": ({"x": PADDED, "y": Y, "columns": ["a"]}, {}, "{path}: columns has 1 different names, expected 2"),
    "NaN": ({"x": np.where(np.arange(2), PADDED, np.nan), "y": Y}, {}, "{path}: recording [0], step [0], x0: 'x0' is"),
    "infinity": (
        {"x": np.where(PADDED == 0, np.inf, 0), "y": Y},
        {},
        "{path}: recording [0], step [0], x0: inf is more than float32 can hold; replace it",
    ),
    "names that repeat": (
        {"x": PADDED, "y": Y, "id": ["a"] * 12},
        {"sequence": "id"},
        "{path}: id[1]: 'a' names a second recording; give each its own name",
    ),
    "huge targets": (
        {"x": PADDED, "y": np.full(12, 1e300)},
        {},
        "{path}: recording [0], step [0]: 1e+300 is more than",
    ),
    "no targets": ({"x": PADDED, "y": np.full(12, np.nan)}, {}, "{path}: no recording has a value of y, expected one"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays(name: str, tmp_path: Path) -> None:
    arrays, fields, expected = BAD_ARRAYS[name]
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    assert expected.format(path=path) in error_of(lambda: load(file=str(path), **fields))


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.array(VALUES, object), y=Y)
    message = error_of(lambda: load(file=str(path)))
    assert f"{path}: cannot be read as arrays: Python objects in it could run code when they are loaded" in message
    path.write_bytes(b"PK damaged")
    assert f"{path}: cannot be read as arrays" in error_of(lambda: load(file=str(path)))


TS = ts_text(VALUES, labels())
BAD_TS: dict[str, tuple[str, str]] = {
    "empty": ("", "{path}: has no line @data, expected one between the header and the recordings; is it a .ts file?"),
    "no data": (TS.replace("@data\n", ""), "{path}:8: '0.0,0.0,0.0:4.0,0.0,0.5:run' stands before @data, expected"),
    "no recordings": (TS.partition("@data")[0] + "@data\n", "{path}: contains no recording below @data, expected one"),
    "an unknown tag": ("@made up\n" + TS, "{path}:1: has the unknown tag '@made'; expected @data or one of its header"),
    "time stamps": (TS.replace("Stamps false", "Stamps true"), "{path}:3: has time stamps beside the values; write"),
    "dimensions that are no number": (TS.replace("@dimensions 2", "@dimensions x"), "{path}:5: has no number of dim"),
    "other dimensions": (TS.replace("@dimensions 2", "@dimensions 3"), "{path}:9: has 2 dimensions, expected 3; sep"),
    "no classes": (
        TS.replace("true run sit walk", "true"),
        "{path}:7: lists no class, expected '@classLabel true' with",
    ),
    "another class": (TS.replace(":walk", ":fly"), "{path}:11: ends with 'fly', expected a class of @classLabel: run"),
    "a word": (TS.replace("1.0,1.0", "1.0,x", 1), "{path}:10: dimension 1, value 2: 'x' is not a number; give one"),
    "dimensions of two lengths": (TS.replace("1.0,1.0", "1.0", 1), "{path}:10: has dimensions of 3 to 4 values, exp"),
    "no label": (TS.replace("@classLabel true run sit walk\n", ""), "{path}:8: has 3 dimensions, expected 2; separate"),
}


@pytest.mark.parametrize("name", BAD_TS)
def test_bad_ts_files(name: str, tmp_path: Path) -> None:
    text, expected = BAD_TS[name]
    path = tmp_path / "x.ts"
    path.write_text(text)
    assert expected.format(path=path) in error_of(lambda: load(file=str(path)))


def test_archives_whose_files_differ(tmp_path: Path) -> None:
    first, second = tmp_path / "A.ts", tmp_path / "B.ts"
    first.write_text(TS)
    second.write_text(ts_text(recordings(features=3), labels()))
    message = error_of(lambda: load(file=str(first), test_file=str(second)))
    assert (
        f"{second}: has 3 dimensions and the classes run, sit, walk, expected 2 and run, sit, walk as in {first}"
        in message
    )


def test_numbers_of_a_ts_file(tmp_path: Path) -> None:
    path = tmp_path / "x.ts"
    text = TS.replace("@classLabel true run sit walk", "@targetLabel true")
    path.write_text(text.replace(":run", ":1").replace(":sit", ":2.5").replace(":walk", ":?"))
    assert f"{path}:11: ends with '?', expected a number by @targetLabel" in error_of(lambda: load(file=str(path)))
    path.write_text(text.replace(":run", ":1").replace(":sit", ":2.5").replace(":walk", ":3"))
    assert load(file=str(path)).signature.targets == ("y",)


def test_bad_folders(tmp_path: Path) -> None:
    fields = FORMS["folders"](tmp_path, VALUES)
    folder = Path(fields["folder"])
    assert "there is no such folder" in error_of(lambda: load(folder=str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    assert f"data.file: {folder} is a folder; name it in data.folder" in error_of(lambda: load(file=str(folder)))
    assert f"{tmp_path / 'empty'}: contains no recordings" in error_of(lambda: load(folder=str(tmp_path / "empty")))
    (folder / "notes.txt").write_text("about these")
    (folder / ".hidden.csv").write_text("nothing")
    assert "1 file of other formats left out, such as notes.txt." in load(**fields).description
    other = folder / "walk" / "011.csv"
    other.write_text("x0\n1\n")
    first = folder / "run" / "000.csv"
    assert f"{other}: has no column 'x1', which {first} has; use one form" in error_of(lambda: load(**fields))
    other.write_text("x0,x1,x2\n1,2,3\n")
    assert f"{other}: has the column 'x2', which {first} lacks; use one form" in error_of(lambda: load(**fields))
    np.save(folder / "walk" / "011.npy", np.zeros((2, 3, 2)))
    other.unlink()
    assert "011.npy: contains 2 recordings, expected one (time, features) in each file" in error_of(
        lambda: load(**fields)
    )


def test_bad_indexes(tmp_path: Path) -> None:
    fields = FORMS["index"](tmp_path, VALUES)
    index = Path(fields["index"])
    text = index.read_text()
    index.write_text(text + "012.npy,run,3\n")
    message = error_of(lambda: load(**fields))
    assert (
        f"{index}:14:1: 'file' is '012.npy', and {fields['folder']} has no such recording; correct the path" in message
    )
    index.write_text(text + "011.npy,run,3\n")
    assert f"{index}:14:1: lists '011.npy' again; remove one of the rows" in error_of(lambda: load(**fields))
    index.write_text(text.replace("000.npy,run,0.0\n", ""))
    described = load(**fields).description
    assert "1 recording left out that index.csv does not list. 11 recordings" in described
    index.write_text(text.replace("000.npy,run", "000.npy,"))
    assert "1 recording left out without what, such as 000.npy. 11 recordings" in load(**fields).description
    index.write_text(text.replace("file", "path"))
    assert f"{index}: has no column 'file', which data.sequence names" in error_of(lambda: load(**fields))
    assert len(load(**fields, sequence="path").train) == 8


def test_predictions_refuse_what_training_would(tmp_path: Path) -> None:
    fields = FORMS["table"](tmp_path, VALUES)
    signature = load(**fields).signature
    path = tmp_path / "new.csv"

    def message(text: str) -> str:
        path.write_text(text)
        return error_of(lambda: list(read_inputs(path, signature)))

    assert f"{path}: has no column 'x1', expected x0, x1, the columns that the model was trained with" in message(
        TEXT.replace("x1", "y1")
    )
    assert f"{path}: has no column 'id', which data.sequence names" in message(TEXT.replace("id", "name"))
    assert f"{path}:6:5: 'x1' is missing; fill it in, since the model was trained without gaps" in message(
        with_line(6, "r1,s0,sit,1,")
    )
    assert "goes on after rows of another" in message(TEXT + "r0,s0,run,0,1\n")
    np.save(tmp_path / "new.npy", np.zeros((4, 3)))
    path = tmp_path / "new.npy"
    expected = f"{path}: has 3 features, expected 2: those that the model was trained with, x0, x1"
    assert expected in error_of(lambda: list(read_inputs(path, signature)))


def test_more_than_the_machine_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = FORMS["npz"](tmp_path, VALUES)
    monkeypatch.setattr("zoo.memory.machine_memory", lambda: 500)
    with pytest.raises(zoo.SpecError, match=r"^data.window: 12 sequences, padded to the 6 steps of the longest, take"):
        load(**fields)


def test_arrays_without_names_are_taken_by_position(tmp_path: Path) -> None:
    fields = FORMS["table"](tmp_path, VALUES)
    path = Path(fields["file"])
    path.write_text(TEXT.replace("x0", "number").replace("x1", "other"))
    signature = load(**{**fields, "inputs": ("number", "other")}).signature
    folder = Path(FORMS["index"](tmp_path, VALUES)["folder"])
    (folder / "index.csv").unlink()
    for (name, steps), values in zip(read_inputs(folder, signature), VALUES, strict=True):
        assert name.startswith(str(folder))
        assert steps.tolist() == values.tolist()
    np.save(folder / "000.npy", np.full((3, 2), np.nan))
    message = error_of(lambda: list(read_inputs(folder, signature)))
    assert f"{folder / '000.npy'}: recording [0], step [0], number: 'number' is missing; fill it in" in message
    path.write_text(path.read_text().replace("other", "x1").replace(",1.0\n", ",a\n"))
    signature = load(**{**fields, "inputs": ("number", "who")}).signature
    message = error_of(lambda: list(read_inputs(folder, signature)))
    assert (
        "is an array of numbers, and 'who' has categories such as 's0'; give a table with the columns number" in message
    )
