"""The cell: one time step, written in plain PyTorch. Everything that has to do with time stands in `zoo.recurrent`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from zoo.config import Config, Size

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


def reset_uniform(module: nn.Module, bound: float) -> None:
    """Draw every parameter of ``module`` from U(-bound, bound), as torch.nn's recurrent layers do."""
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)
