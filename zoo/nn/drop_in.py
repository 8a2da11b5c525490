"""Drop-in replacements of nn.RNN, nn.LSTM and nn.GRU: the same module and call, computed by cells.

A drop-in is the module itself, with its parameters, attributes and class (for ``isinstance``); only ``forward`` is
another. So code around it that reads ``hidden_size`` or calls ``flatten_parameters`` keeps working.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from zoo.nn.recurrent import Layer, Stack
from zoo.nn.torch_layers import bind, copied, kind_of, stack_like

States = list[Tensor]
"""State tensors of one layer, (directions, batch, n) each: h, or h and c."""


class DropIn:
    """Forward of nn.RNN, nn.LSTM and nn.GRU, from the arguments that torch takes to the results that it gives.

    A subclass overrides `run_layer`, to compute a layer in another way, or `unpacked` and `packed`, for another form of
    sequences of different lengths. `replace_layers` makes the modules of a network drop-ins.
    """

    zoo_stack: Stack
    """Cells over the module's weights; not registered as a submodule."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:  # noqa: A002  (torch's name)
        """Compute all layers; see the class of torch.nn for arguments and results."""
        module = cast("nn.RNNBase", self)
        if isinstance(input, PackedSequence):
            x, lengths = self.unpacked(input)
            outputs, finals = self._run(x, lengths, hx)
            return self.packed(outputs, lengths, input), finals
        if input.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        if input.dim() == 2:
            given = None if hx is None else [part.unsqueeze(1) for part in _parts(hx)]
            outputs, finals = self._run(input.unsqueeze(1), None, given)
            parts = [part.squeeze(1) for part in _parts(finals)]
            return outputs.squeeze(1), tuple(parts) if len(parts) > 1 else parts[0]
        outputs, finals = self._run(input.transpose(0, 1) if module.batch_first else input, None, hx)
        return outputs.transpose(0, 1) if module.batch_first else outputs, finals

    def run_layer(self, index: int, x: Tensor, lengths: Tensor | None, states: States | None) -> tuple[Tensor, States]:
        """Compute one layer.

        Args:
            index: index of the layer in `zoo_stack`.
            x: (time, batch, features).
            lengths: (batch,) valid steps of each sequence; None if all sequences are full.
            states: initial states, (directions, batch, n); None for zeros.

        Returns:
            The outputs (time, batch, directions * n), zero beyond each length, and the final states.
        """
        layer = self.zoo_stack.ordered_layers[index]
        given = None if states is None else list(zip(*(part.unbind(0) for part in states), strict=True))
        outputs, _, finals = layer(x, lengths, given)
        return outputs, [torch.stack(parts) for parts in zip(*finals, strict=True)]

    def prepare(self) -> None:
        """Let the cells compute with the module's present weights."""
        module = cast("nn.RNNBase", self)
        bind(self.zoo_stack, module)
        self.zoo_stack.train(module.training)

    def unpacked(self, packed: PackedSequence) -> tuple[Tensor, Tensor]:
        """Return the padded sequences (time, batch, features), in the order of the caller, and their lengths."""
        x, lengths = pad_packed_sequence(packed)
        return x, lengths.to(x.device)

    def packed(self, outputs: Tensor, lengths: Tensor, like: PackedSequence) -> PackedSequence:
        """Return outputs (time, batch, features) in the form and order of the packed input."""
        if like.sorted_indices is not None:
            outputs, lengths = outputs.index_select(1, like.sorted_indices), lengths[like.sorted_indices]
        data = pack_padded_sequence(outputs, lengths.cpu()).data
        return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)

    def _run(self, x: Tensor, lengths: Tensor | None, hx: Any) -> tuple[Tensor, Any]:
        """Compute all layers for x (time, batch, features), in the order of the caller."""
        module = cast("nn.RNNBase", self)
        self.prepare()
        directions = 2 if module.bidirectional else 1
        given = None if hx is None else _parts(hx)
        self._check(x, lengths, given)
        finals = []
        for index in range(module.num_layers):
            if index:
                x = self.zoo_stack.dropout(x)
            rows = slice(index * directions, (index + 1) * directions)
            states = None if given is None else given if module.num_layers == 1 else [part[rows] for part in given]
            x, after = self.run_layer(index, x, lengths, states)
            finals.append(after)
        parts = [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*finals, strict=True)]
        return x, tuple(parts) if len(parts) > 1 else parts[0]

    def _check(self, x: Tensor, lengths: Tensor | None, states: Sequence[Tensor] | None) -> None:
        """Raise torch's errors for arguments of wrong sizes; a trace learns from the comparisons which sizes agree."""
        module, name = cast("nn.RNNBase", self), type(self).__name__
        if x.shape[2] != module.input_size:
            raise RuntimeError(f"{name}: expected an input of {module.input_size} features, got {x.shape[2]}")
        if lengths is not None and lengths.shape[0] != x.shape[1]:
            raise RuntimeError(f"{name}: expected {x.shape[1]} lengths, got {lengths.shape[0]}")
        rows = module.num_layers * (2 if module.bidirectional else 1)
        sizes = self.zoo_stack.ordered_layers[0].directed_cells[0].state_sizes
        if states is not None and len(states) != len(sizes):
            raise RuntimeError(f"{name}: expected {len(sizes)} initial states, got {len(states)}")
        for part, size in zip(states or (), sizes, strict=False):
            if tuple(part.shape) != (rows, x.shape[1], size):
                expected = (rows, x.shape[1], size)
                raise RuntimeError(f"{name}: expected an initial state of size {expected}, got {tuple(part.shape)}")


def replace_layers(module: nn.Module, kind: type[DropIn]) -> nn.Module:
    """Return a deep copy of a module in which each nn.RNN, nn.LSTM and nn.GRU is a drop-in.

    A subclass of these layers keeps its own ``forward``; what it calls by ``super()`` is the drop-in's.

    Args:
        module: any module.
        kind: the class that computes.
    """
    result = copied(module)
    for part in result.modules():
        if (base := kind_of(part)) is None:
            continue
        layer = cast("nn.RNNBase", part)
        dropped = type(base.__name__, (kind, base), {})
        # Behind a user's subclass, so that its own methods come first.
        layer.__class__ = dropped if type(layer) is base else type(type(layer).__name__, (type(layer), dropped), {})
        object.__setattr__(layer, "zoo_stack", stack_like(layer))
        for inner in cast("DropIn", layer).zoo_stack.ordered_layers:
            inner.fused = False
    return result


def with_cells(module: nn.Module) -> nn.Module:
    """Return a deep copy of a module whose recurrent layers run step by step, in the cells' own operations.

    The call and its results are the same: ``batch_first``, unbatched inputs, initial states, packed sequences. This
    concerns nn.RNN, nn.LSTM and nn.GRU, and `zoo.Layer`, anywhere inside. Dropout between layers draws other random
    numbers than torch's in training.

    Args:
        module: any module.
    """
    return in_cells(module, DropIn)


def in_cells(module: nn.Module, kind: type[DropIn]) -> nn.Module:
    """Do as `with_cells`, with a drop-in of one's own.

    Args:
        module: any module.
        kind: the class that computes nn.RNN, nn.LSTM and nn.GRU.
    """
    result = replace_layers(module, kind)
    for part in result.modules():
        if isinstance(part, Layer):
            part.fused = False
    return result


def _parts(states: Any) -> list[Tensor]:
    """Return the state tensors of an argument or a result: one tensor, or a tuple (h, c)."""
    return [states] if isinstance(states, Tensor) else list(states)
