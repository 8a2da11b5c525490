"""Prediction prepares tables as training did: the same features, byte for byte, from files and from data frames."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.data.common import error_of, parts, rewrites_files
from tests.data.recording_files import load as load_recordings
from tests.data.test_series import load as load_series
from tests.support.paths import ROOT
from tests.support.specs import reader
from zoo.data.in_memory import given_sequences
from zoo.data.inputs import read_inputs
from zoo.data.preparation.form import TableForm
from zoo.data.preparation.predicting import all_windows
from zoo.data.recordings.activities import activities
from zoo.data.signature import Signature
from zoo.data.sources.example_series import EXAMPLES
from zoo.data.tables.read import read_table
from zoo.runtime.windows import cut

ROWS = 24
"""Rows of each series that hypothesis makes: enough for three parts with a window of 3."""


def read_back(dataset: zoo.Dataset) -> Signature:
    """Return the signature as an exported file has it."""
    return Signature.from_dict(json.loads(json.dumps(dataset.signature.to_dict())))


def sequences_of(dataset: zoo.Dataset) -> Counter[bytes]:
    """Return the valid steps of every sequence of a data set, as bytes."""
    counts: Counter[bytes] = Counter()
    for part in parts(dataset):
        lengths = [part.x.shape[1]] * len(part) if part.lengths is None else part.lengths.tolist()
        counts.update(x[:length].tobytes() for x, length in zip(part.x.numpy(), lengths, strict=True))
    return counts


def from_frame(frame: pl.DataFrame, signature: Signature) -> dict[str, bytes]:
    """Return the sequences of a data frame by their names, as bytes."""
    named = {given.name: given.value for given in given_sequences(frame, signature)}
    return {name: np.asarray(value).tobytes() for name, value in named.items() if value is not None}


def from_file(path: Path, signature: Signature) -> dict[str, bytes]:
    """Return the sequences of a file by their names without the file, as bytes."""
    named = ((name.removeprefix(str(path)) or "[0]", x) for name, x in read_inputs(path, signature, {}))
    return {name: x.tobytes() for name, x in named}


NUMBER = st.floats(-1e6, 1e6, width=32)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Draw a table of series with the fields of a spec that fits it."""
    missing = draw(st.sampled_from(["refuse", "previous", "interpolate", "mask"]))
    groups = draw(st.sampled_from([[""], ["b", "a"], ["10", "9", "x"]]))
    absent = [1, *draw(st.lists(st.integers(1, ROWS - 2), max_size=2))] if missing != "refuse" else []
    gaps = draw(st.lists(st.integers(1, ROWS - 2), max_size=2)) if missing in ("previous", "interpolate") else []
    frames = []
    for name in groups:
        rows = [row for row in range(ROWS) if row not in gaps]
        load = [None if row in absent else draw(NUMBER) for row in rows]
        frames.append(
            pl.DataFrame(
                {
                    "day": [date(2024, 1, 1) + timedelta(row) for row in rows],
                    "place": [name] * len(rows),
                    "load": pl.Series(load, dtype=pl.Float64),
                    "kind": [draw(st.sampled_from(["u", "v", "w"])) for _ in rows],
                    "target": [draw(NUMBER) for _ in rows],
                }
            )
        )
    order = draw(st.sampled_from(["by group", "by date", "newest first"]))
    frame = pl.concat(frames)
    if order != "by group":
        frame = frame.sort("day", descending=order == "newest first", maintain_order=True)
    fields = {
        "date": "day",
        "targets": ("target",),
        "inputs": ("load", "kind", "target"),
        "window": 3,
        "horizon": 1,
        "missing": missing,
        "sort": order == "newest first",
        "every": "1d" if gaps else None,
        "group": "place" if len(groups) > 1 else None,
        "group_feature": len(groups) > 1 and draw(st.booleans()),
        "known": draw(st.sampled_from([(), ("kind",)])),
    }
    return frame, fields


