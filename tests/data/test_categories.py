"""Categories and groups in a signature, and the checks of a data set that has them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import zoo
from zoo.data.categories import require_ids
from zoo.data.dataset_checks import check_dataset
from zoo.data.in_memory import given_sequences
from zoo.data.steps import as_steps

SIGNATURE = zoo.Signature(
    features=2,
    categories=(("a", "b", "c"), ()),
    group=0,
    input_scale=zoo.Scale((0.0, 1.0), (1.0, 2.0)),
    input_scales=(zoo.Scale((0.0, 1.0), (1.0, 2.0)),) * 3,
    targets=("y",),
    target_scale=zoo.Scale((0.0,), (1.0,)),
    target_scales=tuple(zoo.Scale((float(number),), (2.0,)) for number in range(3)),
)


def dataset(ids: Any, signature: zoo.Signature = SIGNATURE, lengths: Any = None) -> zoo.Dataset:
    """Return a data set whose parts have these ids, (sequences, time), and a number."""
    x = torch.stack([torch.tensor(ids, dtype=torch.float32), torch.zeros(len(ids), len(ids[0]))], -1)
    part = zoo.Split(x, torch.zeros(len(ids), 1), None if lengths is None else torch.tensor(lengths))
    return zoo.Dataset(part, part, part, replace(signature, lengths=lengths is not None), "Made up.")


def test_a_signature_with_categories_survives_json() -> None:
    again = zoo.Signature.from_dict(json.loads(json.dumps(SIGNATURE.to_dict())))
    assert again == SIGNATURE
    assert again.category_counts == (4, 0)
    assert zoo.Signature(features=3).category_counts == (0, 0, 0)


def test_a_signature_without_the_new_fields_loads() -> None:
    values = zoo.Signature(features=1, labels=("a", "b")).to_dict()
    for field in ("categories", "group", "input_scales", "target_scales"):
        del values[field]
    assert zoo.Signature.from_dict(values).category_counts == (0,)


def test_ids_with_the_unknown_one_are_accepted() -> None:
    check_dataset(dataset([[0, 0], [3, 3]]))
    check_dataset(dataset([[1, 9], [3, 3]], lengths=[1, 2]))  # the padding is not checked


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[1, 1], [4, 4]], "data.train.x: has the value 4 in feature [0], expected the id of a category, a whole"),
        ([[-1, -1]], "data.train.x: has the value -1 in feature [0], expected the id of a category, a whole number"),
        ([[1.5, 1.5]], "has the value 1.5 in feature [0], expected the id of a category, a whole number from 0 to 3"),
        ([[1, 1], [1, 2]], "data.train.x: sequence [1] has several groups in feature [0], expected the same at each"),
    ],
)
def test_other_ids_are_refused(ids: Any, message: str) -> None:
    with pytest.raises(zoo.DataError, match=re.escape(message)):
        check_dataset(dataset(ids))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": (("a",),)}, "data.signature.categories: has 1 entries, expected 2, one for each feature"),
        ({"categories": (("a", "b", "a"), ())}, "data.signature.categories[0]: has 'a' twice, expected different"),
        ({"group": 1}, "data.signature.group: is 1, expected the index of a feature with categories"),
        ({"group": None}, "data.signature.group: is None, expected the index of a feature, since groups have scales"),
        ({"target_scales": SIGNATURE.target_scales[:2]}, "target_scales: has 2 scales, expected 3, one for each group"),
        ({"input_scales": SIGNATURE.target_scales}, "data.signature.input_scales: has a scale without 2 columns"),
        ({"input_scale": None}, "data.signature.input_scale: is None, expected the scale of unknown groups"),
    ],
)
def test_faulty_signatures_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.DataError, match=re.escape(message)):
        check_dataset(dataset([[1, 1]], replace(SIGNATURE, **changes)))


class Column:
    """A column of a data frame: an array with the dtype of its library."""

    def __init__(self, values: list[Any], dtype: str) -> None:
        self.values, self.dtype = values, dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, object if self.dtype == "string" else dtype)


class Frame:
    """A data frame as libraries have it: names of columns, and a column for each."""

    def __init__(self, **columns: Any) -> None:
        self.columns, self.values = [*columns], columns

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def frames() -> list[Frame]:
    """Return 40 sequences; the last six, the test part, have a category that the others lack."""
    return [
        Frame(
            load=np.array([1.0, 2.0 * number]),
            kind=Column(["b", "a"] if number < 34 else ["new", "b"], "string"),
            open=np.array([True, False]),
            line=Column([7, 3], "category"),
            note=Column(["x", None], "string"),
        )
        for number in range(40)
    ]


def test_columns_of_texts_and_booleans_become_categories() -> None:
    data = zoo.Dataset.from_arrays(frames(), np.arange(40) % 2, seed=None)
    check_dataset(data)
    assert data.signature.columns == ("load", "kind", "open", "line", "note")
    assert data.signature.categories == ((), ("a", "b"), ("False", "True"), ("3", "7"), ("x",))
    assert data.train.x[0].tolist() == [[1, 2, 2, 2, 1], [0, 1, 1, 1, 0]]
    assert data.test.x[-1, :, 1].tolist() == [0, 2]  # 'new' is unknown, since the training part lacks it
    scale = data.signature.input_scale
    assert scale is not None
    assert (scale.offset[1:], scale.factor[1:]) == ((0.0,) * 4, (1.0,) * 4)
    assert "5 features each, 4 of them categorical" in data.description
    assert zoo.Dataset.from_arrays([{"a": [1.0, 2.0]}] * 40, np.arange(40) % 2).signature.categories == ()


def test_a_column_without_a_category_in_the_training_part_is_refused() -> None:
    tables = [{"a": [1.0], "kind": ["x" if number > 35 else None]} for number in range(40)]
    with pytest.raises(zoo.DataError, match="x: column 'kind' has no value in the training part; leave it out"):
        zoo.Dataset.from_arrays(tables, np.arange(40) % 2, seed=None)


def test_a_table_to_predict_has_names_of_categories() -> None:
    signature = zoo.Signature(features=2, columns=("kind", "load"), categories=(("a", "b"), ()))
    table = {"load": [1.0, 2.0, 3.0], "kind": ["b", "new", None]}
    values = [np.asarray(given.value).tolist() for given in given_sequences(table, signature)]
    assert values == [[[2, 1], [0, 2], [0, 3]]]
    with pytest.raises(zoo.DataError, match="x, column 'load': contains values of type <U1, expected real numbers"):
        given_sequences({"kind": ["a"], "load": ["a"]}, signature)


def place(index: tuple[int, ...]) -> str:
    """Return the position of a value."""
    return f"x{list(index)}"


@pytest.mark.parametrize("value", [4, -1, 1.5, np.nan, np.inf])
def test_a_user_gives_ids(value: float) -> None:
    signature = replace(SIGNATURE, group=None, columns=("store", "load"))
    x = np.array([[[1, 9], [3, 9]], [[0, 9], [value, 9]]], np.float32)
    message = f"x[1, 1, 0]: has the value {value:g}, expected the id of a category of 'store', a whole number from 0"
    with pytest.raises(zoo.DataError, match=re.escape(message)):
        require_ids(x, signature, place)
    valid = np.array([[True, True], [True, False]])
    assert require_ids(x, signature, place, valid).tolist() == [[[1, 9], [3, 9]], [[0, 9], [0, 9]]]
    assert np.array_equal(x[1, 1, 0], np.float32(value), equal_nan=True)  # the user's array stays


def test_a_user_gives_sequences_of_one_group() -> None:
    x = np.array([[[1, 9], [1, 9]], [[2, 9], [3, 9]]], np.float32)
    with pytest.raises(zoo.DataError, match=re.escape("x[1, 1, 0]: has the group 3 of feature [0], expected 2 as at")):
        require_ids(x, SIGNATURE, place)
    with pytest.raises(zoo.DataError, match=re.escape("x, step [1], feature [0]: has the group 3 of feature [0]")):
        as_steps(x[1], SIGNATURE, "x")
    require_ids(x, SIGNATURE, place, np.array([[True, True], [True, False]]))
