"""Categories and groups in a signature, and the checks of a data set that has them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

import zoo
from zoo.data.dataset_checks import check_dataset

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
