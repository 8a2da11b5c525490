"""Texts from tables of all formats: odd files, each with the right texts or one clear line; and in prediction."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import zoo
from tests.data.common import error_of, parts
from tests.data.test_data_text import load, read_back
from zoo.data.inputs import read_inputs
from zoo.data.text_ids import text_ids

ROWS = [{"text": f"good {number}", "label": "b"} for number in range(10)] + [
    {"text": f"bad {number}", "label": "a"} for number in range(10)
]
EXPECTED = sorted((row["label"], row["text"]) for row in ROWS)
CSV = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def changed(**values: Any) -> str:
    """Return the JSON lines with other values in every row."""
    return "".join(json.dumps({**row, **values}) + "\n" for row in ROWS)


SAME: dict[str, tuple[str, str | bytes, dict[str, Any]]] = {
    "CSV with a byte order mark": ("x.csv", b"\xef\xbb\xbf" + CSV.encode(), {}),
    "CSV in UTF-16": ("x.csv", CSV.encode("utf-16"), {}),
    "CSV with semicolons": ("x.csv", CSV.replace(",", ";"), {}),
    "CSV with carets": ("x.csv", CSV.replace(",", "^"), {"separator": "^"}),
    "CSV with Windows line ends": ("x.csv", CSV.replace("\n", "\r\n"), {}),
    "CSV with empty lines at its end": ("x.csv", CSV + "\n\n", {}),
    "CSV with spaces around cells": ("x.csv", CSV.replace(",", "  ,  "), {}),
    "TSV": ("x.tsv", CSV.replace(",", "\t"), {}),
    "other columns": ("x.csv", CSV.replace("text,label", "body,class"), {"text": "body", "label": "class"}),
    "JSON lines": ("x.jsonl", LINES, {}),
    "JSON lines with a byte order mark": ("x.jsonl", b"\xef\xbb\xbf" + LINES.encode(), {}),
    "JSON lines with empty lines": ("x.ndjson", "\n" + LINES.replace("\n", "\n\n"), {}),
    "JSON lines with nested columns": ("x.jsonl", changed(meta={"id": [1, {"a": 2}]}), {}),
    "JSON lines with texts that begin like a list": ("x.jsonl", LINES.replace("}", ', "more": "[1"}'), {}),
    "JSON lines with a key in one row": ("x.jsonl", LINES.replace("}", ', "stars": 5}', 1), {}),
}


@pytest.mark.parametrize(("name", "content", "fields"), SAME.values(), ids=SAME.keys())
def test_tables_with_the_same_texts(tmp_path: Path, name: str, content: str | bytes, fields: dict[str, Any]) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert read_back(load(file=str(path), **fields)) == EXPECTED


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_columnar_tables(tmp_path: Path, ending: str) -> None:
    path, frame = tmp_path / f"x.{ending}", pl.DataFrame(ROWS)
    frame.write_parquet(path) if ending == "parquet" else frame.write_ipc(path)
    assert read_back(load(file=str(path))) == EXPECTED


def test_an_encoding_is_stated(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(CSV.replace("good", "café").encode("cp1252"))
    assert message(path).startswith(f"{path}:2: is not UTF-8 text")
    assert ("b", "café 3") in read_back(load(file=str(path), encoding="cp1252"))


def test_labels_that_are_numbers_or_booleans(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for labels, expected in (((0, 1), ("0", "1")), ((True, False), ("false", "true")), ((10, 9), ("9", "10"))):
        path.write_text("".join(json.dumps({**row, "label": labels[row["label"] == "a"]}) + "\n" for row in ROWS))
        assert load(file=str(path)).signature.labels == expected


def test_line_breaks_quotes_and_huge_cells_are_part_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(CSV + '"one\n""two"", three",a\n' + "word " * 20_000 + ",b\n")
    dataset = load(file=str(path))
    assert dataset.time == 20_000
    assert ("a", 'one " two " , three') in read_back(dataset)


def test_a_text_like_a_mark_for_a_missing_number_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(CSV + "N/A,a\nnone,b\n")
    assert {("a", "n / a"), ("b", "none")} <= set(read_back(load(file=str(path))))
    assert message(path, null_values=("none",)) == f"{path}:23:1: 'text' is empty; fill it in or remove the row"


BAD: dict[str, tuple[str, str | bytes, str]] = {
    "a missing key": ("x.jsonl", LINES + '{"text": "x"}\n', "{path}:21:label: 'label' is empty; fill it in or remove"),
    "null": ("x.jsonl", LINES + '{"text": null, "label": "a"}\n', "{path}:21:text: 'text' is empty; fill it in or"),
    "white space": ("x.jsonl", LINES + '{"text": " \\n", "label": "a"}\n', "{path}:21:text: 'text' is empty"),
    "objects": ("x.jsonl", changed(text={"body": "x"}), "{path}:1:text: contains "),
    "lists": ("x.jsonl", changed(text=["x", "y"]), "{path}:1:text: contains "),
    "a list in a row": (
        "x.jsonl", LINES + '{"text": ["x"], "label": "a"}\n', "{path}:21: 'text' is a list, and a text in a line before"
    ),
    "an object in a row": (
        "x.jsonl", LINES + '{"text": {"body": "x"}, "label": "a"}\n', "{path}:21: 'text' is an object, and a text in a"
    ),
    "no object": ("x.jsonl", LINES + "[1]\n", "{path}:21: is no JSON object"),
    "no JSON": ("x.jsonl", LINES + "{'text': 1}\n", "{path}:21: is not JSON"),
    "a list of objects": ("x.jsonl", json.dumps(ROWS), "{path}:1: is no JSON object"),
    "another ending": ("x.json", LINES, "{path}: has the ending '.json', expected .csv, .tsv"),
    "bytes": ("x.jsonl", LINES.encode() + b'{"text": "caf\xe9", "label": "a"}\n', "{path}:21: is not UTF-8 text"),
    "nothing": ("x.jsonl", "", "{path}: is empty"),
    "no such column": ("x.jsonl", changed(label="a").replace('"label"', '"lable"'), "{path}: has no column 'label'"),
    "one label": ("x.jsonl", changed(label="a"), "{path}: all texts have the label 'a'; add texts with another label"),
    "an empty line in CSV": ("x.csv", CSV + "\nx,a\n", "{path}:22: is an empty line between rows"),
    "invisible characters": (
        "x.csv", CSV + "\u200b\u00ad,a\n", "{path}:22:1: has no visible character, expected a text; remove it"
    ),
    "control characters": (
        "x.jsonl", LINES + '{"text": "\\u0000\\u0007", "label": "a"}\n', "{path}:21:text: has no visible character"
    ),
    "half a character": (
        "x.jsonl", LINES + '{"text": "\\ud83d", "label": "a"}\n', "{path}:21:text: "
    ),
    "no Parquet": ("x.parquet", b"PAR1", "{path}: is not a complete Parquet file"),
    "too few texts": ("x.csv", CSV + "x,c\n", "{path}: too few texts for each of 3 labels in each part: 1 of 21"),
}  # fmt: skip


def message(path: Path, **fields: Any) -> str:
    return error_of(lambda: load(file=str(path), **fields))


@pytest.mark.parametrize(("name", "content", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_tables(tmp_path: Path, name: str, content: str | bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert message(path).startswith(expected.format(path=path))


def test_fields_that_contradict_each_other(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(CSV)
    assert error_of(lambda: load(encoding="cp1252")) == (
        "data.encoding: describes a table; give one with data.file, or leave it out"
    )
    assert message(path, vocabulary_size=300) == (
        "data.vocabulary_size: is for subwords; leave it out, or set data.tokenizer to 'subwords'"
    )
    assert message(path, tokenizer="characters", tokenizer_file="x").startswith("data.tokenizer_file: is for subwords;")
    assert message(path, tokenizer="subwords", tokenizer_file="x", vocabulary_size=300) == (
        "data.vocabulary_size: is that of data.tokenizer_file; leave one of the two out"
    )


def test_the_summary(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(CSV.replace(",", ";") + "one two three four five;a\n")
    assert load(file=str(path)).description == (
        "x.csv (separated by semicolons; 21 rows): 21 texts of 2 labels (a 11, b 10). Length in tokens: median 2, "
        "longest 5. A fixed random split, stratified by label, into 16 for training, 2 for validation and 3 for "
        "testing. 19 tokens (words2) from the training part."
    )
    cut = load(file=str(path), max_length=3, train=0.5, tokenizer="characters").description
    assert "Length in characters: median 6, longest 23; 21 texts are cut after 3. A fixed" in cut
    assert "2 for validation and 2 for testing; 7 are not used, since the shares add up to less than 1. " in cut


def test_texts_by_characters(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(CSV.replace("good", "Good"))
    dataset = load(file=str(path), tokenizer="characters")
    assert ("b", " ".join("Good 4")) in read_back(dataset)
    ids = text_ids("G<pad>", dataset.signature, "")
    assert [dataset.signature.vocabulary[token] for token in ids] == ["G", "<unk>", *["<unk>", "a", "d"], "<unk>"]


def test_the_tokeniser_of_earlier_versions(tmp_path: Path) -> None:
    """A spec that names it gets its tokens, in training and in prediction."""
    path = tmp_path / "x.csv"
    path.write_text(CSV.replace("good", "v1.5 Don\u2019t"))
    dataset = load(file=str(path), tokenizer="words")
    assert ("b", "v1 . 5 don \u2019 t 3") in read_back(dataset)
    ids = text_ids("V1.5 don\u2019t", dataset.signature, "")
    assert [dataset.signature.vocabulary[token] for token in ids] == ["v1", ".", "5", "don", "\u2019", "t"]


# Prediction


def signature(**fields: Any) -> zoo.Signature:
    """Return the signature of a model that was trained on a table, as an exported file keeps it."""
    vocabulary = ("<pad>", "<unk>", "good", "bad")
    whole = zoo.Signature(vocabulary=vocabulary, tokenizer="words2", text=zoo.TextForm("body", zoo.Dialect(**fields)))
    kept = zoo.Signature.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert kept == whole
    return kept


def answers(path: Path, kept: zoo.Signature) -> list[tuple[str, list[int]]]:
    return [(place, ids.tolist()) for place, ids in read_inputs(path, kept)]


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("x.csv", "id;body\n1;Good\n2;bad, bad\n", ("{path}:2", "{path}:3")),
        ("x.tsv", "body\tid\nGood\t1\nbad, bad\t2\n", ("{path}:2", "{path}:3")),
        ("x.jsonl", '{"body": "Good"}\n{"body": "bad, bad"}\n', ("{path}:1", "{path}:2")),
        ("x.txt", "Good\nbad, bad\n", ("{path}:1", "{path}:2")),
    ],
)
def test_the_texts_of_a_file_are_predicted(tmp_path: Path, name: str, content: str, places: tuple[str, ...]) -> None:
    path = tmp_path / name
    path.write_text(content)
    expected = [(place.format(path=path), ids) for place, ids in zip(places, ([2], [3, 1, 3]), strict=True)]
    assert answers(path, signature()) == expected


def test_a_columnar_table_is_predicted(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"body": ["Good", "bad"]}).write_parquet(path)
    assert [ids for _, ids in answers(path, signature())] == [[2], [3]]


def test_the_dialect_of_the_training_is_that_of_a_prediction(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("body^n\nbad\u00e9^1\nNIL^1\n".encode("cp1252"))
    kept = signature(separator="^", encoding="cp1252", null_values=("NIL",))
    assert error_of(lambda: answers(path, kept)) == f"{path}:3:1: is empty, expected a text"
    path.write_bytes("body^n\nbad\u00e9^1\n".encode("cp1252"))
    assert answers(path, kept) == [(f"{path}:2", [1])]


def test_the_standard_input_has_a_text_on_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    given(b"\xef\xbb\xbfGood\r\nbad bad")
    assert answers(Path("-"), signature()) == [("standard input:1", [2]), ("standard input:2", [3, 3])]
    for content, expected in (
        (b"", "standard input: is empty, expected one text per line"),
        (b"good\n\nbad\n", "standard input:2: is empty, expected a text"),
        (b"good\n\xff\n", "standard input:2: is not UTF-8 text; give a text file saved as UTF-8"),
    ):
        given(content)
        assert error_of(lambda: answers(Path("-"), signature())) == expected


def test_a_table_without_the_texts(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text\nx\n")
    assert error_of(lambda: answers(path, signature())).startswith(f"{path}: has no column 'body'")
    path.write_text("body\n \u200d\n")
    assert error_of(lambda: answers(path, signature())) == f"{path}:2:1: has no visible character, expected a text"


def test_a_signature_of_an_earlier_version_is_read() -> None:
    values = zoo.Signature(vocabulary=("<pad>", "<unk>", "a"), tokenizer="words").to_dict()
    earlier = {name: value for name, value in values.items() if name not in ("text", "subwords")}
    kept = zoo.Signature.from_dict(json.loads(json.dumps(earlier)))
    assert (kept.tokenizer, kept.text, kept.subwords) == ("words", None, None)
    assert text_ids("a\u2019b", kept, "").tolist() == [2, 1, 1]


def test_parts_and_duplicates_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\n" + "Same,a\nsame,b\n" * 10)
    dataset = load(file=str(path))
    assert dataset.repeated == {"validation": 2, "test": 2}
    assert sum(map(len, parts(dataset))) == 20
    assert Counter(np.concatenate([part.y for part in parts(dataset)]).tolist()) == {0: 10, 1: 10}
