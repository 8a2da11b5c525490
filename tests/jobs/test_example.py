"""Example arguments of a module from a file: by name, in order, in tuples, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo.errors import DataError
from zoo.jobs.example import read_example


class Net(nn.Module):
    """Module with every kind of argument."""

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: Any = None, *, scale: float = 1.0) -> Tensor:
        return x


class Several(nn.Module):
    """Module with any number of arguments."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        return first


def given(folder: Path, module: nn.Module, *arrays: Any, **named: Any) -> tuple[Any, ...]:
    np.savez(folder / "e.npz", *arrays, **named)
    return read_example(module, folder / "e.npz")


ONE, TWO, THREE = np.ones(1, np.float32), np.arange(2), np.zeros((3, 1), bool)


def plain(value: Any) -> Any:
    """Describe arguments by structure, dtype and values."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, Tensor):
        return plain(value.numpy())
    return None if value is None else (value.dtype.name, value.tolist())


def same(given: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    """Return whether arguments are tensors with the values, dtypes and structure that are expected."""
    return plain(given) == plain(expected) and all(
        value is None or isinstance(value, Tensor | tuple) for value in given
    )


def test_names_in_any_order(tmp_path: Path) -> None:
    assert same(given(tmp_path, Net(), lengths=TWO, x=ONE), (ONE, TWO))


def test_order_without_names(tmp_path: Path) -> None:
    assert same(given(tmp_path, Net(), ONE, TWO), (ONE, TWO))
    assert same(given(tmp_path, Net(), ONE, lengths=TWO), (ONE, TWO))


def test_a_gap_has_the_default(tmp_path: Path) -> None:
    assert same(given(tmp_path, Net(), x=ONE, state=TWO), (ONE, None, TWO))


def test_a_tuple_is_numbered(tmp_path: Path) -> None:
    assert same(given(tmp_path, Net(), x=ONE, state_1=TWO, state_0=THREE), (ONE, None, (THREE, TWO)))
    lstm = given(tmp_path, nn.LSTM(1, 1), input=ONE, hx_0=TWO, hx_1=THREE)
    assert same(lstm, (ONE, (TWO, THREE)))


def test_any_number_of_arguments(tmp_path: Path) -> None:
    assert same(given(tmp_path, Several(), ONE, TWO, THREE), (ONE, TWO, THREE))
    assert same(given(tmp_path, Several(), others_0=TWO, first=ONE), (ONE, TWO))
    assert same(given(tmp_path, Several(), ONE), (ONE,))


def test_a_npy_file_is_the_first_argument(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", ONE)
    assert same(read_example(Net(), tmp_path / "e.npy"), (ONE,))


def test_memory_is_not_shared_with_the_file(tmp_path: Path) -> None:
    (x,) = given(tmp_path, Net(), x=ONE)
    x += 1
    assert torch.equal(given(tmp_path, Net(), x=ONE)[0], torch.ones(1))


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"y": ONE}, "has an array 'y'; forward of Net takes x, lengths, state"),
        ({"x": ONE, "scale": ONE}, "has an array 'scale'; forward of Net takes x, lengths, state"),
        ({"x": ONE, "arr_3": ONE}, "has an array 'arr_3'; forward"),
        ({"x": ONE, "y_0": ONE}, "has an array 'y_0'; forward"),
        ({"lengths": TWO}, "has no array 'x', which forward of Net needs; it has lengths"),
        ({"x": ONE, "arr_0": ONE}, "arr_0: the argument 'x' has another array already"),
        ({"x": ONE, "state": TWO, "state_0": ONE}, "state_0: the argument 'state' has another array already"),
        ({"x": ONE, "state_0": TWO, "state": ONE}, "state: the argument 'state' has another array already"),
        ({"x": ONE, "state_1": TWO}, "has no array 'state_0', and has 'state_1'"),
        ({"x": ONE, "state_0": TWO, "state_00": ONE}, "state_00: the argument 'state' has another array already"),
    ],
)
def test_refusals(arrays: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        given(tmp_path, Net(), **arrays)
    assert str(caught.value).startswith(f"{tmp_path / 'e.npz'}: ")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refusals_of_any_number_of_arguments(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"forward of Several takes first, others_0, others_1 and so on$"):
        given(tmp_path, Several(), ONE, x=TWO)
    with pytest.raises(DataError, match=r"has no array 'first', which forward of Several needs; it has others_0$"):
        given(tmp_path, Several(), others_0=TWO)
