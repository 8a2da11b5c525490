"""The recurrent layers of torch.nn as stacks of cells: nn.RNN, nn.LSTM (with ``proj_size`` too) and nn.GRU.

A stack made of such a module has its layers, directions, biases and dropout. What a stack does not have is
``batch_first``: tensors inside stacks are time major.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import product
from math import sqrt
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.errors import UsageError
from zoo.nn.cell import Cell, CellConfig, Kernel, Operator, State, reset_uniform
from zoo.nn.recurrent import DirectedStackConfig, Layer, Stack


class TorchCellConfig(CellConfig):
    """Options of the cells of torch.nn's recurrent layers, under their names there."""

    bias: bool = True
    """Whether the gates have biases."""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """The function of nn.RNN."""
    proj_size: Annotated[int, Field(ge=0)] = 0
    """Width that nn.LSTM projects h to (Sak et al. 2014, arXiv:1402.1128); 0 for no projection."""


class _StackConfig(DirectedStackConfig, TorchCellConfig):
    """Options of a stack of such cells."""


class TorchCell(Cell):
    """Cell with the parameters of one layer and direction of a module, under torch.nn's names without ``_l0``."""

    Config = TorchCellConfig
    module: ClassVar[type[nn.RNNBase]]
    gates: ClassVar[str]
    """Gates in torch's order, as ONNX's letters; see `zoo.Operator`."""

    def __init__(self, input_size: int, config: TorchCellConfig) -> None:
        hidden = config.hidden_size
        output = config.proj_size or hidden
        super().__init__(input_size, state_sizes=(output, hidden)[: len(self.state_names)], output_size=output)
        rows = len(self.gates) * hidden
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, output))
        self.bias_ih = nn.Parameter(torch.empty(rows)) if config.bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows)) if config.bias else None
        self.weight_hr = nn.Parameter(torch.empty(output, hidden)) if config.proj_size else None
        reset_uniform(self, 1 / sqrt(hidden))

    def project(self, x: Tensor) -> Tensor:
        return linear(x, self.weight_ih, self.bias_ih)

    def kernel(self) -> Kernel:
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        return Kernel(self.module, *weights, options=self._options(), projection_weight=self.weight_hr)

    def operator(self) -> Operator | None:
        if self.weight_hr is not None:  # ONNX's LSTM has no projection
            return None
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        return Operator(
            self.module.__name__, self.gates, *weights, attributes=self._attributes(), activations=self._activations()
        )

    def _options(self) -> dict[str, str]:
        return {}

    def _attributes(self) -> dict[str, int]:
        return {}

    def _activations(self) -> tuple[str, ...]:
        return ()


class RNNCell(TorchCell):
    """One step of nn.RNN: h' = f(W x + b + U h + b'), with f = tanh or ReLU."""

    name, module, gates, state_names = "rnn", nn.RNN, "i", ("h",)

    def __init__(self, input_size: int, config: TorchCellConfig) -> None:
        super().__init__(input_size, config)
        self.nonlinearity = config.nonlinearity

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        total = x + linear(state[0], self.weight_hh, self.bias_hh)
        h = torch.tanh(total) if self.nonlinearity == "tanh" else torch.relu(total)
        return h, (h,)

    def _options(self) -> dict[str, str]:
        return {"nonlinearity": self.nonlinearity}

    def _activations(self) -> tuple[str, ...]:
        return () if self.nonlinearity == "tanh" else ("Relu",)


