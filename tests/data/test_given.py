"""`zoo.Dataset.from_arrays`: kinds of targets, tables, splits, scales and faults; checks of a data set made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from tests.data.common import parts
from zoo.data.dataset_checks import check_dataset

RANDOM = np.random.default_rng(0)
X = RANDOM.random((40, 5, 3))
LISTED = [RANDOM.random((3 + number % 4, 2)) for number in range(40)]


class Frame:
    """A data frame as libraries have it: names of columns, and a column for each."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.values = columns
        self.columns = [*columns]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def test_integers_are_labels_of_sequences() -> None:
    labels = np.arange(40) % 3 * 5
    data = zoo.Dataset.from_arrays(X, labels, description="Noise.")
    check_dataset(data)
    assert data.signature.labels == ("0", "5", "10")
    assert (data.signature.features, data.signature.lengths, data.signature.ordered) == (3, False, False)
    assert data.description.startswith("Noise. 40 sequences of 5 steps with 3 features each; ")
    assert [len(part) for part in parts(data)] == [28, 6, 6]
    for part in parts(data):
        assert part.x.dtype == torch.float32
        assert part.lengths is None
        assert part.y.bincount().min() >= 2  # every part has its share of each label


def test_the_parts_are_the_whole() -> None:
    data = zoo.Dataset.from_arrays(X, np.arange(40) % 2)
    rows = torch.cat([part.x[:, 0, 0] for part in parts(data)]).sort().values
    assert torch.equal(rows, torch.from_numpy(X[:, 0, 0]).float().sort().values)
    by_value = {float(x): label for x, label in zip(X[:, 0, 0].astype(np.float32), np.arange(40) % 2, strict=True)}
    for part in parts(data):
        assert [by_value[float(x)] for x in part.x[:, 0, 0]] == part.y.tolist()


