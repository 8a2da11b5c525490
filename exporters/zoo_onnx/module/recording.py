"""Recurrent layers of a module while it is traced: each call becomes one node of a private domain, a `Call`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

import zoo

DOMAIN = "recurrent_zoo"
LAYER, TRIM = "Layer", "Trim"
"""Private operators: a recurrent layer, and the first steps of padded sequences up to the largest length."""
_TYPES = {torch.float32: "float32", torch.float64: "float64", torch.float16: "float16", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True)
class Call:
    """One call of a recurrent layer."""

    layer: zoo.Layer
    parts: Sequence[zoo.StatePart]
    """Its state tensors, with their initial values and numpy types."""
    path: str
    """Name of the layer in the module: ``encoder.lstm.l0`` for layer 0 of an nn.LSTM, ``encoder.layers.0`` for a
    `zoo.Layer`."""
    parameters: tuple[str, ...]
    """For each direction, what comes before and after the name of a cell's parameter in the module, with ``*`` between:
    ``encoder.lstm.*_l0_reverse``."""


@dataclass(frozen=True)
class Made:
    """A call that was recorded."""

    call: Call
    sizes: tuple[int | torch.SymInt, ...]
    """Number of steps and, if the input had a batch axis, of sequences."""


@dataclass
class Recording:
    """What a traced module called, in the order of the calls.

    Without ``longest`` the module runs, and the sizes of trimmed sequences are noted; with it, the module is traced.
    """

    made: list[Made] = field(default_factory=list)
    longest: list[Tensor] | None = None
    """For each trimmed sequence a tensor that has its number of steps."""
    sizes: list[int] = field(default_factory=list)
    """For each trimmed sequence, its number of steps in the example."""
    trims: int = 0

    def restart(self, longest: list[Tensor] | None) -> None:
        """Forget the calls and begin a new run or trace."""
        self.made, self.longest, self.trims = [], longest, 0
        if longest is None:
            self.sizes = []

    @property
    def tracing(self) -> bool:
        """Whether the module is traced."""
        return self.longest is not None

    def call(
        self, call: Call, x: Tensor, lengths: Tensor | None, states: Sequence[Tensor], *, batched: bool = True
    ) -> list[Tensor]:
        """Record a call and return its outputs (time, batch, n) and final states (directions, batch, n), symbolic."""
        cells = call.layer.directed_cells
        parts = call.parts[: len(cells[0].state_sizes)]
        shapes = [
            (x.shape[0], x.shape[1], call.layer.output_size),
            *((len(cells), x.shape[1], len(part.initial)) for part in parts),
        ]
        self.made.append(Made(call, tuple(x.shape[: 1 + batched])))
        return list(
            torch.onnx.ops.symbolic_multi_out(
                f"{DOMAIN}::{LAYER}",
                [x, lengths, *states],
                {"call": len(self.made) - 1},
                dtypes=[x.dtype, *(part.initial.dtype for part in parts)],
                shapes=shapes,
                version=1,
            )
        )

    def trim(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return the steps of x (time, batch, n) up to the largest length."""
        if self.longest is None:
            self.sizes.append(int(lengths.max()))
            return x[: self.sizes[-1]]
        index, self.trims = self.trims, self.trims + 1
        shape = (self.longest[index].shape[0], *x.shape[1:])
        trimmed: Tensor = torch.onnx.ops.symbolic(
            f"{DOMAIN}::{TRIM}", [x, lengths], {"index": index}, dtype=x.dtype, shape=shape, version=1
        )
        return trimmed


