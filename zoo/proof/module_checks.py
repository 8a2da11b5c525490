"""Modules that no proof can judge: in training mode, random, with side effects, or without float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.nn.cell_code import running_line
from zoo.nn.drop_in import DropIn, States, in_cells
from zoo.parity import Array
from zoo.proof.module_call import MESSAGE, Call, attempt, exact_arithmetic

RANDOM = ("bernoulli", "dropout", "exponential", "multinomial", "normal", "poisson", "rand", "uniform")
"""Parts of the names of torch's random operations."""


class _Watch(TorchDispatchMode):
    """Recorder of the line with the first random operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.line: tuple[str, int] | None = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.line is None and any(part in func._schema.name for part in RANDOM):
            self.line = running_line()
        return func(*args, **(kwargs or {}))


class _Steps(DropIn):
    """Drop-in whose steps pass no torch function mode, as of `exact_arithmetic`: its cells name no dtype.

    Such a mode takes a quarter of the time of a proof.
    """

    def run_layer(self, index: int, x: Tensor, lengths: Tensor | None, states: States | None) -> tuple[Tensor, States]:
        with torch._C.DisableTorchFunction():
            return super().run_layer(index, x, lengths, states)


def require_provable(call: Call, module: nn.Module, arrays: list[Array]) -> nn.Module:
    """Check a module with its example, and return its copy in float64 with cells in place of recurrent layers.

    Args:
        call: how the module is called.
        module: on the CPU; a copy of the user's.
        arrays: tensors of the example.

    Raises:
        UsageError: naming the line and the remedy.
    """
    for name, part in module.named_modules():
        if part.training:
            where = f"{call.name}.{name}" if name else call.name
            raise call.error(None, f"cannot be proven: {where} is in training mode", "call eval() on the module")
    before = _stored(module)
    with torch.no_grad(), _Watch() as watch:
        first, error = attempt(lambda: call.outputs(module, arrays))
    if first is None:
        raise call.error(error, f"fails with the example: {_short(error)}", "give arguments that its forward takes")
    if not first:
        raise call.error(None, "returns no tensor", "return tensors, or tuples, lists or dictionaries of them")
    after = _stored(module)
    if changed := [name for name in before if name not in after or before[name] != after[name]]:
        reason = f"changes {changed[0]!r} each time it is called, so one input has no one result"
        raise call.error(None, reason, "take the state as an argument and return the new one")
    with torch.no_grad():
        second, _ = attempt(lambda: call.outputs(module, arrays))
    if second is None or not all(map(_equal, first, second)):
        place = None if watch.line is None else "{}:{}".format(*watch.line)
        why = "is random" if watch.line else "keeps something from the first call"
        error = call.error(None, f"{why}: two calls with one input give different results", "make it deterministic")
        raise type(error)(str(error).replace(call.place, place or call.place, 1))
    wide = in_cells(module, _Steps).double().eval()
    with exact_arithmetic():
        _, error = attempt(lambda: call.outputs(wide, arrays, widen=True))
    if error is not None:
        raise call.error(
            error,
            f"cannot run in float64: {_short(error)}",
            "keep the dtype of its arguments and parameters throughout",
        )
    return wide


def _stored(module: nn.Module) -> dict[str, bytes]:
    """Return the content of every parameter and buffer."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: value.detach().numpy().tobytes() for name, value in tensors}


def _equal(first: Array, second: Array) -> bool:
    same = first.dtype.kind == "f"
    return first.shape == second.shape and np.array_equal(first, second, equal_nan=same)


def _short(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:MESSAGE]}"
