"""Sealed tensor files: safetensors files with a hash of their whole content.

Neither safetensors nor torch detects a flipped bit in a payload; the seal does. It covers names, dtypes, shapes, values
and the state. Any other damage to the header is detected by safetensors. The seal does not detect malice: a person who
alters a file can compute it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from zoo.errors import RunError
from zoo.files import write_atomically

ENTRY = "zoo"
"""Metadata entry with hash and state. It is the only entry: safetensors writes several in random order, and equal
content must give equal files."""


def save_sealed(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> None:
    """Write tensors and a state to one file, atomically.

    Args:
        path: the file.
        tensors: tensors by name, on any device; they may share memory.
        state: values that JSON can represent.

    Raises:
        RunError: if the file cannot be written.
    """
    # safetensors rejects tensors that share memory, hence the copies.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    text = json.dumps(state or {})
    write_atomically(path, safetensors.torch.save(plain, {ENTRY: f"{digest(plain, text)} {text}"}))


def load_sealed(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and state from a file that `save_sealed` wrote.

    Raises:
        RunError: if the file is missing, truncated or altered.
    """
    tensors, text = _read(path)
    seal, _, text = text.partition(" ")
    if seal != digest(tensors, text):
        raise _altered(path)
    state: dict[str, Any] = json.loads(text)
    return tensors, state


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of any safetensors file, in its order; a seal, if there is one, is checked.

    Raises:
        RunError: if the file is missing, truncated or altered.
    """
    tensors, text = _read(path)
    seal, _, text = text.partition(" ")
    if seal and seal != digest(tensors, text):
        raise _altered(path)
    return tensors


def _altered(path: Path) -> RunError:
    return RunError(f"{path}: was altered since it was written: its hash does not match")


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return tensors and metadata entry of a safetensors file; the entry is empty where the file has none."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            # These tensors are views of the mapped file, without the alignment of torch's own; hence the copies.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except FileNotFoundError as error:
        raise RunError(f"{path}: does not exist") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
    except safetensors.SafetensorError as error:
        raise RunError(f"{path}: is truncated, altered or no safetensors file: {error}") from error
    return tensors, metadata.get(ENTRY, "")


def digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Return the SHA-256 of the state's text and of name, dtype, shape and values of each tensor, in hexadecimal."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # A scalar has no dimension to view as bytes, and a column of a matrix no bytes beside each other.
        total.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return total.hexdigest()
