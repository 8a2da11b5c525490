"""The cell: one time step of a recurrent network, in plain PyTorch. `zoo.nn.recurrent` runs cells over time."""

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
"""State of a cell between two steps: tensors of shape (batch, n), one for each entry of ``state_sizes``."""


class CellConfig(Config):
    """Options of a cell.

    A subclass adds typed fields. Each field, with its type, default and docstring, appears in specs and in the JSON
    Schema.
    """

    hidden_size: Size
    """Width of the hidden state."""


@dataclass(frozen=True)
class Operator:
    """Standard recurrent operator (RNN, LSTM or GRU of ONNX) that computes the same as a cell over a whole sequence.

    An exporter writes this operator instead of a loop over the cell's steps. The state of the cell must be that of the
    operator, in its order: (h,) for RNN and GRU, (h, c) for LSTM; the output of a step must be h.
    """

    name: str
    """Name of the operator: ``RNN``, ``LSTM`` or ``GRU``."""
    gates: str
    """Order in which the cell stacks its gates in the first dimension of the weights, as ONNX's letters: ``i`` for RNN;
    ``i``, ``o``, ``f``, ``c`` (candidate) for LSTM; ``z``, ``r``, ``h`` (candidate) for GRU. The exporter reorders."""
    input_weight: Tensor
    """(gates * hidden, input)"""
    recurrent_weight: Tensor
    """(gates * hidden, hidden)"""
    input_bias: Tensor | None = None
    """(gates * hidden,); None for no bias."""
    recurrent_bias: Tensor | None = None
    """(gates * hidden,); None for no bias."""
    attributes: Mapping[str, int] = field(default_factory=dict)
    """Integer attributes of the operator, such as ``linear_before_reset``."""
    activations: tuple[str, ...] = ()
    """Activation functions of one direction, such as ``("Relu",)``; empty for the defaults of the operator."""


@dataclass(frozen=True)
class Kernel:
    """Fused torch.nn module that computes a cell over a whole sequence, and the parameters that both share.

    The state of the cell must be that of the module, in its order: (h,) for nn.RNN and nn.GRU, (h, c) for nn.LSTM; the
    output of a step must be h. Gates are stacked in the order of the module.
    """

    module: Callable[..., nn.RNNBase]
    """Class of the module: nn.RNN, nn.LSTM or nn.GRU."""
    input_weight: Tensor
    """(gates * hidden, input), the ``weight_ih`` of the module."""
    recurrent_weight: Tensor
    """(gates * hidden, hidden), the ``weight_hh`` of the module."""
    input_bias: Tensor | None = None
    """(gates * hidden,), the ``bias_ih`` of the module; None for a module without biases."""
    recurrent_bias: Tensor | None = None
    """(gates * hidden,), the ``bias_hh`` of the module; None for a module without biases."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Further arguments of the module, such as ``nonlinearity``."""
    projection_weight: Tensor | None = None
    """(projection, hidden), the ``weight_hr`` of an nn.LSTM with ``proj_size``; None for any other module."""

    @property
    def hidden_size(self) -> int:
        """Width of the hidden state before a projection."""
        weight = self.recurrent_weight if self.projection_weight is None else self.projection_weight
        return weight.shape[1]

    def weights(self) -> dict[str, Tensor]:
        """Return the tensors that there are, under the names of the module's parameters without their suffix."""
        named = {
            "weight_ih": self.input_weight,
            "weight_hh": self.recurrent_weight,
            "bias_ih": self.input_bias,
            "bias_hh": self.recurrent_bias,
            "weight_hr": self.projection_weight,
        }
        return {name: weight for name, weight in named.items() if weight is not None}


