"""The cell: one time step, written in plain PyTorch. `zoo.nn.recurrent` runs cells over time."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from zoo.config import Config, Size
from zoo.errors import CellError
from zoo.nn.cell_code import Line, line_of, running_line

State = tuple[Tensor, ...]
"""What a cell carries from step to step: tensors of shape (batch, n), one for each entry of ``state_sizes``."""


class CellConfig(Config):
    """The options of a cell. A subclass's fields appear in specs and in the JSON Schema."""

    hidden_size: Size


@dataclass(frozen=True)
class Operator:
    """The standard operator that equals a cell over time, for exporters that have such operators.

    ``gates`` names the blocks of the weights' first dimension in the order in which the cell stacks them, with the
    gates' one-letter names of the operator's own specification; the exporter reorders them.
    """

    name: str
    gates: str
    input_weight: Tensor
    """(gates * hidden, input)"""
    recurrent_weight: Tensor
    """(gates * hidden, hidden)"""
    input_bias: Tensor | None = None
    """(gates * hidden,)"""
    recurrent_bias: Tensor | None = None
    """(gates * hidden,)"""
    attributes: Mapping[str, int] = field(default_factory=dict)
    """Attributes of the whole operator."""
    activations: tuple[str, ...] = ()
    """Activation functions of one direction; empty for the operator's defaults."""


@dataclass(frozen=True)
class Kernel:
    """The torch.nn module that computes a cell over a whole sequence, and the tensors that it shares with the cell."""

    module: Callable[..., nn.RNNBase]
    input_weight: Tensor
    recurrent_weight: Tensor
    input_bias: Tensor | None = None
    recurrent_bias: Tensor | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """Further arguments of the module, such as ``nonlinearity``."""


class Cell(nn.Module, ABC):
    """One time step of a recurrent network.

    Args:
        input_size: features of the input at each step.
        state_sizes: width of each tensor of the state.
        output_size: width of the output.

    A subclass gives ``step``; from it alone come layers, directions, lengths, training and export. ``project`` holds
    what does not depend on the state, so that all steps are done in one product. ``kernel`` and ``operator`` may name
    faster equals of the cell; leaving them out costs speed and nothing else.
    """

    name: ClassVar[str]
    Config: ClassVar[type[CellConfig]] = CellConfig
    state_names: ClassVar[tuple[str, ...]] = ()
    """A short name for each tensor of the state, such as ``h``, for callers that hold it; its number when left out."""

    def __init__(self, input_size: int, *, state_sizes: tuple[int, ...], output_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.state_sizes = state_sizes
        self.output_size = output_size

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse_collision(name, value)
        super().__setattr__(name, value)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        self._refuse_collision(name, param)
        super().register_parameter(name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        self._refuse_collision(name, tensor)
        super().register_buffer(name, tensor, persistent=persistent)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        self._refuse_collision(name, module)
        super().add_module(name, module)

    def _refuse_collision(self, name: str, value: Any) -> None:
        """Raise a `CellError` for an attribute that bears a name of the contract and is something else."""
        if name not in _CONTRACT or _CONTRACT[name].fits(value):
            return
        expected = _CONTRACT[name].expected
        if expected:
            text = f"expected {expected}"
        elif isinstance(value, nn.Module):
            text = f"is never called, since the method Cell.{name}() comes first"
        else:
            text = f"hides the method Cell.{name}(), which the contract calls"
        line = running_line() or line_of(type(self), "__init__")
        raise cell_error(
            type(self), line, f"self.{name} = {_short(value)}: {text}; give any other attribute another name"
        )

    def project(self, x: Tensor) -> Tensor:
        """(time, batch, input_size) -> (time, batch, any): the part that needs no state, for all steps at once."""
        return x

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: x (batch, any) from `project`, state of (batch, n) each -> output (batch, output_size), state."""

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Zeros of shape (batch, n), with the dtype and on the device of ``like``; every sequence starts alike.

        A cell that starts with something else, or counts in integers, overrides this.
        """
        return tuple(like.new_zeros(batch, size) for size in self.state_sizes)

    def kernel(self) -> Kernel | None:
        """The torch.nn kernel that equals this cell, or None."""
        return None

    def operator(self) -> Operator | None:
        """The standard operator that equals this cell, or None."""
        return None


def cell_error(kind: type[Cell], line: Line, text: str) -> CellError:
    """The error of one line for what a class of cells does, in a line of its own code."""
    name = getattr(kind, "name", kind.__name__)
    return CellError(f"{line[0]}:{line[1]}: the cell {name!r} of {kind.__module__}: {text}")


class _Place(NamedTuple):
    """What an attribute may be that bears a name of the contract."""

    fits: Callable[[Any], bool]
    expected: str = ""
    """Empty for a method."""


def _is_size(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, nn.Module)


def _is_list(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, tuple | list) and all(map(fits, value))


_CONTRACT: Mapping[str, _Place] = {
    # A cell may choose its own functions when it is made. Of the last two there is nothing to choose, and their names
    # mean other things too.
    **dict.fromkeys(("project", "step", "initial_state"), _Place(_is_function)),
    **dict.fromkeys(("kernel", "operator"), _Place(lambda _: False)),
    **dict.fromkeys(("input_size", "output_size"), _Place(_is_size, "an integer")),
    "state_sizes": _Place(lambda value: _is_list(value, _is_size), "a tuple of integers, such as (8,)"),
    "state_names": _Place(
        lambda value: _is_list(value, lambda part: isinstance(part, str)), "a tuple of texts, such as ('h',)"
    ),
    "name": _Place(lambda value: isinstance(value, str), "a text"),
    "Config": _Place(lambda value: isinstance(value, type), "a class of options"),
}


def _short(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor | nn.Module) or callable(value):
        return f"{type(value).__name__}(…)"
    return reprlib.repr(value)


def reset_uniform(module: nn.Module, bound: float) -> None:
    """Draw every parameter of ``module`` from U(-bound, bound), as torch.nn's recurrent layers do."""
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)
