"""The model: encoder -> stack -> pooling -> head, and the readout that turns scores into what a user sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.nn.cell import State
from zoo.nn.lengths import valid_steps
from zoo.nn.pooling import Pooling, pool
from zoo.nn.readout import RescaleReadout
from zoo.nn.recurrent import Layer, Stack
from zoo.nn.states import StatePart, StatePlace, starting_states, state_parts, state_places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.nn.encoder import Encoder


class Model(nn.Module):
    """A recurrent network from the user's units to named outputs.

    Args:
        encoder: (batch, time, raw features) numbers, or (batch, time) tokens -> (batch, time, features).
        stack: the recurrent layers.
        pooling: how the sequence of outputs becomes one vector; None where each step is scored.
        head: (batch, stack.output_size), or with the steps before the features -> scores.
        readout: scores -> named outputs.
        takes_lengths: whether sequences have lengths of their own, so that an exported graph has an input for them.

    Raises:
        SpecError: where each step is scored and the readout has a horizon.
    """

    def __init__(
        self,
        encoder: Encoder,
        stack: Stack,
        pooling: Pooling | None,
        head: nn.Module,
        readout: nn.Module,
        *,
        takes_lengths: bool = False,
    ) -> None:
        super().__init__()
        if pooling is None and isinstance(readout, RescaleReadout) and readout.horizon:
            raise SpecError(
                f"readout: a horizon of {readout.horizon} steps after each step, expected none where each step is "
                "scored; give a pooling such as 'last', or a RescaleReadout without a horizon"
            )
        self.encoder = encoder
        self.stack = stack
        self.pooling: Pooling | None = pooling
        self.head = head
        self.readout = readout
        self.takes_lengths = takes_lengths

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Sequences in the user's units -> scores.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens.
            lengths: (batch,) valid steps of each sequence, at least 1; None where all are full.

        Returns:
            (batch, n); where each step is scored (batch, time, n), zero beyond each length.
        """
        return self._run(x, lengths, None)[0]

    def _run(
        self, x: Tensor, lengths: Tensor | None, states: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, list[list[State]]]:
        """The scores, and the state of each direction of each layer after the last valid step that it reads."""
        encoded = self.encoder(x).transpose(0, 1)
        start = None if states is None else starting_states(self.layers(), states, len(x), encoded)
        outputs, last, finals = self.stack(encoded, lengths, start)
        if self.pooling is not None:
            return self.head(pool(outputs, last, self.pooling, lengths)), finals
        scores: Tensor = self.head(outputs.transpose(0, 1))
        return scores if lengths is None else _zero_beyond(scores, lengths), finals

    def outputs(
        self, x: Tensor, lengths: Tensor | None = None, states: Mapping[str, Tensor] | None = None
    ) -> Mapping[str, Tensor]:
        """What an exported graph gives for the same input, by name.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens.
            lengths: (batch,) valid steps of each sequence, at least 1; None where all are full.
            states: what the layers start with, (batch, n) by the names of `state_places`, those left out as the layers
                start by themselves; what they end with is then among the outputs. None for neither.

        Returns:
            (batch, n), or where each step is scored (batch, time, n). Beyond each length logits and numbers in the
            user's units are exactly 0.
        """
        scores, finals = self._run(x, lengths, states)
        named: dict[str, Tensor] = self.readout(scores)
        if self.by_step and lengths is not None and isinstance(self.readout, RescaleReadout):
            # A score of 0 is some number in the user's units, which would be taken for an answer.
            named = {name: _zero_beyond(value, lengths) for name, value in named.items()}
        if states is None:
            return named
        return named | {
            place.next_name: finals[place.layer][place.direction][place.index] for place in self.state_places()
        }

    def state_places(self) -> list[StatePlace]:
        """Everything that the layers carry from step to step."""
        return state_places(self.layers())

    def state_parts(self) -> list[StatePart]:
        """The same, each with its initial value."""
        return state_parts(self.layers())

    @property
    def by_step(self) -> bool:
        """Whether each step is scored, rather than the sequence."""
        return self.pooling is None

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def parameter_count(self) -> int:
        """How many numbers training may change."""
        return sum(parameter.numel() for parameter in self.parameters())

    def layers(self) -> list[Layer]:
        """The recurrent layers from the input to the output."""
        return self.stack.ordered_layers


def _zero_beyond(value: Tensor, lengths: Tensor) -> Tensor:
    """(batch, time, n) -> the same, exactly zero beyond each length."""
    return value.where(valid_steps(lengths, value.shape[1]).transpose(0, 1), value.new_zeros(()))
