"""The data source csv: windows, parts, scales and filled gaps against plain Python. Bad tables: test_bad_tables.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import zoo
from tests.data.common import error_of, parts, rewrites_files
from tests.support.paths import DATA
from zoo.data.preparation.timeline import parse_step
from zoo.data.sources.former_names import Csv

needs_shared = pytest.mark.skipif(not (DATA / "etth1").is_dir(), reason="the series are not in ../shared/data")

Rows = list[list[float]]


def load(path: Path | None = None, **fields: Any) -> zoo.Dataset:
    return Csv().load(Csv.Config(file=None if path is None else str(path), **fields))


def load_text(folder: Path, text: str | bytes, **fields: Any) -> zoo.Dataset:
    path = folder / "x.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, **fields)


def naive(split: zoo.Split) -> torch.Tensor:
    assert split.naive is not None
    return split.naive


def scales(dataset: zoo.Dataset) -> tuple[zoo.Scale, zoo.Scale]:
    first, second = dataset.signature.input_scale, dataset.signature.target_scale
    assert first is not None
    assert second is not None
    return first, second


def same(first: zoo.Split, second: zoo.Split) -> bool:
    return first.x.equal(second.x) and first.y.equal(second.y) and naive(first).equal(naive(second))


def table(names: str, rows: Rows) -> str:
    return "\n".join([names, *(",".join(map(repr, row)) for row in rows)]) + "\n"


def counting(count: int, columns: int = 2) -> Rows:
    """Return rows in which row i contains i, i + 1000, i + 2000, ..."""
    return [[float(row + 1000 * column) for column in range(columns)] for row in range(count)]


def column_numbers(split: zoo.Split) -> set[int]:
    return set(map(int, split.y.flatten().tolist()))


# Windows, parts and scales


@st.composite
def series(draw: st.DrawFn) -> tuple[Rows, dict[str, Any]]:
    """Draw rows of three columns a, b, c, and a config that fits them."""
    window, horizon = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    sizes = [draw(st.integers(least, least + 6)) for least in (window + horizon, max(1, horizon), max(1, horizon))]
    number = st.floats(-1e6, 1e6, width=32)
    count = sum(sizes) + draw(st.integers(0, 2))
    rows = draw(st.lists(st.lists(number, min_size=3, max_size=3), min_size=count, max_size=count))
    targets = draw(st.sampled_from([("c",), ("c", "b"), ("b",)]))
    free = [name for name in "abc" if horizon or name not in targets]
    inputs = draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
    fields = {"train": sizes[0], "validation": sizes[1], "test": sizes[2], "window": window, "horizon": horizon}
    return rows, {**fields, "inputs": tuple(inputs), "targets": targets}


def reference(rows: Rows, fields: dict[str, Any], part: int) -> tuple[list[Rows], list[Any], list[Any]]:
    """Return x, y and naive of a part, computed in plain Python."""
    sizes = [fields["train"], fields["validation"], fields["test"]]
    start, stop = sum(sizes[:part]), sum(sizes[: part + 1])
    window, horizon = fields["window"], fields["horizon"]

    def pick(names: tuple[str, ...], row: int) -> list[float]:
        return [rows[row]["abc".index(name)] for name in names]

    mean = np.mean([pick(fields["targets"], row) for row in range(sizes[0])], axis=0).tolist()
    x: list[Rows] = []
    y: list[Any] = []
    persistence: list[Any] = []
    for last in range(window - 1, len(rows)):
        target_rows = range(last + 1, last + horizon + 1) if horizon else [last]
        if all(start <= row < stop for row in target_rows):
            target = [pick(fields["targets"], row) for row in target_rows]
            x.append([pick(fields["inputs"], row) for row in range(last - window + 1, last + 1)])
            y.append(target if horizon else target[0])
            if horizon:
                persistence.append([pick(fields["targets"], last)] * horizon)
            else:
                persistence.append(pick(fields["targets"], last - 1) if last else mean)
    return x, y, persistence


@rewrites_files
@given(series())
def test_windows_are_those_of_plain_python(tmp_path: Path, case: tuple[Rows, dict[str, Any]]) -> None:
    rows, fields = case
    dataset = load_text(tmp_path, table("a,b,c", rows), **fields)
    for number, part in enumerate(parts(dataset)):
        x, y, persistence = reference(rows, fields, number)
        assert len(part) == len(x) > 0
        for got, want in ((part.x, x), (part.y, y), (naive(part), persistence)):
            assert got.dtype == torch.float32
            assert got.shape == np.shape(want)
            np.testing.assert_array_equal(got.numpy(), np.array(want, np.float32))
    signature = dataset.signature
    assert (signature.columns, signature.targets) == (fields["inputs"], fields["targets"])
    assert (signature.features, signature.window) == (len(fields["inputs"]), fields["window"])
    assert (signature.horizon, signature.ordered) == (fields["horizon"], True)


@rewrites_files
@given(series(), st.sampled_from(["standard", "min_max"]), st.sampled_from(["standard", "min_max", "none"]))
def test_scales_are_those_of_the_training_rows(
    tmp_path: Path, case: tuple[Rows, dict[str, Any]], input_scaling: str, target_scaling: str
) -> None:
    rows, fields = case
    signature = load_text(
        tmp_path, table("a,b,c", rows), **fields, input_scaling=input_scaling, target_scaling=target_scaling
    ).signature
    for names, kind, scale in (
        (fields["inputs"], input_scaling, signature.input_scale),
        (fields["targets"], target_scaling, signature.target_scale),
    ):
        if kind == "none":
            assert scale is None
            continue
        assert scale is not None
        for name, offset, factor in zip(names, scale.offset, scale.factor, strict=True):
            values = np.array([row["abc".index(name)] for row in rows[: fields["train"]]])
            low, high = values.min(), values.max()
            want = (values.mean(), values.std()) if kind == "standard" else (low, high - low)
            if np.float32(want[1]) == 0 or low == high:
                want = (want[0], 1.0)
            assert (offset, factor) == pytest.approx(want, rel=1e-9, abs=1e-9 * np.abs(values).max())
            assert np.float32(factor) != 0


@rewrites_files
@given(series(), st.integers(0, 1))
def test_later_rows_change_nothing_before_them(
    tmp_path: Path, case: tuple[Rows, dict[str, Any]], untouched: int
) -> None:
    """A part and the scales depend only on rows before the target rows of the next part."""
    rows, fields = case
    ends = [fields["train"], fields["train"] + fields["validation"]]
    before = load_text(tmp_path, table("a,b,c", rows), **fields)
    changed = [row if index < ends[untouched] else [cell + 1 for cell in row] for index, row in enumerate(rows)]
    after = load_text(tmp_path, table("a,b,c", changed), **fields)
    assert before.signature == after.signature
    for number in range(untouched + 1):
        assert same(parts(before)[number], parts(after)[number])
    assert not parts(before)[untouched + 1].y.equal(parts(after)[untouched + 1].y)


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_each_target_belongs_to_one_part(tmp_path: Path, horizon: int) -> None:
    dataset = load_text(
        tmp_path, table("a,b", counting(30)), targets=("b",), inputs=("a",), window=4, horizon=horizon,
        train=15, validation=7, test=8,
    )  # fmt: skip
    targets = [column_numbers(part) for part in parts(dataset)]
    first = 1000 + 4 + min(1, horizon) - 1
    assert targets == [set(range(first, 1015)), set(range(1015, 1022)), set(range(1022, 1030))]
    # Only the inputs reach back into the part before, by one window at most.
    assert dataset.validation.x[0, :, 0].tolist() == [15.0 - 4 - min(1, horizon) + step + 1 for step in range(4)]


def test_sequences_share_the_memory_of_the_rows(tmp_path: Path) -> None:
    dataset = load_text(tmp_path, table("a,b", counting(200)), targets=("b",), window=50)
    storage = dataset.train.x.untyped_storage()
    assert storage.nbytes() == 200 * 2 * 4
    assert storage.data_ptr() == dataset.test.x.untyped_storage().data_ptr()
    batch = dataset.train.take(torch.tensor([3, 0]))
    assert batch.x[:, 0, 0].tolist() == [3.0, 0.0]


def test_constant_columns_are_not_stretched(tmp_path: Path) -> None:
    """By rounding, the mean of a column of 0.1 is not 0.1, so its standard deviation is not 0."""
    rows = [[0.1, 7.0] for _ in range(20)]
    for scaling in ("standard", "min_max"):
        dataset = load_text(
            tmp_path, table("a,b", rows), targets=("b",), window=2, input_scaling=scaling, target_scaling=scaling
        )
        assert scales(dataset) == (zoo.Scale((0.1, 7.0), (1.0, 1.0)), zoo.Scale((7.0,), (1.0,)))


def test_persistence_of_the_very_first_row_is_the_mean(tmp_path: Path) -> None:
    dataset = load_text(
        tmp_path, table("a,b", counting(12)), targets=("b",), window=1, horizon=0, train=8, validation=2, test=2
    )
    assert len(dataset.train) == 8
    assert naive(dataset.train)[:3, 0].tolist() == [1003.5, 1000.0, 1001.0]
    assert naive(dataset.validation)[:, 0].tolist() == [1007.0, 1008.0]


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ((0.7, 0.15, 0.15), (70, 15, 15)),
        ((0.5, 0.25, 0.1), (50, 25, 10)),
        ((60, 0.2, 0.2), (60, 20, 20)),
        ((0.333, 0.333, 0.333), (33, 33, 33)),
        ((50, 10, 40), (50, 10, 40)),
    ],
)
def test_parts_are_counts_or_shares(tmp_path: Path, sizes: tuple[float, ...], rows: tuple[int, ...]) -> None:
    names = ("train", "validation", "test")
    dataset = load_text(
        tmp_path,
        table("a,b", counting(100)),
        targets=("b",),
        window=1,
        horizon=0,
        **dict(zip(names, sizes, strict=True)),
    )
    assert tuple(len(part) for part in parts(dataset)) == rows


def test_shares_of_one_in_all_leave_no_row_out(tmp_path: Path) -> None:
    for count in range(40, 60):
        dataset = load_text(tmp_path, table("a,b", counting(count)), targets=("b",), window=1, horizon=0)
        assert sum(len(part) for part in parts(dataset)) == count


# Columns, dates and gaps


def test_every_column_of_numbers_is_an_input(tmp_path: Path) -> None:
    text = ",Ticker,a, b ,Time,empty\n" + "".join(f"{i},SBUX,{i},{i}.5,2020-01-{i + 1:02},NA\n" for i in range(20))
    assert load_text(tmp_path, text, targets=("b",), window=2).signature.columns == ("a", "b")
    assert load_text(tmp_path, text, targets=("b",), window=2, horizon=0).signature.columns == ("a",)
    assert load_text(tmp_path, text, targets=("b",), inputs=("b", "a"), window=2).signature.columns == ("b", "a")


def test_faults_in_unused_columns_do_not_matter(tmp_path: Path) -> None:
    text = "a,b,c\n" + "".join(f"{i},{i},{'x' if i == 3 else i}\n" for i in range(20))
    assert len(load_text(tmp_path, text, targets=("b",), inputs=("a",), window=2).train) == 12


@pytest.mark.parametrize("name", ["date", "Time", "TIMESTAMP", "DateTime"])
def test_dates_are_recognised(tmp_path: Path, name: str) -> None:
    text = f"x,{name}\n" + "".join(f"{i},2020-01-{i + 1:02} 06:00\n" for i in range(20))
    dataset = load_text(tmp_path, text, targets=("x",), window=2, every="1d")
    assert "from 2020-01-01 06:00:00 to 2020-01-20 06:00:00" in dataset.description
    assert dataset.signature.columns == ("x",)


def test_a_column_with_the_name_time_is_a_feature_only_where_it_is_named_as_one(tmp_path: Path) -> None:
    text = "time,x\n" + "".join(f"{i}.5,{i}\n" for i in range(20))
    names = ("time", "x")
    assert load_text(tmp_path, text, targets=("x",), inputs=names, window=2).signature.columns == names
    message = error_of(lambda: load_text(tmp_path, text, targets=("x",), window=2))
    assert message.startswith(f"{tmp_path / 'x.csv'}:2:1: '0.5' is not a date; give one such as 2020-12-31 or ")
    assert message.endswith("or set data.date_format; where 'time' is a feature, name it as one")


def test_dates_with_time_zones_are_compared_as_moments(tmp_path: Path) -> None:
    lines = [f"2020-03-29T0{hour}:30:00+0{zone}:00" for hour, zone in ((0, 1), (1, 1), (3, 2), (4, 2))]
    text = "date,x\n" + "".join(f"{line},1\n" for line in lines)
    dataset = load_text(tmp_path, text, targets=("x",), window=1, every="1h", train=2, validation=1, test=1)
    assert len(dataset.test) == 1


def dated(dates: list[str], cells: list[str]) -> str:
    return "date,x\n" + "".join(f"{date},{cell}\n" for date, cell in zip(dates, cells, strict=True))


def column(folder: Path, text: str, count: int, **fields: Any) -> list[float]:
    """Return all values of the column x, with its gaps filled."""
    sizes = {"train": count - 2, "validation": 1, "test": 1}
    dataset = load_text(folder, text, targets=("x",), inputs=("x",), window=1, **sizes, **fields)
    inputs = [value for part in parts(dataset) for value in part.x[:, 0, 0].tolist()]
    return [*inputs, float(dataset.test.y[-1, 0, 0])]


MARKS = ["", " ", "NA", "n/a", "NaN", "nan", "None", "null", "nil", "#N/A"]


@pytest.mark.parametrize("mark", MARKS)
def test_missing_cells_are_filled(tmp_path: Path, mark: str) -> None:
    text = dated([f"2020-01-0{day}" for day in range(1, 8)], ["1", "2", mark, mark, "8", mark, "6"])
    assert column(tmp_path, text, 7, missing="previous") == [1, 2, 2, 2, 8, 8, 6]
    assert column(tmp_path, text, 7, missing="interpolate") == [1, 2, 4, 6, 8, 7, 6]


def test_interpolation_goes_by_the_dates(tmp_path: Path) -> None:
    """The gap lies three days after one value and one day before the next."""
    text = dated(["2020-01-01", "2020-01-02", "2020-01-05", "2020-01-06"], ["0", "4", "", "8"])
    assert column(tmp_path, text, 4, missing="interpolate") == [0, 4, 7, 8]
    assert column(tmp_path, text.replace("date", "day"), 4, missing="interpolate") == [0, 4, 6, 8]


@pytest.mark.parametrize(
    ("every", "dates"),
    [
        ("1d", ["2020-02-27", "2020-02-28", "2020-03-02", "2020-03-03", "2020-03-04"]),
        ("1 business day", ["2020-02-27", "2020-02-28", "2020-03-04", "2020-03-05", "2020-03-06"]),
        ("2 business days", ["2020-01-01", "2020-01-03", "2020-01-13", "2020-01-15", "2020-01-17"]),
        ("15min", ["2020-01-01 23:15", "2020-01-01 23:30", "2020-01-02 00:15", "2020-01-02 00:30", "2020-01-02 00:45"]),
        ("1 week", ["2020-01-01", "2020-01-08", "2020-01-29", "2020-02-05", "2020-02-12"]),
        ("10 ms", [f"2020-01-01 00:00:00.0{digits}0" for digits in ("10", "20", "50", "60", "70")]),
    ],
)
def test_missing_rows_are_filled(tmp_path: Path, every: str, dates: list[str]) -> None:
    """The second and the third row are three steps apart, so two rows are missing."""
    text = dated(dates, ["1", "2", "8", "9", "10"])
    assert column(tmp_path, text, 5) == [1, 2, 8, 9, 10]
    assert column(tmp_path, text, 7, every=every, missing="previous") == [1, 2, 2, 2, 8, 9, 10]
    assert column(tmp_path, text, 7, every=every, missing="interpolate") == [1, 2, 4, 6, 8, 9, 10]
    message = error_of(lambda: column(tmp_path, text, 7, every=every))
    assert message.startswith(f"{tmp_path / 'x.csv'}:4: rows missing before this row by data.every: 2; add them ")


@given(st.integers(1, 90), st.sampled_from(["s", "min", "h", "d"]), st.sets(st.integers(0, 300), min_size=1))
def test_slots_count_steps(count: int, unit: str, slots: set[int]) -> None:
    names = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
    step = timedelta(**{names[unit]: count})
    ordered = sorted(slots)
    dates = np.array([datetime(2020, 1, 31, 5) + slot * step for slot in ordered], "datetime64[us]")
    assert parse_step(f"{count}{unit}").slots(dates).tolist() == [slot - ordered[0] for slot in ordered]


@pytest.mark.parametrize("text", ["", "h1", "1.5h", "-1h", "0h", "1 fortnight", "1 month", "h h", "1h 5min", "\u0661h"])
def test_texts_that_are_not_steps(text: str) -> None:
    with pytest.raises(ValidationError, match=r"must be a count and a unit: ms, s, min, h, d, w, business day"):
        Csv.Config(every=text)


@pytest.mark.parametrize("size", [0, -1, True, 1.0, 0.0, -0.5, 1.5, "7", None])
def test_values_that_are_not_sizes(size: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Csv.Config(train=size)  # type: ignore[arg-type]
    assert [error["msg"] for error in caught.value.errors()] == [
        "Value error, must be a count of rows such as 200, or a share of them such as 0.7"
    ]


# Real series


def test_the_embedded_series() -> None:
    dataset = load()
    assert dataset.signature.columns == ("open", "high", "low", "close", "volume", "adj_close")
    assert dataset.signature.targets == ("close",)
    assert dataset.train.x.shape == (712, 20, 6)
    assert [len(part) for part in parts(dataset)] == [712, 157, 158]
    assert dataset.train.x[0, 0].tolist() == pytest.approx([100.0, 104.06, 95.96, 100.34, 22351900.0, 100.34])
    assert float(dataset.test.y[-1, -1, 0]) == pytest.approx(362.71)
    assert "2004-08-19 to 2008-10-14" in dataset.description
    assert load(every="1 business day", missing="previous").time == 20


@needs_shared
def test_hourly_transformer_temperatures() -> None:
    """The usual split of ETTh1, and the number of windows that the literature gives for it."""
    dataset = load(
        DATA / "etth1" / "ETTh1.csv", targets=("OT",), train=8640, validation=2880, test=2880,
        window=96, horizon=24, every="1h",
    )  # fmt: skip
    assert [len(part) for part in parts(dataset)] == [8521, 2857, 2857]
    assert dataset.train.x.shape == (8521, 96, 7)
    assert dataset.train.y.shape == naive(dataset.train).shape == (8521, 24, 1)
    oil = np.loadtxt(DATA / "etth1" / "ETTh1.csv", delimiter=",", skiprows=1, usecols=7)
    scale = scales(dataset)[1]
    assert (*scale.offset, *scale.factor) == pytest.approx((oil[:8640].mean(), oil[:8640].std()), rel=1e-9)
    np.testing.assert_array_equal(dataset.test.y[-1, :, 0].numpy(), oil[14400 - 24 : 14400].astype(np.float32))


@needs_shared
def test_daily_coffee_prices() -> None:
    """The recipe of a textbook: the first 200 rows train, each as a sequence of one step."""
    dataset = load(
        DATA / "sbux" / "SBUX.csv", targets=("Volume",), inputs=("Open", "High", "Low", "Close", "Adj Close"),
        train=200, validation=26, test=27, window=1, horizon=0, target_scaling="min_max",
    )  # fmt: skip
    assert dataset.train.x.shape == (200, 1, 5)
    assert [tuple(part.y.shape) for part in parts(dataset)] == [(200, 1), (26, 1), (27, 1)]
    assert float(dataset.train.y[0, 0]) == 4921900.0