class RecordedModule(zoo.DropIn):
    """An nn.RNN, nn.LSTM or nn.GRU whose calls are recorded."""

    zoo_recording: Recording
    zoo_calls: list[Call]
    """A call of each layer."""
    zoo_batched = True
    """Whether the present input has a batch axis."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:  # noqa: A002  (torch's name)
        self.zoo_batched = not isinstance(input, Tensor) or input.dim() == 3
        return super().forward(input, hx)

    def prepare(self) -> None:
        """Keep the weights as they were in the run before the trace."""
        if not self.zoo_recording.tracing:
            super().prepare()

    def run_layer(
        self, index: int, x: Tensor, lengths: Tensor | None, states: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        if not self.zoo_recording.tracing:
            return super().run_layer(index, x, lengths, states)
        outputs, *finals = self.zoo_recording.call(
            self.zoo_calls[index], x, lengths, states or [], batched=self.zoo_batched
        )
        return outputs, finals


class RecordedLayer:
    """A `zoo.Layer` whose calls are recorded."""

    zoo_recording: Recording
    zoo_call: Call

    def forward(self, x: Tensor, lengths: Tensor | None = None, states: Sequence[zoo.State] | None = None) -> Any:
        """Run the layer or record its call; see `zoo.Layer`."""
        if not self.zoo_recording.tracing:
            return super().forward(x, lengths, states)  # type: ignore[misc]
        call = self.zoo_call
        cells = call.layer.directed_cells
        _require_sizes(call, x, lengths, states)
        given = [] if states is None else [torch.stack(parts) for parts in zip(*states, strict=True)]
        outputs, *finals = self.zoo_recording.call(call, x, lengths, given)
        by_direction = [tuple(part[index] for part in finals) for index in range(len(cells))]
        reads_backward = [call.layer.direction == "reverse"] if len(cells) == 1 else [False, True]
        halves = outputs.split([cell.output_size for cell in cells], 2)
        lasts = [
            half[0] if backward else _at_last_step(half, lengths)
            for half, backward in zip(halves, reads_backward, strict=True)
        ]
        return zoo.Unrolled(outputs, torch.cat(lasts, 1), by_direction)


def _require_sizes(call: Call, x: Tensor, lengths: Tensor | None, states: Sequence[zoo.State] | None) -> None:
    """Raise an error for arguments of wrong sizes; a trace learns from the comparisons which sizes agree."""
    if x.dim() != 3 or x.shape[2] != call.layer.directed_cells[0].input_size:
        expected = call.layer.directed_cells[0].input_size
        raise RuntimeError(f"{call.path}: expected x (time, batch, {expected}), got {tuple(x.shape)}")
    parts = [part for state in states or () for part in state]
    if any(part.shape[0] != x.shape[1] for part in [*parts, *([] if lengths is None else [lengths])]):
        raise RuntimeError(f"{call.path}: lengths and states must have {x.shape[1]} rows, as x has")


def _at_last_step(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last valid step (batch, n) of x (time, batch, n)."""
    return x[-1] if lengths is None else x[lengths - 1, torch.arange(x.shape[1])]


def record_layers(module: nn.Module, recording: Recording, kind: type[RecordedModule]) -> nn.Module:
    """Return a copy of a module, on the CPU, in which the calls of recurrent layers are recorded.

    Args:
        module: any module.
        recording: receives the calls.
        kind: class that computes nn.RNN, nn.LSTM and nn.GRU.

    Raises:
        ExportError: if a recurrent layer is not in float32.
    """
    copy = zoo.replace_layers(module, kind).cpu()
    for path, part in copy.named_modules():
        if isinstance(part, RecordedModule):
            _require_float32(path, cast("nn.RNNBase", part))
            part.zoo_recording = recording
            part.prepare()
            layers = part.zoo_stack.ordered_layers
            for inner in layers:
                _use_kernels(inner)
            part.zoo_calls = [_call_of_torch(path, index, layer) for index, layer in enumerate(layers)]
        elif isinstance(part, zoo.Layer):
            _require_float32(path, part)
            part.__class__ = type(type(part).__name__, (RecordedLayer, type(part)), {})
            recorded = cast("RecordedLayer", part)
            recorded.zoo_recording = recording
            prefixes = tuple(_joined(path, f"cells.{index}.*") for index in range(len(part.cells)))
            object.__setattr__(part, "zoo_call", Call(part, zoo.state_parts([part]), path, prefixes))
    return copy


def _call_of_torch(path: str, index: int, layer: zoo.Layer) -> Call:
    ends = [f"*_l{index}", f"*_l{index}_reverse"][: len(layer.cells)]
    parameters = tuple(_joined(path, end) for end in ends)
    return Call(layer, zoo.state_parts([layer]), _joined(path, f"l{index}"), parameters)


def _use_kernels(layer: zoo.Layer) -> None:
    """Let torch's kernels run a layer, for long examples; they need parameters, and a weight norm has none."""
    kernels = [kernel for cell in layer.directed_cells if (kernel := cell.kernel()) is not None]
    weights = [weight for kernel in kernels for weight in kernel.weights().values()]
    layer.fused = all(isinstance(weight, nn.Parameter) for weight in weights)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _require_float32(path: str, part: nn.Module) -> None:
    for parameter in part.parameters():
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            kind = _TYPES.get(parameter.dtype, str(parameter.dtype))
            raise zoo.ExportError(
                f"{path or 'module'}: the recurrent layer is in {kind}; call float() on the module first"
            )
