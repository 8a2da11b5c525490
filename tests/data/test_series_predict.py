"""Tables for prediction: prepared exactly as in training, by the form that the signature keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import zoo
from tests.data.common import error_of, parts
from tests.data.test_series import FRAME, GROUPED, ONE, SMALL, load, panel, with_hole, written
from zoo.data.inputs import read_inputs
from zoo.data.preparation.form import Feature, TableForm
from zoo.data.preparation.predicting import all_windows
from zoo.data.signature import Signature
from zoo.data.tables.read import read_table


def read_back(dataset: zoo.Dataset) -> Signature:
    """Return the signature as an exported file has it: written to JSON and read back."""
    signature = Signature.from_dict(json.loads(json.dumps(dataset.signature.to_dict())))
    assert signature == dataset.signature
    return signature


def predicted(path: Path, signature: Signature) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    notes: dict[str, str] = {}
    sequences = {name.removeprefix(str(path)): x for name, x in read_inputs(path, signature, notes)}
    return sequences, {name.removeprefix(str(path)): note for name, note in notes.items()}


FORMS: dict[str, tuple[pl.DataFrame, dict[str, Any]]] = {
    "one series": (ONE, {}),
    "no horizon": (ONE, {"horizon": 0}),
    "groups": (FRAME, {"group": "group", "group_feature": True}),
    "own scales": (FRAME, {"group": "group", "per": "group"}),
    "whole series": (
        panel(dict.fromkeys("uvwxyz", 20)),
        {"group": "group", "split": "groups", "train": 4, "validation": 1, "test": 1},
    ),
    "a short series": (panel({"x": 40, "y": 2}), {"group": "group"}),
    "known ahead": (FRAME, {"group": "group", "inputs": ("b",), "known": ("a",), "horizon": 3}),
    "newest first": (FRAME.reverse(), {"group": "group", "sort": True}),
    "missing rows": (ONE.filter(pl.col("a") != 38), {"every": "1d", "missing": "previous"}),
    "interpolated": (with_hole("a", 38), {"missing": "interpolate"}),
    "interpolated before the future": (
        with_hole("a", 38).with_columns(known=pl.col("b")),
        {"inputs": ("a", "b"), "known": ("known",), "missing": "interpolate"},
    ),
    "masked": (with_hole("a", 5), {"missing": "mask"}),
    "masked target": (with_hole("b", 5), {"missing": "mask"}),
    "categories": (FRAME, {"group": "group", "inputs": ("a", "b"), "categories": ("a",)}),
    "seconds": (ONE.with_columns(clock=pl.col("a") + 1_700_000_000), {"inputs": ("clock", "b")}),
    "semicolons": (ONE, {"separator": ";"}),
}


@pytest.mark.parametrize("case", FORMS)
def test_the_file_of_the_training_can_be_predicted(tmp_path: Path, case: str) -> None:
    """The last window of the file is the last one of the test part, a horizon further."""
    frame, fields = FORMS[case]
    path = tmp_path / "x.csv"
    frame.write_csv(path, separator=fields.get("separator", ","))
    dataset = load(path, **{**SMALL, "horizon": 1, **fields})
    windows, notes = predicted(path, read_back(dataset))
    assert windows
    series = list(dict.fromkeys(frame["group"].to_list())) if "group" in fields else [""]
    assert {*windows, *notes} == ({f"[{name}]" for name in series} if "group" in fields else {""})
    step = dataset.signature.horizon and not fields.get("known")  # with known columns the last rows are the future
    last = dataset.test.x[-1].numpy()
    own = [x for x in windows.values() if np.array_equal(x[: len(last) - step], last[step:])]
    assert own
    assert own[0].dtype == np.float32
    assert own[0].shape == last.shape


def test_what_is_known_of_the_future_is_read_from_the_rows_without_targets(tmp_path: Path) -> None:
    fields = {**GROUPED, "inputs": ("b",), "known": ("a",), "horizon": 2}
    dataset = load(written(tmp_path, FRAME), **fields)
    future = FRAME.with_columns(b=pl.when(pl.col("a") >= 38).then(None).otherwise(pl.col("b")))
    path = written(tmp_path, future, "future.csv")
    windows, notes = predicted(path, read_back(dataset))
    assert windows["[y]"].tolist() == [[235, 35, 37], [236, 36, 38], [237, 37, 39]]
    assert notes == {}
    assert predicted(written(tmp_path, FRAME, "past.csv"), dataset.signature)[1]["[x]"] == (
        "has no row after the last one with targets, so the forecast is for its last 2 rows"
    )
    bare = written(tmp_path, FRAME.drop("b").with_columns(b=pl.lit(1.0)), "bare.csv")
    assert set(predicted(bare, dataset.signature)[0]) == {"[x]", "[y]"}
    short = written(tmp_path, future.filter(pl.col("a") < 39), "short.csv")
    assert error_of(lambda: predicted(short, dataset.signature)).endswith(
        "short.csv[x]: rows after the last one with targets: 1, expected 2 with a, which the model was trained to know "
        "ahead"
    )


def test_unknown_groups_and_categories_have_the_id_0(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, FRAME), **GROUPED, group_feature=True)
    windows, _ = predicted(written(tmp_path, panel({"new": 5, "y": 5}), "new.csv"), read_back(dataset))
    assert [x[0, -1] for x in windows.values()] == [0, 2]


def test_offsets_and_fills_are_those_of_the_training(tmp_path: Path) -> None:
    frame = with_hole("a", 5).with_columns(clock=pl.col("b") + 1_700_000_000)
    dataset = load(written(tmp_path, frame), **SMALL, inputs=("clock", "a"), missing="mask")
    mean = float(np.mean([row for row in range(28) if row != 5]))
    assert dataset.signature.form is not None
    assert dataset.signature.form.features == (
        Feature("clock", offset=1_700_000_100),
        Feature("a", fill=mean),
        Feature("a", "missing"),
    )
    rows = "clock,a,b,date\n" + "".join(f"17000001{row:02},,1,2021-01-{row:02}\n" for row in range(10, 13))
    path = tmp_path / "gaps.csv"
    path.write_text(rows)
    assert predicted(path, read_back(dataset))[0][""].tolist() == [[step, np.float32(mean), 1] for step in (10, 11, 12)]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.reverse(), ":4:1: the date 2020-02-08 00:00:00 of 'y' is not later than the date before it"),
        (
            FRAME.rename({"date": "day"}),
            ": has no column 'date', expected date, group, a, b, the columns that the ",
        ),
        (
            FRAME.rename({"a": "A"}),
            ": has no column 'a' (is it 'A'?), expected date, group, a, b, the columns that the",
        ),
        (FRAME.drop("group"), ": has no column 'group', expected date, group, a, b, the columns"),
        (FRAME.with_columns(a=pl.lit("many")), ":2:3: 'many' is not a number"),
        (FRAME[:4], "[x]: contains 2 rows, expected at least 3, the window of the model"),
        (
            FRAME.with_columns(a=pl.when(pl.col("a") == 39).then(None).otherwise(pl.col("a"))),
            ":80:3: 'a' is missing; fill it in, since the model was trained without gaps",
        ),
        (FRAME.filter(pl.col("a") != 20), ":42: rows missing before this row by data.every: 1; add them, since"),
    ],
)
def test_tables_that_training_would_refuse_are_refused(tmp_path: Path, frame: pl.DataFrame, message: str) -> None:
    signature = load(written(tmp_path, FRAME), **GROUPED, every="1d").signature
    path = written(tmp_path, frame, "other.csv")
    assert error_of(lambda: predicted(path, signature)).startswith(f"{path}{message}")


@pytest.mark.parametrize("horizon", [0, 1, 5])
def test_every_window_of_a_table_is_that_of_the_training(tmp_path: Path, horizon: int) -> None:
    fields = {**GROUPED, "inputs": ("a",), "horizon": horizon, "season": 3, "train": 20, "validation": 10, "test": 10}
    dataset = load(written(tmp_path, FRAME), **fields)
    form = read_back(dataset).form
    assert isinstance(form, TableForm)
    windows = all_windows(read_table(tmp_path / "x.csv"), form)
    assert [window.source for window in windows] == [f"{tmp_path / 'x.csv'}[{name}]" for name in "xy"]
    count = len(dataset.test) // 2
    for number, window in enumerate(windows):
        rows = slice(number * count, number * count + count)
        assert np.array_equal(window.x[-count:], dataset.test.x[rows].numpy())
        for ours, theirs in (
            (window.y, dataset.test.y),
            (window.naive, dataset.test.naive),
            (window.seasonal, dataset.test.seasonal),
        ):
            assert ours is not None
            assert theirs is not None
            assert np.array_equal(ours[-count:].reshape(theirs[rows].shape), theirs[rows].numpy())
        assert window.last[-1] == f"{tmp_path / 'x.csv'}:{80 - 2 * horizon + number}"


def test_arrays_are_windows_of_features(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, ONE), **SMALL)
    np.save(tmp_path / "x.npy", parts(dataset)[2].x.numpy())
    assert len(list(read_inputs(tmp_path / "x.npy", dataset.signature))) == len(dataset.test)


def test_a_signature_of_before_reads_the_last_rows(tmp_path: Path) -> None:
    values = {**load(written(tmp_path, ONE), **SMALL).signature.to_dict()}
    del values["form"]
    signature = Signature.from_dict(values)
    assert signature.form is None
    windows, _ = predicted(written(tmp_path, ONE.drop("date"), "bare.csv"), signature)
    assert windows[""].tolist() == [[37, 137], [38, 138], [39, 139]]


def test_a_form_survives_json() -> None:
    form = TableForm(
        (Feature("a", "category", ("x",)), Feature("b", ahead=2, offset=1.5, fill=0.5)),
        dialect=zoo.Dialect(null_values=("?",)),
        dates=zoo.DateForm("%d.%m.%Y", "Europe/Berlin"),
    )
    signature = Signature(features=2, form=form)
    assert Signature.from_dict(json.loads(json.dumps(signature.to_dict()))) == signature
