"""Validation of user arrays: which values are rejected and which position the error names, against plain NumPy."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

import zoo
from zoo.data.arrays import as_array, require_finite, to_float32, to_tokens

ODD = st.sampled_from([0.0, 1.5, -2.0, 3e38, 1e39, -1e39, np.inf, -np.inf, np.nan])
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))


def place_of(action: Any) -> str | None:
    """Return the position that the error names; None where there is no error."""
    try:
        action()
    except zoo.DataError as error:
        return str(error).partition(":")[0]
    return None


@given(values=SHAPES.flatmap(lambda shape: npst.arrays(np.float64, shape, elements=ODD)), data=st.data())
def test_the_first_number_that_is_not_finite_is_named(values: NDArray[np.float64], data: st.DataObject) -> None:
    lengths = data.draw(npst.arrays(np.int64, values.shape[:1], elements=st.integers(1, values.shape[1])))
    valid = np.arange(values.shape[1]) < lengths[:, None]
    limit = np.finfo(np.float32).max
    bad = [tuple(at) for at in np.argwhere(~(np.abs(values) <= limit)).tolist()]
    read = [at for at in bad if at[1] < lengths[at[0]]]
    narrow = to_float32(values)
    assert place_of(lambda: require_finite(narrow, values, str)) == (str(bad[0]) if bad else None)
    assert place_of(lambda: require_finite(narrow, values, str, valid=valid)) == (str(read[0]) if read else None)


@given(
    values=st.tuples(st.integers(1, 3), st.integers(1, 4)).flatmap(
        lambda shape: npst.arrays(np.int64, shape, elements=st.sampled_from([-(2**63), -1, 0, 1, 4, 5, 2**63 - 1]))
    ),
    data=st.data(),
)
def test_the_first_token_outside_the_vocabulary_is_named(values: NDArray[np.int64], data: st.DataObject) -> None:
    """With a vocabulary of five; a token behind the length of its sequence becomes one of the vocabulary."""
    lengths = data.draw(npst.arrays(np.int64, values.shape[:1], elements=st.integers(1, values.shape[1])))
    valid = np.arange(values.shape[1]) < lengths[:, None]
    read = [tuple(at) for at in np.argwhere(((values < 0) | (values > 4)) & valid).tolist()]
    assert place_of(lambda: to_tokens(values, 5, str, valid=valid)) == (str(read[0]) if read else None)
    if not read:
        tokens = to_tokens(values, 5, str, valid=valid)
        assert tokens.min() >= 0
        assert tokens.max() <= 4
        assert np.array_equal(tokens[valid], values[valid])


@pytest.mark.parametrize("dtype", ["f2", ">f4", "f8", "longdouble", "i1", "u8"])
def test_numbers_of_any_dtype_become_float32(dtype: str) -> None:
    """A NumPy warning would fail the test."""
    values = np.array([[0, 1], [2, 100]], dtype).T
    narrow = to_float32(values)
    assert narrow.flags.c_contiguous
    np.testing.assert_array_equal(narrow, np.array([[0, 2], [1, 100]], np.float32), strict=True)


def test_a_mask_is_found_in_lists_too() -> None:
    hidden = np.ma.masked_array([1.0, 2.0], [False, True])
    for given_ in (hidden, [hidden, hidden], [[1.0, np.ma.masked]], ([1.0], [np.ma.masked])):
        with pytest.raises(zoo.DataError, match=r"masked values \(\d\), expected none"):
            as_array(given_, "x")
    assert as_array([np.ma.masked_array([1.0, 2.0])], "x").tolist() == [[1.0, 2.0]]
    assert type(as_array(np.ma.masked_array([1.0]), "x")) is np.ndarray


def test_the_module_of_masked_arrays_is_not_imported_without_need() -> None:
    """Its import takes a tenth of the time of all other imports."""
    code = (
        "import sys, zoo.runtime, zoo.data.arrays; zoo.data.arrays.as_array([[1.0]], ''); "
        "sys.exit('numpy.ma' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
