"""A module whose recurrent layers read packed sequences, made from one whose layers do not."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Lengths:
    """The lengths of the present batch, which all packed layers of a module share."""

    value: Tensor


class PackedLayer(nn.Module):
    """An nn.RNN, nn.LSTM or nn.GRU that packs its input and pads its outputs to as many steps."""

    def __init__(self, layer: nn.RNNBase, lengths: Lengths) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, x: Tensor, states: Any = None) -> tuple[Tensor, Any]:
        first = self.layer.batch_first
        packed = pack_padded_sequence(x, self.lengths.value, batch_first=first, enforce_sorted=False)
        outputs, states = self.layer(packed, states)
        return pad_packed_sequence(outputs, batch_first=first, total_length=x.size(int(first)))[0], states


class Packed(nn.Module):
    """A module with the lengths as an argument before its own."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.lengths = copy.deepcopy(net), Lengths()
        for part in list(self.net.modules()):
            for name, child in part.named_children():
                if isinstance(child, nn.RNNBase):
                    setattr(part, name, PackedLayer(child, self.lengths))

    def forward(self, packed_lengths: Tensor, *args: Any) -> Any:
        self.lengths.value = packed_lengths
        return self.net(*args)
