"""`OnnxSession`: lengths, states and a fixed number of steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import zoo
from tests.support.files import counting_file, rewrite
from tests.support.models import draw, make_model, write
from zoo.runtime.session import OnnxSession


def refused(session: OnnxSession, *arguments: Any) -> str:
    with pytest.raises(zoo.DataError) as caught:
        session.run(*arguments)
    return str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(zoo.RunError) as caught:
        OnnxSession(path)
    assert str(caught.value) == f"{path}: does not exist; 'zoo export --onnx' makes it"


# --- lengths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint16", "uint64"])
def test_lengths_of_any_integer_dtype(dtype: str, tmp_path: Path) -> None:
    session = OnnxSession(write(make_model("lstm", takes_lengths=True), tmp_path))
    lengths = np.array([2, 5, 1])
    expected, actual = (session.run(draw(3, 5), lengths.astype(kind)) for kind in ("int64", dtype))
    assert all(np.array_equal(expected[name], actual[name]) for name in expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "complex64", "str"])
def test_lengths_that_are_no_integers(dtype: str, tmp_path: Path) -> None:
    session = OnnxSession(write(make_model("lstm", takes_lengths=True), tmp_path))
    lengths = np.ones(3).astype(dtype)
    assert refused(session, draw(3, 5), lengths) == (
        f"model.onnx: takes lengths of an integer dtype, got {lengths.dtype}"
    )


def test_tokens_that_are_no_integers(tmp_path: Path) -> None:
    """Conversion would truncate fractions; texts are never converted."""
    session = OnnxSession(write(make_model("lstm", encoder=zoo.OneHot(4)), tmp_path))
    assert refused(session, np.array([[0.5, 1.0]])) == (
        "model.onnx: x: contains values of type float64, expected integers, one per token; convert whole numbers with "
        "astype('int64')"
    )
    session = OnnxSession(write(make_model("lstm"), tmp_path))
    assert refused(session, np.full((1, 1, 8), "1")) == (
        "model.onnx: x: contains values of type <U1, expected real numbers such as float32; convert them with "
        "astype('float32')"
    )


# --- states ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initial", [7, [7]])
def test_missing_states_have_the_initial_value_of_the_file(initial: object, tmp_path: Path) -> None:
    session = OnnxSession(counting_file(tmp_path / "a.onnx", initial))
    x = np.ones((2, 3, 2), np.float32)
    outputs = session.run(x)
    assert outputs["y"].tolist() == [[13.0], [13.0]]
    assert outputs["next_state_0_steps"].tolist() == [[10], [10]]
    again = session.run(x, states={"state_0_steps": np.array([[0], [100]])})
    assert again["y"].tolist() == [[6.0], [106.0]]
    assert session.run(x)["y"].tolist() == [[13.0], [13.0]]


def test_any_subset_of_the_states(tmp_path: Path) -> None:
    """One of the two states of an LSTM; the file initialises both with 0."""
    session = OnnxSession(write(make_model("lstm", pooling=None), tmp_path, streaming=True))
    x, h, zero = draw(2, 3), np.full((2, 5), 0.5, np.float32), np.zeros((2, 5), np.float32)
    both = session.run(x, states={"state_0_h": h, "state_0_c": zero})
    partial = session.run(x, states={"state_0_h": h})
    assert all(np.array_equal(both[name], partial[name]) for name in both)
    assert not np.array_equal(session.run(x)["logits"], partial["logits"])


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        (
            {"state_1_steps": np.zeros((2, 1), np.int64)},
            "takes no state 'state_1_steps'; its states are: state_0_steps",
        ),
        ({"state_0_steps": np.zeros((3, 1), np.int64)}, "takes state_0_steps as (2, 1) of int64, got (3, 1) of int64"),
        ({"state_0_steps": np.zeros((2, 1))}, "takes state_0_steps as (2, 1) of int64, got (2, 1) of float64"),
    ],
)
def test_states_that_do_not_fit(states: dict[str, Any], reason: str, tmp_path: Path) -> None:
    session = OnnxSession(counting_file(tmp_path / "a.onnx"))
    assert refused(session, np.ones((2, 3, 2), np.float32), None, states) == f"a.onnx: {reason}"


def test_states_for_a_file_without_states(tmp_path: Path) -> None:
    session = OnnxSession(write(make_model("lstm"), tmp_path))
    states = {"state_0_h": np.zeros((1, 5), np.float32)}
    assert refused(session, draw(1, 2), None, states) == "model.onnx: takes no state 'state_0_h'; its states are: none"


@pytest.mark.parametrize(("initial", "dtype"), [([1, 2], "int64"), ("a", "int64"), (0, "int65"), (0, "str"), (0, "O")])
def test_malformed_entries_for_states(initial: object, dtype: str, tmp_path: Path) -> None:
    with pytest.raises(zoo.RunError, match="its metadata entry 'states' is malformed; export the run"):
        OnnxSession(counting_file(tmp_path / "a.onnx", initial, dtype))


def test_an_entry_with_another_dtype_than_the_input(tmp_path: Path) -> None:
    with pytest.raises(zoo.RunError, match="has inputs or outputs that differ from its metadata; export the run again"):
        OnnxSession(counting_file(tmp_path / "a.onnx", 0, "float32"))


# --- steps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 7, 9])
def test_a_fixed_number_of_steps(steps: int, tmp_path: Path) -> None:
    path = write(make_model("lstm"), tmp_path)
    file = onnx.load(path)
    file.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 8
    session = OnnxSession(rewrite(path, file))
    assert refused(session, draw(2, steps)) == (
        f"model.onnx: takes exactly 8 steps, the number it was exported for, got {steps}; give that many, or export "
        "the run with another lowering"
    )
    assert session.run(draw(2, 8))["logits"].shape == (2, 10)
