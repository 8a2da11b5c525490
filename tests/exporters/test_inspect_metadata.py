"""Metadata in `zoo inspect`: arrays by type and shape, long JSON shortened, never base64."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.parity import Array
from zoo_onnx.summary import LONG, NPY, describe


def packed(array: Array) -> str:
    """Pack an array as `zoo.runtime.golden` does."""
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    return b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(1), "float64 (1,)"),
        (np.zeros((2, 8, 8), np.float32), "float32 (2, 8, 8)"),
        (np.zeros((1, 200), np.int64), "int64 (1, 200)"),
        (np.zeros(()), "float64 ()"),
    ],
)
def test_arrays_of_any_size_by_type_and_shape(array: Array, words: str) -> None:
    """Short arrays are described too: one number takes 184 characters, less than the limit for texts."""
    value = packed(array)
    assert describe(value) == f"{words}, .npy in base64, {len(value):,} characters"


@pytest.mark.parametrize("rest", ["", "!", "AAAA", "\u00e4", "AQB2AHsnZGVzY3In", "A" * 1000])
def test_a_damaged_array_is_text(rest: str) -> None:
    text = f"{NPY}{rest}"
    assert describe(text) == (text if len(text) <= LONG else f"({len(text):,} characters)")


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (
            {"labels": ["word"] * 100, "scale": {"mean": 1}, "window": 0, "empty": []},
            "labels: 100 items, scale: 1 field, window: 0, empty: []",
        ),
        ({"a": "x" * 150, "b": "y" * 150}, "fields a, b"),
    ],
)
def test_long_json_in_short(value: object, short: str) -> None:
    text = json.dumps(value)
    assert describe(text) == f"{short} ({len(text):,} characters)"


@pytest.mark.parametrize("value", [{f"field_{number}": 0 for number in range(100)}, ["item"] * 100, "x" * 300])
def test_json_that_has_no_short_form_by_its_size(value: object) -> None:
    text = json.dumps(value)
    assert describe(text) == f"({len(text):,} characters)"


def test_long_texts_by_their_size() -> None:
    assert describe("a\n" * 300) == "(300 lines, 600 characters)"
    assert describe("a" * 3000) == "(3,000 characters)"
    assert describe("a" * LONG) == "a" * LONG


@given(
    st.text(max_size=400)
    | st.text('{}[]:,"0', max_size=400)
    | st.binary(max_size=300).map(lambda b: NPY + b64encode(b).decode())
)
def test_every_description_is_short(value: str) -> None:
    assert len(describe(value)) <= LONG + 50
