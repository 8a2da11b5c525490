"""Tensors by name from a file: of safetensors, or of torch, which is read without running code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from zoo.data.datafile import name_fault
from zoo.errors import RunError
from zoo.sealed import load_tensors

SUFFIXES = (".safetensors", ".pt", ".pth")
"""Suffixes of the files that can be read."""
SHOWN = 8
"""Largest number of names that a message lists."""


def read_tensor_file(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU.

    Args:
        path: a ``.safetensors`` file, whose seal is checked if it has one; or a ``.pt`` or ``.pth`` file that
            ``torch.save(model.state_dict(), path)`` wrote, which is read with ``weights_only=True``.

    Raises:
        RunError: the file is missing, damaged, or holds anything but tensors by name.
    """
    if fault := name_fault(path):
        raise RunError(fault)
    if path.suffix == ".safetensors":
        return load_tensors(path)
    if not path.exists():
        raise RunError(f"{path}: does not exist")
    if path.suffix not in SUFFIXES:
        raise RunError(f"{path}: expected a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for files that are damaged or hold other objects
        raise RunError(
            f"{path}: cannot be read as tensors alone ({type(error).__name__}); write it with "
            "torch.save(model.state_dict(), path)"
        ) from error
    if isinstance(content, Mapping) and content and all(map(_is_plain, content.values())):
        return {str(name): value.detach() for name, value in content.items()}
    holds = f"the keys {listed(content)}" if isinstance(content, Mapping) else f"a {type(content).__name__}"
    raise RunError(
        f"{path}: holds {holds}, expected tensors by name; write it with torch.save(model.state_dict(), path)"
    )


def listed(names: Mapping[str, object] | Sequence[str]) -> str:
    """Return the first names as text, and how many more there are."""
    every = list(map(str, names))
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more if every else "nothing"


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
