"""Sealed files: the content is restored exactly, and any damage is detected."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from zoo.errors import RunError
from zoo.files import write_atomically
from zoo.sealed import load_sealed, save_sealed

DTYPES = (
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
)

over_one_file = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Draw tensors of any bits, dtype and shape, including every kind of NaN, -0.0 and infinity."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    count = torch.Size(shape).numel()
    if dtype is torch.bool:
        return torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count))).reshape(shape).bool()
    size = count * dtype.itemsize
    content = bytearray(draw(st.binary(min_size=size, max_size=size)))
    return torch.frombuffer(content, dtype=dtype).reshape(shape) if content else torch.empty(shape, dtype=dtype)


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype
        assert actual[name].shape == tensor.shape
        assert bits(actual[name]) == bits(tensor)


@over_one_file
@given(
    content=st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1).filter("__metadata__".__ne__), tensors()),
    state=st.dictionaries(st.text(), st.none() | st.integers() | st.floats(allow_nan=False) | st.text()),
)
def test_saved_content_is_restored(tmp_path: Path, content: dict[str, Tensor], state: dict[str, Any]) -> None:
    path = tmp_path / "one.safetensors"
    save_sealed(path, content, state)
    actual, actual_state = load_sealed(path)
    assert_same(actual, content)
    assert actual_state == state


def test_views_and_shared_memory_are_restored(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4).requires_grad_()
    content = {"base": base, "same": base, "turned": base.T, "row": base[1], "every other": base[:, ::2]}
    save_sealed(tmp_path / "one", content)
    assert_same(load_sealed(tmp_path / "one")[0], {name: tensor.detach() for name, tensor in content.items()})


def test_equal_content_gives_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_sealed(tmp_path / name, {"x": torch.ones(3), "y": torch.zeros(())}, {"epoch": 1, "loss": 0.5})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_loaded_tensors_outlive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "one"
    save_sealed(path, {"x": torch.arange(1000)})
    actual, _ = load_sealed(path)
    path.write_bytes(b"")  # a view of the mapped file would now end the process with a bus error
    assert torch.equal(actual["x"], torch.arange(1000))


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A small file with the kinds of content of a checkpoint: a matrix, a scalar and a state."""
    path = tmp_path / "sealed.safetensors"
    save_sealed(path, {"w": torch.tensor([[1.0, -2.0]]), "n": torch.tensor(3)}, {"epoch": 7, "note": "é"})
    return path


def test_any_flipped_bit_is_detected(sealed: Path) -> None:
    content = sealed.read_bytes()
    for position in range(len(content)):
        for bit in range(8):
            altered = bytearray(content)
            altered[position] ^= 1 << bit
            sealed.write_bytes(altered)
            with pytest.raises(RunError):
                load_sealed(sealed)
    sealed.write_bytes(content)
    load_sealed(sealed)  # the unaltered file loads


def test_any_truncation_is_detected(sealed: Path) -> None:
    content = sealed.read_bytes()
    for length in range(len(content)):
        sealed.write_bytes(content[:length])
        with pytest.raises(RunError, match="truncated"):
            load_sealed(sealed)


def test_exchanged_tensors_are_detected(tmp_path: Path) -> None:
    """The file is valid, and its hash is that of another file."""
    for name, value in (("a", 1.0), ("b", 2.0)):
        save_sealed(tmp_path / name, {"w": torch.tensor(value)})
    a, b = (tmp_path / name for name in "ab")
    header = a.read_bytes()[: -torch.float32.itemsize]
    a.write_bytes(header + b.read_bytes()[-torch.float32.itemsize :])
    with pytest.raises(RunError, match="altered since it was written"):
        load_sealed(a)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" * 20, b"{}" * 100, bytes(100)])
def test_a_wrong_file_is_detected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"wrong\.safetensors: is truncated, altered or no safetensors file"):
        load_sealed(path)


def test_a_file_without_a_seal_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2)}, path)
    with pytest.raises(RunError, match="its hash does not match"):
        load_sealed(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        load_sealed(tmp_path / "none")
    with pytest.raises(RunError, match="cannot be read"):
        load_sealed(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one"
    write_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="one: cannot be written: No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file/one: cannot be written: "):
        write_atomically(tmp_path / "file" / "one", "content")
