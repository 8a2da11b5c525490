"""The data source series: groups, known columns, categories, gaps, seasons; odd tables give data or one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import zoo
from tests.data.common import error_of, parts
from zoo.data.dataset_checks import check_dataset
from zoo.data.preparation.form import TableForm
from zoo.data.preparation.series import find_series
from zoo.data.sources.former_names import Csv
from zoo.data.sources.series import Series


def load(path: Path | None = None, **fields: Any) -> zoo.Dataset:
    dataset = Series().load(Series.Config(file=None if path is None else str(path), **fields))
    check_dataset(dataset)
    return dataset


def panel(lengths: dict[str, int], start: str = "2020-01-01") -> pl.DataFrame:
    """Return series by group, rows interleaved by date: a counts from 0, b is a + 100 times the number of the group."""
    frames = [
        pl.DataFrame(
            {
                "date": [str(np.datetime64(start) + day) for day in range(length)],
                "group": [name] * length,
                "a": [float(day) for day in range(length)],
                "b": [float(day + 100 * number) for day in range(length)],
            }
        )
        for number, (name, length) in enumerate(lengths.items(), 1)
    ]
    return pl.concat(frames).sort("date", maintain_order=True)


SMALL: dict[str, Any] = {"targets": ("b",), "window": 3}
GROUPED: dict[str, Any] = {**SMALL, "group": "group"}


def written(folder: Path, frame: pl.DataFrame, name: str = "x.csv") -> Path:
    path = folder / name
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_ipc(path)
    return path


def same(first: zoo.Dataset, second: zoo.Dataset) -> bool:
    pairs = zip(parts(first), parts(second), strict=True)
    return all(a.x.equal(b.x) and a.y.equal(b.y) for a, b in pairs) and (
        first.signature.input_scale == second.signature.input_scale
    )


# Many series


@pytest.mark.parametrize("horizon", [0, 1, 2])
def test_windows_of_many_series_are_those_of_each_alone(tmp_path: Path, horizon: int) -> None:
    """Windows never cross series, and each is divided in time."""
    lengths = {"x": 40, "y": 25, "z": 33}
    frame = panel(lengths)
    fields = {**GROUPED, "inputs": ("a",), "horizon": horizon, "season": 2}
    whole = load(written(tmp_path, frame), **fields)
    single = {**fields, "group": None}
    alone = [
        load(written(tmp_path, frame.filter(pl.col("group") == name), f"{name}.csv"), **single) for name in lengths
    ]
    for number, part in enumerate(parts(whole)):
        own = [parts(dataset)[number] for dataset in alone]
        assert part.x.equal(torch.cat([split.x for split in own]))
        assert part.y.equal(torch.cat([split.y for split in own]))
        for name in ("naive", "seasonal"):
            ours, theirs = getattr(part, name), torch.cat([getattr(split, name) for split in own])
            different = ~(ours == theirs).flatten(1).all(1)  # only the mean of the training part differs
            assert int(different.sum()) == 0 or horizon == 0
    assert not whole.signature.ordered
    assert alone[0].signature.ordered
    assert "3 series by 'group', each divided in the order of time: 68 rows for training" in whole.description


def test_whole_series_are_in_one_part(tmp_path: Path) -> None:
    path = written(tmp_path, panel({str(number): 12 for number in range(10)}))
    dataset = load(path, **GROUPED, split="groups", group_feature=True, train=0.6, validation=0.2, test=0.2)
    groups = [set((part.y[:, 0, 0] // 100).int().tolist()) for part in parts(dataset)]
    assert [len(group) for group in groups] == [6, 2, 2]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert all(len(part) == 9 * count for part, count in zip(parts(dataset), (6, 2, 2), strict=True))
    assert [set(part.x[..., -1].flatten().tolist()) for part in parts(dataset)[1:]] == [{0.0}, {0.0}]
    assert dataset.train.x[..., -1].unique().tolist() == [1, 2, 3, 4, 5, 6]
    again = load(path, **GROUPED, split="groups", group_feature=True, train=0.6, validation=0.2, test=0.2)
    assert same(dataset, again)


def test_each_series_has_its_own_scale(tmp_path: Path) -> None:
    frame = panel({"x": 40, "y": 40}).with_columns(b=pl.when(pl.col("group") == "y").then(5.0).otherwise(pl.col("b")))
    signature = load(written(tmp_path, frame), **GROUPED, per="group").signature
    assert signature.group == 2
    assert signature.categories == ((), (), ("x", "y"))
    x, y = signature.target_scales
    assert [*x.offset, *x.factor] == pytest.approx([np.arange(28).mean() + 100, np.arange(28).std()])
    assert y == zoo.Scale((5.0,), (1.0,))
    assert signature.input_scales[0].offset[2] == 0


def test_a_series_that_is_too_short_is_left_out_and_named(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, panel({"x": 40, "new": 5})), **GROUPED)
    assert "Left out: 1 series that are too short or in no part: new." in dataset.description
    assert float(dataset.train.y.max()) < 200


# Columns


def test_known_columns_are_a_feature_of_the_future_too(tmp_path: Path) -> None:
    frame = panel({"x": 40, "y": 40})
    dataset = load(written(tmp_path, frame), **GROUPED, inputs=("b",), known=("a",), horizon=2)
    assert dataset.signature.columns == ("b", "a", "a+2")
    for part in parts(dataset):
        assert part.x[..., 2].equal(part.x[..., 1] + 2)
        assert part.x[:, -2:, 2].equal(part.y[..., 0] % 100)
    scale = dataset.signature.input_scale
    assert scale is not None
    assert (scale.offset[1], scale.factor[1]) == (scale.offset[2], scale.factor[2])


def test_rows_of_the_future_are_not_trained_on(tmp_path: Path) -> None:
    frame = panel({"x": 40})
    future = frame.with_columns(b=pl.when(pl.col("a") >= 37).then(None).otherwise(pl.col("b")))
    fields = {**SMALL, "inputs": ("b",), "known": ("a",), "horizon": 2, "train": 20, "validation": 8, "test": 8}
    dataset = load(written(tmp_path, future), **fields)
    assert same(dataset, load(written(tmp_path, frame, "whole.csv"), **fields))
    assert "Left out: group (text); 3 rows after the last targets of their series." in dataset.description


def test_texts_and_booleans_are_categories(tmp_path: Path) -> None:
    count = 40
    frame = panel({"x": count}).with_columns(
        sky=pl.Series([("sun", "rain", "snow")[row % 2 if row < 35 else 2] for row in range(count)]),
        open=pl.Series([row % 3 == 0 for row in range(count)]),
        code=pl.Series([(10, 9, 200)[row % 3] for row in range(count)]),
    )
    dataset = load(written(tmp_path, frame), **SMALL, inputs=("a", "sky", "open"), categories=("code",))
    names = ((), ("rain", "sun"), ("false", "true"), ("9", "10", "200"))
    assert dataset.signature.categories == names
    assert dataset.train.x[0, :, 1:].tolist() == [[2, 2, 2], [1, 1, 1], [2, 1, 3]]
    assert dataset.test.x[-1, :, 1].tolist() == [0, 0, 0]  # snow is not in the training part
    assert "sky (2 categories)" in dataset.description
    assert same(
        dataset, load(written(tmp_path, frame, "x.parquet"), **SMALL, inputs=("a", "sky", "open"), categories=("code",))
    )


def test_numbers_alone_are_inputs_where_none_are_named(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, panel({"x": 40})), **SMALL)
    assert dataset.signature.columns == ("a", "b")
    assert "Left out: group (text)." in dataset.description


def test_seconds_since_1970_keep_their_resolution(tmp_path: Path) -> None:
    frame = panel({"x": 120}).with_columns(clock=pl.col("a") * 4 + 1_700_000_000)
    dataset = load(written(tmp_path, frame), **SMALL, inputs=("clock",))
    assert dataset.signature.columns == ("clock-1700000000",)
    assert dataset.train.x[:, 0, 0].tolist() == [4.0 * row for row in range(len(dataset.train))]
    message = error_of(lambda: load(written(tmp_path, frame), targets=("clock",), inputs=("a",), window=3))
    assert message.endswith("the target 'clock': 84 different values became 4 in float32; subtract 1700000000 from it")


# Gaps and seasons


def test_masks_state_gaps_and_windows_without_targets_are_left_out(tmp_path: Path) -> None:
    frame = panel({"x": 40}).with_columns(
        a=pl.when(pl.col("a").is_in([0.0, 5.0, 6.0])).then(None).otherwise(pl.col("a")),
        b=pl.when(pl.col("b") == 110).then(None).otherwise(pl.col("b")),
    )
    dataset = load(written(tmp_path, frame), **SMALL, inputs=("a",), missing="mask")
    assert dataset.signature.columns == ("a", "a missing")
    mean = float(np.float32(np.mean([row for row in range(28) if row not in (0, 5, 6)])))
    assert dataset.train.x[0].tolist() == [[mean, 1], [1, 0], [2, 0]]
    assert dataset.train.x[4].tolist() == [[4, 0], [4, 1], [4, 1]]
    assert 110 not in dataset.train.y.flatten().tolist()
    assert len(dataset.train) == 24
    assert "(4 missing cells)" in dataset.description


def test_gaps_are_filled_within_each_series(tmp_path: Path) -> None:
    frame = panel({"x": 40, "y": 40})
    holes = frame.filter(~((pl.col("a") == 7) & (pl.col("group") == "y")))
    fields = {**GROUPED, "inputs": ("b",), "missing": "interpolate"}
    filled = load(written(tmp_path, holes), **fields, every="1d")
    assert same(filled, load(written(tmp_path, frame, "whole.csv"), **fields))
    assert "Gaps are interpolated (1 missing row)." in filled.description


def test_regular_steps_are_interpolated_by_their_number(tmp_path: Path) -> None:
    """On business days a weekend counts as no time, also where no row is missing; without a step it counts."""
    days = np.busday_offset(np.datetime64("2020-01-01"), np.arange(40))
    frame = panel({"x": 40}).with_columns(date=pl.Series(days.astype(str)), a=pl.int_range(40) * 1.0)
    holes = frame.with_columns(a=pl.when(pl.col("a") == 2).then(None).otherwise(pl.col("a")))
    fields: dict[str, Any] = {**SMALL, "inputs": ("a",), "missing": "interpolate"}
    assert load(written(tmp_path, holes), **fields, every="1 business day").train.x[0].flatten().tolist() == [0, 1, 2]
    assert load(written(tmp_path, holes), **fields).train.x[0].flatten().tolist() == [0, 1, 1.5]


def test_a_known_column_may_be_a_category(tmp_path: Path) -> None:
    frame = panel({"x": 40}).with_columns(event=pl.Series([("none", "fair")[row % 5 == 4] for row in range(40)]))
    dataset = load(written(tmp_path, frame), **SMALL, inputs=("b",), known=("event",), horizon=2)
    assert dataset.signature.columns == ("b", "event", "event+2")
    assert dataset.signature.categories == ((), ("fair", "none"), ("fair", "none"))
    assert dataset.train.x[0, :, 2].tolist() == [2, 2, 1]


@pytest.mark.parametrize(("horizon", "season"), [(1, 3), (2, 3), (5, 3), (4, 2), (0, 3)])
def test_seasonal_persistence_is_the_newest_known_season(tmp_path: Path, horizon: int, season: int) -> None:
    fields = {"targets": ("b",), "inputs": ("a",), "window": 2, "horizon": horizon, "season": season}
    dataset = load(written(tmp_path, panel({"x": 60})), **fields)
    for part in parts(dataset):
        assert part.seasonal is not None
        assert part.naive is not None
        last = part.x[:, -1, 0] + 100
        for step in range(max(1, horizon)):
            target = part.y[:, step, 0] if horizon else part.y[:, 0]
            ours = part.seasonal[:, step, 0] if horizon else part.seasonal[:, 0]
            back = season * (step // season + 1)
            reached = target - back >= 100
            assert ours[reached].equal((target - back)[reached])
            assert (ours <= last).all()
            naive = part.naive[:, step, 0] if horizon else part.naive[:, 0]
            assert ours[~reached].equal(naive[~reached])


# Odd tables with the right data


def test_every_format_and_dialect_gives_the_same_data(tmp_path: Path) -> None:
    frame = panel({"nord": 40, "süd": 30})
    whole = load(written(tmp_path, frame), **GROUPED, group_feature=True)
    for name in ("x.parquet", "x.jsonl", "x.arrow"):
        assert same(whole, load(written(tmp_path, frame, name), **GROUPED, group_feature=True))
    german = frame.with_columns(
        pl.col("date").str.to_date().dt.strftime("%d.%m.%Y"),
        *(pl.col(name).map_elements(lambda cell: f"{cell:.1f}".replace(".", ","), pl.String) for name in ("a", "b")),
    )
    path = tmp_path / "de.csv"
    path.write_bytes(german.write_csv(separator=";").encode("cp1252"))
    dataset = load(path, **GROUPED, group_feature=True, encoding="cp1252")
    assert same(whole, dataset)
    written_as = "separated by semicolons, encoded as CP1252, decimal comma"
    assert f"de.csv ({written_as}; 70 rows) from 2020-01-01 to 2020-02-09, 2 series" in dataset.description
    assert isinstance(dataset.signature.form, TableForm)
    assert dataset.signature.form.dialect.encoding == "cp1252"


def test_rows_are_sorted_where_the_spec_asks_for_it(tmp_path: Path) -> None:
    frame = panel({"x": 40, "y": 35})
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    ordered = load(written(tmp_path, frame), **GROUPED, inputs=("b",), group_feature=True)
    mixed = load(written(tmp_path, shuffled, "y.csv"), **GROUPED, inputs=("b",), group_feature=True, sort=True)
    rows = [
        sorted(torch.cat([part.x.flatten(1), part.y.flatten(1)], 1).tolist() for part in parts(data))
        for data in (ordered, mixed)
    ]
    assert sorted(map(sorted, rows[0])) == sorted(map(sorted, rows[1]))


@pytest.mark.parametrize(
    ("days", "form", "rows", "steps"),
    [
        ([1, 2, 4], {}, [0, 1, 2], [0, 1, 2]),
        ([1, 2, 4], {"sort": True}, [0, 1, 2], [0, 1, 2]),
        ([2, 4, 1], {"sort": True}, [2, 0, 1], [0, 1, 2]),
        ([1, 2, 3], {"every": "1d"}, [0, 1, 2], [0, 1, 2]),
        ([1, 2, 4], {"every": "1d"}, [0, 1, 2], [0, 1, 3]),
        ([1, 2, 4], {"date": None}, [0, 1, 2], [0, 1, 2]),
        ([3, 1, 2], {"sort": True, "every": "1d"}, [1, 2, 0], [0, 1, 2]),
    ],
)
def test_rows_in_order_are_kept_once(days: list[int], form: dict[str, Any], rows: list[int], steps: list[int]) -> None:
    values = np.array([10.0, 20, 30])
    dates = np.array([f"2020-01-0{day}" for day in days], "datetime64[us]")
    table = zoo.Table.of_columns("x", {"date": dates, "a": values})
    (series,) = find_series(table, TableForm(**{"features": (), "date": "date", **form}))
    assert (series.rows.tolist(), series.steps.tolist()) == (rows, steps)
    assert (series.rows is series.steps) == (rows == steps)
    assert series.dates is None or series.dates.tolist() == dates[rows].tolist()
    expected = np.full(steps[-1] + 1, np.nan)
    expected[steps] = values[rows]
    np.testing.assert_array_equal(series.spread(values), expected)
    np.testing.assert_array_equal(series.pick(values), values[rows])


def test_local_times_of_interleaved_series_pass_the_hour_that_comes_twice(tmp_path: Path) -> None:
    hours = ["2026-10-24 23:00", "2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 02:00",
             "2026-10-25 03:00", "2026-10-25 04:00", "2026-10-25 05:00"]  # fmt: skip
    rows = [f"{hour},{name},{row}" for row, hour in enumerate(hours) for name in ("x", "y")]
    path = tmp_path / "x.csv"
    path.write_text("time,g,b\n" + "\n".join(rows) + "\n")
    fields = {"targets": ("b",), "window": 1, "group": "g", "every": "1h", "train": 4, "validation": 2, "test": 2}
    assert len(load(path, **fields, zone="Europe/Berlin").train) == 6


def test_the_former_name_has_the_same_fields() -> None:
    assert Csv.name == "csv"
    assert Csv.Config is Series.Config
    assert Csv().load(Csv.Config()).train.x.equal(load().train.x)


def test_the_generated_stores_are_the_same_each_time() -> None:
    fields: dict[str, Any] = {
        "example": "stores",
        "group": "store",
        "known": ("holiday",),
        "window": 14,
        "horizon": 7,
        "season": 7,
    }
    assert same(load(**fields), load(**fields))
    assert load(**fields).signature.targets == ("sales",)


# Odd tables with one clear line

FRAME = panel({"x": 40, "y": 40})
ONE = panel({"x": 40})


def with_hole(column: str, row: int) -> pl.DataFrame:
    return ONE.with_columns(pl.when(pl.int_range(pl.len()) == row).then(None).otherwise(pl.col(column)).alias(column))


BAD: dict[str, tuple[pl.DataFrame, dict[str, Any], str]] = {
    "newest first": (
        ONE.reverse(),
        {},
        "{path}:3:1: the date 2020-02-08 00:00:00 is not later than the date before it, 2020-02-09 00:00:00; sort the "
        "rows by date, as data.sort: true does",
    ),
    "newest first, as in the United States": (
        ONE.with_columns(pl.col("date").str.to_date().dt.strftime("%m/%d/%Y")).reverse(),
        {"inputs": ("a",)},
        "{path}:3:1: the date 2020-02-08 00:00:00 is not later than the date before it",
    ),
    "order of one group": (
        pl.concat([FRAME[:6], FRAME[4:6].with_columns(date=pl.lit("2020-01-01")), FRAME[6:]]),
        {"group": "group"},
        "{path}:8:1: the date 2020-01-01 00:00:00 of 'x' is not later than the date before it, 2020-01-03",
    ),
    "several series as one": (
        FRAME,
        {},
        "{path}:3:1: the date 2020-01-01 00:00:00 occurs twice; remove one of the rows, or name the column that",
    ),
    "a date twice, sorted": (
        pl.concat([FRAME, FRAME[:1]]),
        {"group": "group", "sort": True},
        "{path}:82:1: the date 2020-01-01 00:00:00 occurs twice of 'x'; remove one of the rows",
    ),
    "sorting without dates": (ONE.drop("date"), {"sort": True}, "{path}: has no dates such as 2020-12-31, which "),
    "a time that is none": (
        ONE.with_columns(date=pl.lit("soon")),
        {},
        "{path}:2:1: 'soon' is not a date; give one such as 2020-12-31",
    ),
    "a row without a group": (
        with_hole("group", 4),
        {"group": "group"},
        "{path}:6:2: 'group' is missing, which names the series; fill it in",
    ),
    "no such group": (ONE, {"group": "shop"}, "{path}: has no column 'shop', which data.group names; columns: 'date'"),
    "the group as a feature": (
        ONE,
        {"group": "group", "inputs": ("a", "group")},
        "data.inputs: 'group' is the column of data.group; to make it a feature set data.group_feature",
    ),
    "a feature of no group": (ONE, {"group_feature": True}, "data.group_feature: needs the name of each row's series"),
    "scales of no group": (ONE, {"per": "group"}, "data.per: needs the name of each row's series; set data.group"),
    "every series too short": (
        panel({"x": 5, "y": 8}),
        {"group": "group", "window": 10},
        "data.window: too few of the 8 rows of the longest series, {path}, 'y' for a window in each part: train 5",
    ),
    "too few series": (
        FRAME,
        {"group": "group", "split": "groups"},
        "data.split: 2 of the 2 series of {path} have the 4 rows of a window and its horizon, and the parts need at ",
    ),
    "dates as a feature": (
        ONE.with_columns(day=pl.col("date")),
        {"inputs": ("a", "day")},
        "data.inputs: 'day' is a column of dates, which are no feature; name columns of numbers or categories",
    ),
    "many texts": (
        ONE.sample(200, with_replacement=True, seed=0).drop("date").with_columns(
            note=pl.Series([f"n{row}" for row in range(200)])
        ),
        {"inputs": ("a", "note")},
        "{path}: 'note' contains 140 different texts such as 'n0'; leave it out of data.inputs, or declare it in ",
    ),
    "a category without a value": (
        ONE.with_columns(note=pl.lit(None, pl.String)),
        {"categories": ("note",), "missing": "previous"},
        "{path}: 'note' has no value in the training part; leave it out of the features",
    ),
    "a missing category": (
        with_hole("group", 4),
        {"inputs": ("a", "group")},
        "{path}:6:2: 'group' is missing; fill it in or set data.missing to 'previous' or 'interpolate'",
    ),
    "a gap at the beginning of the second series": (
        FRAME.with_columns(a=pl.when(pl.col("b") == 200).then(None).otherwise(pl.col("a"))),
        {"group": "group", "missing": "previous"},
        "{path}:3:3: 'a' is missing, and no number before it can fill the gap; fill it in or remove the row",
    ),
    "no targets to train on": (
        ONE.with_columns(b=pl.when(pl.col("a") < 28).then(None).otherwise(pl.col("b"))),
        {"inputs": ("a",), "missing": "mask"},
        "data.train: no training row of {path} has its targets; fill them in",
    ),
    "no targets to test on": (
        ONE.with_columns(b=pl.when(pl.col("a") >= 34).then(None).otherwise(pl.col("b"))),
        {"inputs": ("a",), "missing": "mask"},
        "data.test: every window of {path} in this part has a missing target; fill them in, or choose another rule",
    ),
    "a gap that training did not have": (
        with_hole("a", 36),
        {"missing": "mask"},
        "{path}:38:3: 'a' is missing, which it never is in the training part; fill it in",
    ),
    "known without a forecast": (
        ONE,
        {"known": ("a",), "horizon": 0, "inputs": ("a",)},
        "data.known: needs rows to forecast, and data.horizon is 0; name the columns in data.inputs",
    ),
    "known longer than the window": (
        ONE,
        {"known": ("a",), "horizon": 5},
        "data.known: the window of 3 rows cannot hold what is known of 5 rows; set data.window to at least data.hor",
    ),
    "a known target": (ONE, {"known": ("b",)}, "data.known: 'b' is a target, a number that is not known"),
    "a target as a category": (ONE, {"categories": ("b",)}, "data.categories: 'b' is a target, a number that is not"),
    "a text as a target": (ONE, {"targets": ("group",)}, "{path}:2:2: 'x' is not a number; give one with"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_odd_tables_get_one_clear_line(tmp_path: Path, case: str) -> None:
    frame, fields, expected = BAD[case]
    path = written(tmp_path, frame)
    message = error_of(lambda: load(path, **{**SMALL, **fields}))
    assert message.startswith(expected.format(path=path))
    assert len(message.replace(str(path), "")) < 300