@settings(rewrites_files, max_examples=20)
@given(tables())
def test_series_are_prepared_alike(tmp_path: Path, drawn: tuple[pl.DataFrame, dict[str, Any]]) -> None:
    frame, fields = drawn
    path = tmp_path / "x.csv"
    frame.write_csv(path)
    dataset = load_series(path, **fields)
    signature = read_back(dataset)
    assert isinstance(signature.form, TableForm)
    windows = Counter(
        x.tobytes() for each in all_windows(read_table(path, signature.form.dialect), signature.form) for x in each.x
    )
    trained = sequences_of(dataset)
    assert trained == windows  # each target of a horizon of 1 is in a part, so all windows are
    last = from_file(path, signature)
    assert len(last) == len(frame["place"].unique())
    assert from_frame(frame, signature) == last
    path = tmp_path / "x.parquet"
    frame.write_parquet(path)
    assert from_file(path, signature) == last


@st.composite
def recorded(draw: st.DrawFn) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Draw a table of recordings with the fields of a spec that fits it."""
    missing = draw(st.sampled_from(["refuse", "previous", "interpolate", "mask"]))
    frames = []
    for number in range(12):
        length = draw(st.integers(3, 5))
        load = [draw(NUMBER) for _ in range(length)]
        frames.append(
            pl.DataFrame(
                {
                    "id": [f"r{number}"] * length,
                    "what": ["run" if number % 2 else "sit"] * length,
                    "tick": list(range(length)),
                    "load": [
                        None if missing != "refuse" and 0 < row < length - 1 else load[row] for row in range(length)
                    ],
                    "kind": [draw(st.sampled_from(["u", "v", "w"])) for _ in range(length)],
                },
                schema_overrides={"load": pl.Float64},
            )
        )
    frame = pl.concat(frames)
    if shuffled := draw(st.booleans()):
        frame = frame.sample(fraction=1, shuffle=True, seed=draw(st.integers(0, 9)))
    return frame, {
        "sequence": "id",
        "label": "what",
        "inputs": ("load", "kind"),
        "missing": missing,
        "order": "tick" if shuffled else None,
    }


@settings(rewrites_files, max_examples=20)
@given(recorded())
def test_recordings_are_prepared_alike(tmp_path: Path, drawn: tuple[pl.DataFrame, dict[str, Any]]) -> None:
    frame, fields = drawn
    path = tmp_path / "x.csv"
    frame.write_csv(path)
    dataset = load_recordings(file=str(path), **fields)
    signature = read_back(dataset)
    named = from_file(path, signature)
    assert Counter(named.values()) == sequences_of(dataset)
    assert set(named) == {f"[r{number}]" for number in range(12)}
    assert from_frame(frame, signature) == named


# The specs of the folder with tables, and the sources that have none on disk


def example(spec: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the data of a spec as a data frame, and the fields of a spec that reads it from a file."""
    config = reader().read(ROOT / "specs" / f"{spec}.yaml").data
    fields = config.model_dump(exclude_unset=True)
    if fields.pop("name") == "recordings":
        whole = activities()
        assert whole.whole is not None
        columns: dict[str, Any] = {"id": np.array(whole.ids)[whole.owners]}
        columns |= {name: np.array(whole.whole.texts(name))[whole.owners] for name in whole.whole.names}
        columns |= {name: whole.steps.numbers(name) for name in whole.steps.names}
        return pl.DataFrame(columns), {**fields, "sequence": "id", "label": "activity"}
    table = EXAMPLES[fields.pop("example", "prices")][0]()
    readers = {"number": table.numbers, "date": lambda name: table.dates(name).astype("datetime64[D]")}
    columns = {name: np.array(readers.get(table.kind(name), table.texts)(name)) for name in table.names}
    return pl.DataFrame(columns), fields


