"""Files of ``torch.onnx.export``: written with free batch and time as far as torch gives them."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.utils import _pytree as pytree


def export_stock(
    net: nn.Module, args: Callable[[int, int], tuple[Any, ...]], path: Path, hint: Any = Dim.DYNAMIC
) -> None:
    """Export a module with free batch and time.

    Args:
        net: in inference mode.
        args: gives arguments from a batch size and a number of steps; those of 3 and 7 are the example.
        path: of the file.
        hint: for each free axis; with ``Dim.DYNAMIC`` torch raises where it cannot keep it free, with ``Dim.AUTO`` it
            writes a file.
    """
    example, other = args(3, 7), args(4, 9)
    free = pytree.tree_map(lambda value, changed: _free(value, changed, hint), example, other)
    named = list(inspect.signature(net.forward).parameters.values())
    if named[-1].kind is inspect.Parameter.VAR_POSITIONAL:  # whose hints are a tuple of their own
        free = (*free[: len(named) - 1], tuple(free[len(named) - 1 :]))
    with quiet(), torch.no_grad():
        torch.onnx.export(net, example, path, dynamo=True, dynamic_shapes=free, verbose=False, external_data=False)


def _free(value: Any, changed: Any, hint: Any) -> dict[int, Any] | None:
    """Return the hint for each axis in which two examples differ."""
    if not isinstance(value, Tensor):
        return None
    return {axis: hint for axis in range(value.dim()) if value.shape[axis] != changed.shape[axis]}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's reports of its progress from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