def test_the_seed_draws_the_parts() -> None:
    first, again, other = (zoo.Dataset.from_arrays(X, np.arange(40) % 2, seed=seed).test.x for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_a_seed_the_parts_follow_each_other() -> None:
    data = zoo.Dataset.from_arrays(X, X.sum((1, 2)), seed=None, validation=0.2, test=0.3)
    assert data.signature.ordered
    assert torch.equal(torch.cat([part.x for part in parts(data)]), torch.from_numpy(X).float())
    assert [len(part) for part in parts(data)] == [20, 8, 12]


def test_sequences_of_several_lengths_with_a_label_for_each_step() -> None:
    words = np.array(["b", "a"])
    data = zoo.Dataset.from_arrays(LISTED, [words[np.arange(len(x)) % 2] for x in LISTED])
    check_dataset(data)
    assert data.signature.labels == ("a", "b")
    assert data.signature.by_step
    assert data.signature.lengths
    for part in parts(data):
        assert part.lengths is not None
        for y, length in zip(part.y, part.lengths, strict=True):
            assert y[:length].tolist() == [1 - number % 2 for number in range(int(length))]
            assert (y[length:] == zoo.IGNORED).all()


def test_scales_are_those_of_the_training_part_without_padding() -> None:
    data = zoo.Dataset.from_arrays([x * [1, 0] + [0, 7] for x in LISTED], [float(x.sum()) for x in LISTED])
    scale, lengths = data.signature.input_scale, data.train.lengths
    assert scale is not None
    assert lengths is not None
    steps = torch.cat([x[:length] for x, length in zip(data.train.x, lengths, strict=True)])[:, 0].double()
    assert scale.offset == pytest.approx((float(steps.mean()), 7.0))
    assert scale.factor == pytest.approx((float(steps.std(correction=0)), 1.0))  # a constant is not divided by zero
    assert data.signature.target_scale is not None
    assert data.signature.target_scale.offset == pytest.approx((float(data.train.y.mean()),))


def structured(columns: dict[str, Any]) -> Any:
    """Return a structured array of columns of equal lengths."""
    table = np.empty(len(next(iter(columns.values()))), [(name, np.float64) for name in columns])
    for name, values in columns.items():
        table[name] = values
    return table


@pytest.mark.parametrize("table", [dict, Frame, structured])
def test_tables_name_features_and_targets(table: Any) -> None:
    x = [table({"u": np.arange(4), "v": RANDOM.random(4)}) for _ in range(12)]
    data = zoo.Dataset.from_arrays(x, table({"sum": RANDOM.random(12), "least": RANDOM.random(12)}))
    check_dataset(data)
    assert data.signature.columns == ("u", "v")
    assert data.signature.targets == ("sum", "least")
    assert data.train.x[0, :, 0].tolist() == [0, 1, 2, 3]


def test_three_axes_of_numbers_are_a_forecast() -> None:
    data = zoo.Dataset.from_arrays(X, RANDOM.random((40, 4, 2)).astype(np.float32))
    check_dataset(data)
    assert (data.signature.horizon, data.signature.targets) == (4, ("y0", "y1"))


def test_repeated_sequences_are_counted() -> None:
    data = zoo.Dataset.from_arrays(np.zeros((20, 2, 1)), np.arange(20) % 2)
    assert data.repeated == {"validation": len(data.validation), "test": len(data.test)}
    assert zoo.Dataset.from_arrays(X, np.arange(40) % 2).repeated == {"validation": 0, "test": 0}


FAULTS: dict[str, tuple[Any, Any, str]] = {
    "two axes": (X[0], [0, 1], r"x: has the shape \(5, 3\), expected \(sequences, time, features\)"),
    "no sequence": ([], [], "x: contains no sequence"),
    "too few": (X[:2], [0, 1], "x: 2 sequences give parts of 2, 0, 0"),
    "counts": (X, [0, 1], "y: has targets for 2 sequences, and x has 40"),
    "one label": (X, np.zeros(40, int), "y: every target is '0'"),
    "no labels": (X, [None] * 40, "y: contains values of type object"),
    "NaN": (np.where(X[3, 1, 2] == X, np.nan, X), np.arange(40) % 2, r"x\[3\], step \[1\], feature \[2\]: nan"),
    "NaN to predict": (X, np.full(40, np.inf), r"y\[0, 0\]: inf is not a finite number"),
    "texts": ([["a"]] * 40, np.arange(40) % 2, r"x\[0\]: contains values of type <U1"),
    "features": ([X[0], X[1][:, :2]], [0, 1], r"x\[1\]: has 2 features, expected 3"),
    "steps": (X, np.zeros((40, 4), int), r"y\[0\]: has the shape \(4,\), expected a label for each of 5 steps"),
    "whole numbers": (X, np.zeros((40, 4, 2), int), "convert numbers to predict with astype"),
    "column": ([{"u": [1.0]}, {"v": [1.0]}], [0, 1], r"x\[1\]: has no column 'u', expected u; got v"),
    "uneven columns": ([{"u": [1.0], "v": [1.0, 2.0]}], [0], r"x\[0\]: has columns of different lengths: u 1, v 2"),
    "missing in a column": ([{"u": [1.0, np.nan]}], [0], r"x\[0\], column 'u', row \[1\]: nan"),
}


@pytest.mark.parametrize(("x", "y", "expected"), FAULTS.values(), ids=FAULTS)
def test_faults_name_the_place(x: Any, y: Any, expected: str) -> None:
    with pytest.raises(zoo.DataError, match=expected):
        zoo.Dataset.from_arrays(x, y)


def test_impossible_shares() -> None:
    with pytest.raises(zoo.DataError, match=r"the shares are 0\.5 and 0\.5, expected to be positive"):
        zoo.Dataset.from_arrays(X, np.arange(40) % 2, validation=0.5, test=0.5)


GOOD = zoo.Dataset.from_arrays(X, np.arange(40) % 2)
TAGS = zoo.Dataset.from_arrays(LISTED, [np.arange(len(x)) % 2 for x in LISTED])
NUMBERS = zoo.Dataset.from_arrays(X, X[:, 0, 0])
BAD: dict[str, tuple[zoo.Dataset, str]] = {
    "dtype": (
        replace(GOOD, train=replace(GOOD.train, x=GOOD.train.x.double())),
        r"data\.train\.x: has the type torch\.float64, expected float32 or integers",
    ),
    "features": (
        replace(GOOD, test=replace(GOOD.test, x=GOOD.test.x[:, :, :2])),
        r"data\.test\.x: has the shape \(6, 5, 2\), expected \(sequences, time, 3\)",
    ),
    "NaN": (replace(GOOD, test=replace(GOOD.test, x=GOOD.test.x / 0)), "data.test.x: has numbers that are not finite"),
    "count": (replace(GOOD, test=replace(GOOD.test, y=GOOD.test.y[:2])), "has 6 sequences and 2 targets"),
    "class": (
        replace(GOOD, test=replace(GOOD.test, y=GOOD.test.y + 1)),
        r"data\.test\.y: has the value 2, expected 0 to 1",
    ),
    "class dtype": (replace(GOOD, test=replace(GOOD.test, y=GOOD.test.y.int())), "torch.int32, expected int64"),
    "no lengths": (replace(TAGS, train=replace(TAGS.train, lengths=None)), "so expected lengths"),
    "lengths": (replace(GOOD, train=replace(GOOD.train, lengths=GOOD.train.y)), "so expected no lengths"),
    "length 0": (
        replace(TAGS, train=replace(TAGS.train, lengths=torch.zeros(len(TAGS.train), dtype=torch.int64))),
        "lengths, less 1: has the value -1",
    ),
    "targets": (
        replace(NUMBERS, train=replace(NUMBERS.train, y=NUMBERS.train.y[:, 0])),
        r"data\.train\.y: has the shape \(28,\), expected \(28, 1\)",
    ),
    "naive": (
        replace(NUMBERS, train=replace(NUMBERS.train, naive=NUMBERS.train.y[:, 0])),
        r"data\.train\.y: has the shape \(28, 1\), and naive has \(28,\)",
    ),
    "infinite": (replace(NUMBERS, train=replace(NUMBERS.train, y=NUMBERS.train.y / 0)), "expected finite float32"),
    "token": (
        replace(
            GOOD,
            signature=zoo.Signature(vocabulary=("a", "b"), labels=("0", "1")),
            train=replace(GOOD.train, x=torch.full((28, 5), 2)),
        ),
        r"data\.train\.x: has the value 2, expected 0 to 1",
    ),
}


@pytest.mark.parametrize(("data", "expected"), BAD.values(), ids=BAD)
def test_a_data_set_made_by_hand_is_checked(data: zoo.Dataset, expected: str) -> None:
    with pytest.raises(zoo.DataError, match=expected):
        check_dataset(data)
