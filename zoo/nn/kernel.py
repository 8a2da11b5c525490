"""Fused execution: a torch.nn recurrent module that computes with a cell's own parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.nn.cell import Kernel, State


def kernels_run(x: Tensor) -> bool:
    """Whether torch.nn's kernels can be had for an input.

    Under autocast oneDNN finds no LSTM in bfloat16 on a CPU without AVX-512, and raises (torch 2.13).
    """
    on_cpu = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return not on_cpu or "AVX512" in torch.backends.cpu.get_cpu_capability()


class FusedKernel:
    """One layer's torch.nn module, one or two directions, sharing its parameters with the cells.

    It is not a Module on purpose: the parameters belong to the cells and stand in their state_dict alone, which is why
    weights load from one implementation into the other.
    """

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        first = kernels[0]
        hidden, inputs = first.recurrent_weight.shape[1], first.input_weight.shape[1]
        self._module = first.module(
            inputs,
            hidden,
            bias=first.input_bias is not None,
            bidirectional=len(kernels) == 2,
            device="meta",  # its own weights are never used
            **first.options,
        )
        for suffix, kernel in zip(("_l0", "_l0_reverse"), kernels, strict=False):
            setattr(self._module, f"weight_ih{suffix}", kernel.input_weight)
            setattr(self._module, f"weight_hh{suffix}", kernel.recurrent_weight)
            if kernel.input_bias is not None:
                setattr(self._module, f"bias_ih{suffix}", kernel.input_bias)
                setattr(self._module, f"bias_hh{suffix}", kernel.recurrent_bias)
        self._kernels, self._device = list(kernels), first.input_weight.device
        # cuDNN wants all weights in one block of memory; elsewhere this does nothing.
        self._module.flatten_parameters()

    def computes_with(self, kernels: Sequence[Kernel]) -> bool:
        """Whether these are the very parameters that this kernel holds, on the device where it made them one block."""
        return kernels[0].input_weight.device == self._device and all(
            mine.input_weight is its.input_weight
            and mine.recurrent_weight is its.recurrent_weight
            and mine.input_bias is its.input_bias
            and mine.recurrent_bias is its.recurrent_bias
            for mine, its in zip(self._kernels, kernels, strict=True)
        )

    def run(self, x: Tensor, states: Sequence[State], lengths: Tensor | None) -> tuple[Tensor, Tensor, list[State]]:
        """Run the layer over x (time, batch, input), from a state for each direction.

        Returns the outputs (time, batch, D * hidden), the last output of each direction side by side (batch,
        D * hidden), and the final states.
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
        # The hidden state, which comes first, is the output of torch.nn's cells. Reading it off the outputs instead
        # would make backward fill and add a gradient for every step.
        last = torch.cat(tuple(finals[0]), 1) if len(states) > 1 else finals[0][0]
        return outputs, last, [tuple(part[i] for part in finals) for i in range(len(states))]