@pytest.mark.parametrize("spec", ["forecast", "quantiles", "stores", "activity"])
def test_the_file_of_a_spec_can_be_predicted(spec: str, tmp_path: Path) -> None:
    frame, fields = example(spec)
    path = tmp_path / "data.csv"
    frame.write_csv(path)
    dataset = load_recordings(file=str(path), **fields) if spec == "activity" else load_series(path, **fields)
    signature = read_back(dataset)
    named = from_file(path, signature)
    assert named == from_frame(frame, signature)
    if isinstance(signature.form, TableForm):
        windows = Counter(x.tobytes() for each in all_windows(read_table(path), signature.form) for x in each.x)
        assert not sequences_of(dataset) - windows  # those whose targets are in two parts are in no part
        assert len(named) == (12 if spec == "stores" else 1)
    else:
        steps = [x for _, x in read_inputs(path, signature)]
        assert len(steps) == 240
        assert Counter(window.steps.tobytes() for window in cut(steps, signature)) == sequences_of(dataset)


# What another file may have


ONE = pl.DataFrame(
    {
        "date": [f"2024-01-{day:02}" for day in range(1, 31)],
        "load": [day + 0.25 for day in range(30)],
        "kind": ["u", "v", "w"] * 10,
        "target": [float(day % 7) for day in range(30)],
    }
)
FIELDS: dict[str, Any] = {"targets": ("target",), "inputs": ("load", "kind"), "window": 4, "horizon": 1}


@pytest.fixture(scope="module")
def signature(tmp_path_factory: pytest.TempPathFactory) -> Signature:
    path = tmp_path_factory.mktemp("data") / "train.csv"
    ONE.write_csv(path)
    return read_back(load_series(path, **FIELDS))


OTHERS: dict[str, tuple[pl.DataFrame, str]] = {
    "newest first": (ONE.reverse(), ":3:1: the date 2024-01-29 00:00:00 is not later than the date before it"),
    "a missing column": (ONE.drop("load"), ": has no column 'load', expected date, load, kind, the columns that the"),
    "a renamed column": (
        ONE.rename({"kind": "Kind"}),
        ": has no column 'kind' (is it 'Kind'?), expected date, load, kind, ",
    ),
    "a gap": (ONE.with_columns(load=pl.when(pl.col("load") < 28).then("load")), ":30:2: 'load' is missing; fill it"),
    "too short": (ONE[:3], ": contains 3 rows, expected at least 4, the window of the model"),
    "dates that may be two": (ONE.with_columns(date=pl.lit("01/02/2024")), ":2:1: '01/02/2024' may be"),
    "no date": (ONE.with_columns(date=pl.lit("soon")), ":2:1: 'soon' is not a date"),
    "a word": (ONE.with_columns(load=pl.lit("high")), ":2:2: 'high' is not a number"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_files_that_differ_from_the_training(case: str, signature: Signature, tmp_path: Path) -> None:
    frame, message = OTHERS[case]
    path = tmp_path / "x.csv"
    frame.write_csv(path)
    error = error_of(lambda: list(read_inputs(path, signature)))
    assert error.startswith(f"{path}{message}")
    assert "\n" not in error


def test_other_dialects_and_unknown_categories_are_understood(signature: Signature, tmp_path: Path) -> None:
    """Semicolons, decimal commas, other dates, another order of the columns, and a category never seen."""
    expected = from_frame(ONE, signature)
    other = ONE.with_columns(
        date=pl.col("date").str.to_date().dt.strftime("%d.%m.%Y"),
        load=pl.col("load").cast(pl.String).str.replace(".", ",", literal=True),
    ).select("target", "kind", "load", "date")
    path = tmp_path / "x.csv"
    path.write_bytes(other.write_csv(separator=";").encode("utf-16"))
    assert from_file(path, signature) == expected
    strange = ONE.with_columns(kind=pl.lit("never seen"))
    (steps,) = [np.asarray(given.value) for given in given_sequences(strange, signature)]
    (before,) = [np.asarray(given.value) for given in given_sequences(ONE, signature)]
    assert steps[:, 1].tolist() == [0.0] * 4
    assert steps[:, 0].tolist() == before[:, 0].tolist()
