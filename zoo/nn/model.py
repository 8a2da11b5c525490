"""The model: encoder -> stack -> pooling -> head -> readout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.nn.cell import State
from zoo.nn.encoder import TableEncoder, group_ids
from zoo.nn.lengths import valid_steps
from zoo.nn.pooling import Pooling, pool
from zoo.nn.readout import RescaleReadout
from zoo.nn.recurrent import Layer, Stack
from zoo.nn.states import StatePart, StatePlace, starting_states, state_parts, state_places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.nn.encoder import Encoder


class Model(nn.Module):
    """Recurrent network from inputs in the user's units to named outputs.

    Training needs the scores alone, which `forward` returns; `outputs` adds the readout, as an exported graph does.

    Args:
        encoder: maps numbers (batch, time, raw features) or tokens (batch, time) to vectors (batch, time, features).
        stack: the recurrent layers.
        pooling: reduction of the outputs of a sequence to one vector; None if each step is scored.
        head: maps (batch, stack.output_size), or (batch, time, stack.output_size) if each step is scored, to scores.
        readout: maps scores to named outputs.
        takes_lengths: whether sequences differ in length, so that an exported graph has an input for the lengths.

    Raises:
        SpecError: each step is scored and the readout has a horizon, or the readout has scales by group and the encoder
            reads no group.
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
        if isinstance(readout, RescaleReadout) and readout.grouped and getattr(encoder, "group", None) is None:
            raise SpecError("readout: has scales by group, expected an encoder with a group, a zoo.TableEncoder")
        self.encoder = encoder
        self.stack = stack
        self.pooling: Pooling | None = pooling
        self.head = head
        self.readout = readout
        self.takes_lengths = takes_lengths

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the scores of sequences in the user's units.

        Args:
            x: numbers (batch, time, features) or tokens (batch, time).
            lengths: (batch,) valid steps of each sequence, at least 1; None if all sequences are full.

        Returns:
            (batch, n); if each step is scored, (batch, time, n), zero beyond each length.
        """
        return self._run(x, lengths, None)[0]

    def _run(
        self, x: Tensor, lengths: Tensor | None, states: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, list[list[State]]]:
        """Compute the scores, and the final state of each layer and direction."""
        encoded = self.encoder(x).transpose(0, 1)
        start = None if states is None else starting_states(self.layers(), states, x.shape[0], encoded)
        outputs, last, finals = self.stack(encoded, lengths, start)
        if self.pooling is not None:
            return self.head(pool(outputs, last, self.pooling, lengths)), finals
        scores: Tensor = self.head(outputs.transpose(0, 1))
        return scores if lengths is None else _zero_beyond(scores, lengths), finals

    def outputs(
        self, x: Tensor, lengths: Tensor | None = None, states: Mapping[str, Tensor] | None = None
    ) -> Mapping[str, Tensor]:
        """Compute the named outputs, the same as those of an exported graph.

        Args:
            x: numbers (batch, time, features) or tokens (batch, time).
            lengths: (batch,) valid steps of each sequence, at least 1; None if all sequences are full.
            states: initial states (batch, n) by the names of `state_places`; a state that is left out starts as its
                cell defines. The outputs then include the final states. None for no states in the input and the output.

        Returns:
            Outputs by name: (batch, n), or (batch, time, n) if each step is scored. Beyond each length, logits and
            values in the user's units are exactly 0.

        Raises:
            DataError: ``states`` has a name that is not the name of a state.
        """
        scores, finals = self._run(x, lengths, states)
        group = self.groups(x)
        named: dict[str, Tensor] = self.readout(scores) if group is None else self.readout(scores, group)
        if self.by_step and lengths is not None and isinstance(self.readout, RescaleReadout):
            # A score of 0 becomes a nonzero value in the user's units, which would look like a prediction.
            named = {name: _zero_beyond(value, lengths) for name, value in named.items()}
        if states is None:
            return named
        return named | {
            place.next_name: finals[place.layer][place.direction][place.index] for place in self.state_places()
        }

    def groups(self, x: Tensor) -> Tensor | None:
        """Return the id of the group of each sequence of x, (batch,), where the readout has scales by group."""
        if isinstance(self.readout, RescaleReadout) and self.readout.grouped:
            assert isinstance(self.encoder, TableEncoder)
            assert self.encoder.group is not None
            return group_ids(x, self.encoder.group)
        return None

    def state_places(self) -> list[StatePlace]:
        """List the state tensors of all layers.

        Raises:
            ExportError: a cell has another number of ``state_names`` than of states, or the same name twice.
        """
        return state_places(self.layers())

    def state_parts(self) -> list[StatePart]:
        """List the state tensors of all layers with their initial values.

        Raises:
            ExportError: as for `state_places`, or a cell's sequences start with different states.
        """
        return state_parts(self.layers())

    @property
    def by_step(self) -> bool:
        """Whether each step is scored, rather than the sequence."""
        return self.pooling is None

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.parameters()).device

    @property
    def parameter_count(self) -> int:
        """Number of values in all parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def layers(self) -> list[Layer]:
        """Return the recurrent layers from the input to the output."""
        return self.stack.ordered_layers


def _zero_beyond(value: Tensor, lengths: Tensor) -> Tensor:
    """Set a tensor (batch, time, n) to exactly zero beyond each length."""
    return value.where(valid_steps(lengths, value.shape[1]).transpose(0, 1), value.new_zeros(()))