class LSTMCell(TorchCell):
    """One step of nn.LSTM: its gates i, f, g, o stand below each other in the weights; h' is projected if asked for."""

    name, module, gates, state_names = "lstm", nn.LSTM, "ifco", ("h", "c")

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state
        i, f, g, o = (x + linear(h, self.weight_hh, self.bias_hh)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if self.weight_hr is not None:
            h = linear(h, self.weight_hr)
        return h, (h, c)


class GRUCell(TorchCell):
    """One step of nn.GRU: its gates r, z, n stand below each other; the reset acts after the recurrent product."""

    name, module, gates, state_names = "gru", nn.GRU, "rzh", ("h",)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        x_r, x_z, x_n = x.chunk(3, 1)
        h_r, h_z, h_n = linear(h, self.weight_hh, self.bias_hh).chunk(3, 1)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
        h = n + z * (h - n)
        return h, (h,)

    def _attributes(self) -> dict[str, int]:
        return {"linear_before_reset": 1}


CELLS: dict[type[nn.RNNBase], type[TorchCell]] = {cell.module: cell for cell in (RNNCell, LSTMCell, GRUCell)}
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
"""Parameters of a cell; in a module each has the suffix of its layer and direction."""


def kind_of(module: nn.Module) -> type[nn.RNNBase] | None:
    """Return nn.RNN, nn.LSTM or nn.GRU for a module of that class or of a subclass, and None for any other."""
    return next((kind for kind in CELLS if isinstance(module, kind)), None)


def suffix(layer: int, direction: int) -> str:
    """Return the end of the names of a module's parameters for one layer and direction."""
    return f"_l{layer}{'_reverse' if direction else ''}"


def stack_like(module: nn.RNNBase) -> Stack:
    """Return a stack with the options of a module; its cells have no values until `bind`."""
    kind = kind_of(module)
    assert kind is not None
    cell = CELLS[kind]
    config = _StackConfig(
        hidden_size=module.hidden_size,
        num_layers=module.num_layers,
        direction="bidirectional" if module.bidirectional else "forward",
        dropout=module.dropout,
        bias=module.bias,
        nonlinearity="relu" if module.mode == "RNN_RELU" else "tanh",
        proj_size=module.proj_size,
    )
    layer = type(f"{kind.__name__}Layer", (Layer,), {"name": cell.name, "cell": cell, "__doc__": cell.__doc__})
    with torch.device("meta"):
        return Stack(layer, module.input_size, config)


def bind(stack: Stack, module: nn.RNNBase) -> None:
    """Let the cells of a stack compute with the present weights of a module; a weight norm computes them."""
    for cell, end in _cells(stack):
        for name in PARAMETERS:
            weight = getattr(module, name + end, None)
            if getattr(cell, name) is not weight:
                cell._parameters.pop(name, None)
                cell.__dict__.pop(name, None)
                setattr(cell, name, weight)


def copied(module: nn.Module) -> nn.Module:
    """Return a deep copy of a module, whose computed weights (as of a weight norm) are copied as values.

    torch's own deep copy raises where a module holds a tensor with a gradient function.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in (*vars(part).values(), *getattr(part, "_flat_weights", ())):
            if isinstance(value, Tensor) and value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo)


def from_torch(module: nn.Module) -> Stack:
    """Return a stack that computes the same as an nn.RNN, nn.LSTM or nn.GRU, with copies of its weights.

    Args:
        module: any layers, directions, bias, dropout and ``proj_size``; a weight that is computed, as by a weight norm,
            becomes a parameter. A stack is time major, whatever ``batch_first`` is.

    Raises:
        UsageError: the module is no nn.RNN, nn.LSTM or nn.GRU.
    """
    if kind_of(module) is None:
        raise UsageError(
            f"from_torch: expected an nn.RNN, nn.LSTM or nn.GRU, got {type(module).__name__}; give the layer itself, "
            "not the module that contains it"
        )
    source = cast("nn.RNNBase", copied(module))
    stack = stack_like(source)
    bind(stack, source)
    for cell, _ in _cells(stack):
        for name in PARAMETERS:
            weight = getattr(cell, name)
            if weight is not None and not isinstance(weight, nn.Parameter):
                del cell.__dict__[name]
                setattr(cell, name, nn.Parameter(weight.detach().clone()))
    return stack.train(module.training)


def to_torch(stack: Stack, *, batch_first: bool = False) -> nn.RNNBase:
    """Return the nn.RNN, nn.LSTM or nn.GRU that computes the same as a stack, with copies of its weights.

    Args:
        stack: its cells must have a kernel of torch.nn (`zoo.Cell.kernel`), as rnn, lstm, gru and bilstm do.
        batch_first: whether the module takes (batch, time, features) instead of (time, batch, features).

    Raises:
        UsageError: a cell has no kernel, or the stack reads in reverse only, which torch.nn does not.
    """
    first = stack.ordered_layers[0].directed_cells[0]
    kernels = [cell.kernel() for cell, _ in _cells(stack)]
    if stack.direction == "reverse" or any(kernel is None for kernel in kernels):
        reason = "no kernel of torch.nn with these options" if None in kernels else "the direction 'reverse' alone"
        raise UsageError(f"to_torch: the layers of {first.name!r} have {reason}; expected layers that torch.nn has")
    kernel = cast("Kernel", kernels[0])
    module = kernel.module(
        first.input_size,
        kernel.hidden_size,
        num_layers=len(stack.layers),
        bias=kernel.input_bias is not None,
        batch_first=batch_first,
        dropout=stack.dropout.p,
        bidirectional=stack.direction == "bidirectional",
        device=kernel.input_weight.device,
        dtype=kernel.input_weight.dtype,
        **kernel.options,
        **({} if kernel.projection_weight is None else {"proj_size": len(kernel.projection_weight)}),
    )
    with torch.no_grad():
        for part, (_, end) in zip(kernels, _cells(stack), strict=True):
            for name, weight in cast("Kernel", part).weights().items():
                getattr(module, name + end).copy_(weight)
    return module.train(stack.training)


def _cells(stack: Stack) -> Iterator[tuple[Cell, str]]:
    """Yield each cell of a stack and the suffix of its parameters in a module."""
    directions = len(stack.ordered_layers[0].cells)
    for layer, direction in product(range(len(stack.layers)), range(directions)):
        yield stack.ordered_layers[layer].directed_cells[direction], suffix(layer, direction)
