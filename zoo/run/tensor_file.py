"""Tensors by name from a file: of safetensors, or of torch, which is read without running code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

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


def load_weights(module: nn.Module, path: Path) -> None:
    """Copy the tensors of a file into a module that has exactly these; tensors that it shares may be there once.

    Args:
        module: receives the weights in place.
        path: see `read_tensor_file`.

    Raises:
        RunError: the file cannot be read, lacks a tensor, has another, or has another shape; the message names them.
    """
    tensors = read_tensor_file(path)
    state = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    tensors |= _shared(state, tensors)
    shapes = {name: tensors[name].shape for name, own in state.items() if name in tensors}
    faults = {
        "lacks": [name for name in state if name not in tensors],
        "has, and the module has not,": [name for name in tensors if name not in state],
        "has in another shape": [
            f"{name} {tuple(shape)} for {tuple(state[name].shape)}"
            for name, shape in shapes.items()
            if shape != state[name].shape
        ],
    }
    if texts := [f"{what} {listed(names)}" for what, names in faults.items() if names]:
        raise RunError(f"{path}: does not fit {type(module).__name__}: it {'; it '.join(texts)}")
    module.load_state_dict(tensors, strict=False)  # what is not a tensor has its own value


def _shared(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that a file lacks because they are others of the module, as tied weights are."""
    there = {(own.data_ptr(), own.shape): name for name, own in state.items() if name in tensors and own.numel()}
    keys = {name: (own.data_ptr(), own.shape) for name, own in state.items() if name not in tensors}
    return {name: tensors[there[key]] for name, key in keys.items() if key in there}
