"""Fused execution: a torch.nn recurrent module that computes with the parameters of the cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.nn.cell import Kernel, State


def kernels_available(x: Tensor) -> bool:
    """Return whether torch.nn's kernels can compute on an input.

    Under autocast on a CPU without AVX-512, oneDNN has no LSTM for bfloat16 and raises (torch 2.13).
    """
    on_cpu = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return not on_cpu or "AVX512" in torch.backends.cpu.get_cpu_capability()


class FusedKernel:
    """torch.nn module of one layer, in one or both directions, that shares its parameters with the cells.

    It is deliberately no nn.Module: the parameters belong to the cells and appear only in their state_dict, so that
    weights load from one implementation into the other.

    Args:
        kernels: the kernel of each direction's cell, forward first.
    """

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        first = kernels[0]
        projection = first.projection_weight
        self._module = first.module(
            first.input_weight.shape[1],
            first.hidden_size,
            bias=first.input_bias is not None,
            bidirectional=len(kernels) == 2,
            device="meta",  # its own weights are never used
            **first.options,
            **({} if projection is None else {"proj_size": len(projection)}),
        )
        for suffix, kernel in zip(("_l0", "_l0_reverse"), kernels, strict=False):
            for name, weight in kernel.weights().items():
                setattr(self._module, name + suffix, weight)
        self._kernels, self._device = list(kernels), first.input_weight.device
        # cuDNN needs all weights in one block of memory; on other devices this does nothing.
        self._module.flatten_parameters()

    def computes_with(self, kernels: Sequence[Kernel]) -> bool:
        """Return whether the kernels hold the same parameter objects, on the device where they were flattened."""
        return kernels[0].input_weight.device == self._device and all(
            held.weights().keys() == kernel.weights().keys()
            and all(weight is kernel.weights()[name] for name, weight in held.weights().items())
            for held, kernel in zip(self._kernels, kernels, strict=True)
        )

    def run(self, x: Tensor, states: Sequence[State], lengths: Tensor | None) -> tuple[Tensor, Tensor, list[State]]:
        """Run the layer over a batch of sequences.

        Args:
            x: (time, batch, input).
            states: initial state of each direction.
            lengths: (batch,) valid steps of each sequence; None if all sequences are full.

        Returns:
            The outputs (time, batch, directions * hidden), the last output of each direction side by side
            (batch, directions * hidden), and the final state of each direction.
        """
        stacked = [torch.stack(parts) for parts in zip(*states, strict=True)]
        many = len(stacked) > 1
        initial = tuple(stacked) if many else stacked[0]
        if lengths is None:
            outputs, final = self._module(x, initial)
        else:
            packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
            packed_outputs, final = self._module(packed, initial)
            outputs, _ = pad_packed_sequence(packed_outputs, total_length=x.shape[0])
        finals = final if many else (final,)
        # The hidden state, which comes first, is the output of torch.nn's cells. Slicing it from the outputs instead
        # would make the backward pass fill and add a gradient for every step.
        last = torch.cat(tuple(finals[0]), 1) if len(states) > 1 else finals[0][0]
        return outputs, last, [tuple(part[i] for part in finals) for i in range(len(states))]