class Cell(nn.Module, ABC):
    """One time step of a recurrent network: the contract that a plugin implements.

    A subclass must implement `step`. It may override `project` (the computation that needs no state), `initial_state`
    (zeros by default), and `kernel` and `operator` (faster equivalents), and may name values of its step with `watch`.
    Its constructor takes an input size and an instance of the class attribute ``Config``.

    The core runs the cell over time. It creates a cell for each layer and direction, reverses sequences for the
    reverse direction, and handles variable lengths: in a padded batch `step` also runs on the padding, where x is the
    projection of zeros, but the state of a sequence stays unchanged after its last valid step and its output is set to
    zero there.

    `project` and `step` must keep these rules, which are checked before a cell is trained, proven or exported:

    - The result depends only on the arguments, parameters and buffers. In inference mode the same arguments give the
      same bits; random numbers are drawn in training mode only.
    - Every value that changes from step to step is part of the state. Nothing that influences a later result is stored
      on the cell, and no argument, parameter or buffer is changed in place.
    - Each row of the batch is computed independently of the other rows.
    - Constants take dtype and device from the arguments (``x.new_zeros(n)``), so that the cell also runs in float64.

    For an ONNX export every operation must be one that ``torch.export`` can trace: no Python branch on the value of a
    tensor, with or without ``.item()``, no NumPy, and no loop over the batch. A loop of a fixed number of rounds is
    allowed.

    Args:
        input_size: features of the input at each step.
        state_sizes: width n of each tensor (batch, n) of the state, in the order of the state.
        output_size: width of the output of a step.

    Raises:
        CellError: an attribute, parameter, buffer or submodule takes a name of this contract with an unsuitable value.
    """

    name: ClassVar[str]
    """Name of the architecture in specs."""
    Config: ClassVar[type[CellConfig]] = CellConfig
    """Class of the options; a subclass of `CellConfig` if there are more than ``hidden_size``."""
    state_names: ClassVar[tuple[str, ...]] = ()
    """Short name of each tensor of the state, such as ``h``, used in exported files; numbers if empty."""

    def __init__(self, input_size: int, *, state_sizes: tuple[int, ...], output_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.state_sizes = state_sizes
        self.output_size = output_size

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_attribute(name, value)
        super().__setattr__(name, value)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        self._check_attribute(name, param)
        super().register_parameter(name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        self._check_attribute(name, tensor)
        super().register_buffer(name, tensor, persistent=persistent)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        self._check_attribute(name, module)
        super().add_module(name, module)

    def _check_attribute(self, name: str, value: Any) -> None:
        """Raise a `CellError` if an attribute takes a name of the contract with an unsuitable value."""
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
            type(self), line, f"self.{name} = {_summary(value)}: {text}; rename the attribute if it is for another use"
        )

    def project(self, x: Tensor) -> Tensor:
        """Compute, for all time steps at once, the part of the cell that does not depend on the state.

        One large matrix product is faster than one small product for each step, and in an exported graph it stays
        outside the loop. Each step of the result must depend on the same step of x only, not on the number of steps:
        in a stream the steps arrive one by one. The default returns x.

        Args:
            x: (time, batch, input_size). The number of steps varies from call to call.

        Returns:
            (time, batch, any): `step` receives one step (batch, any) of it.
        """
        return x

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Compute one time step.

        Args:
            x: (batch, any), one step of the result of `project`.
            state: the state before the step, a tuple of tensors (batch, n) with the widths ``state_sizes``. It must not
                be changed in place.

        Returns:
            The output (batch, output_size), with the dtype of x, and the state after the step: a tuple with the same
            number, shapes and dtypes as ``state``. The output may be one of the state's tensors.
        """

    def watch(self, name: str, value: Tensor) -> Tensor:  # noqa: ARG002  (`zoo.nn.watched` reads the name)
        """Return ``value``, and give it a name under which ``zoo gates`` shows it: ``f = self.watch("f", …)``.

        For gates and other values inside `step`; the states have their names from ``state_names``. The call computes
        nothing and leaves no trace in an exported graph. A step must watch the same names each time, each once.

        Args:
            name: short name, such as ``f``, other than those of the states.
            value: (batch, n), computed in `step`.
        """
        return value

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Return the state before the first step: zeros.

        An override may return a learned state, or integers such as a step counter. Every row must be the same,
        whatever the batch size, and floating-point tensors must have the dtype of ``like``.

        Args:
            batch: number of sequences.
            like: tensor with the dtype and the device of the state.

        Returns:
            Tensors (batch, n), one for each entry of ``state_sizes``.
        """
        return tuple(like.new_zeros(batch, size) for size in self.state_sizes)

    def kernel(self) -> Kernel | None:
        """Return the fused torch.nn module that computes the same as `project` and `step`, or None if there is none."""
        return None

    def operator(self) -> Operator | None:
        """Return the standard operator that computes the same as `project` and `step`, or None if there is none."""
        return None


def cell_error(kind: type[Cell], line: Line, text: str) -> CellError:
    """Return the error for a fault of a class of cells, in one line that begins with a line of its source code."""
    name = getattr(kind, "name", kind.__name__)
    return CellError(f"{line[0]}:{line[1]}: the cell {name!r} of {kind.__module__}: {text}")


class _Rule(NamedTuple):
    """Restriction on an attribute whose name belongs to the contract."""

    fits: Callable[[Any], bool]
    """Whether a value is allowed."""
    expected: str = ""
    """Description of the allowed values for the error message; empty for a method."""


def _is_size(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, nn.Module)


def _is_list(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, tuple | list) and all(map(fits, value))


_CONTRACT: Mapping[str, _Rule] = {
    # A cell may choose between functions in its constructor. For the others there is no choice, and their names are
    # likely ones for a parameter.
    **dict.fromkeys(("project", "step", "initial_state"), _Rule(_is_function)),
    **dict.fromkeys(("kernel", "operator", "watch"), _Rule(lambda _: False)),
    **dict.fromkeys(("input_size", "output_size"), _Rule(_is_size, "an integer")),
    "state_sizes": _Rule(lambda value: _is_list(value, _is_size), "a tuple of integers, such as (8,)"),
    "state_names": _Rule(
        lambda value: _is_list(value, lambda part: isinstance(part, str)), "a tuple of strings, such as ('h',)"
    ),
    "name": _Rule(lambda value: isinstance(value, str), "a string"),
    "Config": _Rule(lambda value: isinstance(value, type), "a class of options"),
}


def _summary(value: Any) -> str:
    """Return a short form of a value for an error message."""
    if isinstance(value, Tensor | nn.Module) or callable(value):
        return f"{type(value).__name__}(…)"
    return reprlib.repr(value)


def reset_uniform(module: nn.Module, bound: float) -> None:
    """Draw every parameter of a module from U(-bound, bound), as torch.nn's recurrent layers do.

    Args:
        module: cell or layer whose parameters are drawn in place.
        bound: half the width of the interval; torch.nn uses 1 / sqrt(hidden_size).
    """
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)
