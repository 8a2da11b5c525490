"""Recurrent networks in NumPy float64, written from the equations: the independent reference of the tests.

It shares no code and no technique with the package: one sequence at a time, one gate at a time, each gate with its own
matrices; a padded sequence is cut to its length, and a sequence for the reverse direction is reversed before it is
read. Neither torch nor zoo is imported.

Sources:

- RNN: Elman 1990, as in the documentation of torch.nn.RNN.
- LSTM: Hochreiter and Schmidhuber 1997 with the forget gate of Gers, Schmidhuber and Cummins 2000, as in the
  documentation of torch.nn.LSTM.
- GRU, reset after: the documentation of torch.nn.GRU.
- GRU, reset before: Cho et al. 2014 (arXiv:1406.1078), equations 5 to 8, with a bias for each product.

All functions also take complex arrays, so that one run with a complex step gives a directional derivative exact to
rounding: d f(a + t v) / dt at t = 0 is Im f(a + i h v) / h (Squire and Trapp 1998, SIAM Review 40).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
State = tuple[Array, ...]
Parameters = Mapping[str, Array]
"""Parameters of one cell by name: ``x2h.weight`` (gates * hidden, input), ``h2h.weight`` (gates * hidden, hidden) and,
where the cell has them, ``x2h.bias`` and ``h2h.bias`` (gates * hidden,)."""


@dataclass(frozen=True)
class Gate:
    """Parameters of one gate: w (hidden, input), u (hidden, hidden), b and c (hidden,)."""

    w: Array
    u: Array
    b: Array
    c: Array

    def of_input(self, x: Array) -> Array:
        return self.w @ x + self.b

    def of_state(self, h: Array) -> Array:
        return self.u @ h + self.c


Gates = Mapping[str, Gate]
Step = Callable[[Gates, Array, State], State]
"""One step: gates, x (input,), the state of (hidden,) each -> the new state, whose first part is the output."""


def sigmoid(a: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-a))
    return result


def rnn_tanh(gates: Gates, x: Array, state: State) -> State:
    (h,) = state
    return (np.tanh(gates["h"].of_input(x) + gates["h"].of_state(h)),)


def rnn_relu(gates: Gates, x: Array, state: State) -> State:
    (h,) = state
    total = gates["h"].of_input(x) + gates["h"].of_state(h)
    return (np.where(total.real > 0, total, 0),)


def lstm(gates: Gates, x: Array, state: State) -> State:
    h, c = state
    i = sigmoid(gates["i"].of_input(x) + gates["i"].of_state(h))
    f = sigmoid(gates["f"].of_input(x) + gates["f"].of_state(h))
    g = np.tanh(gates["g"].of_input(x) + gates["g"].of_state(h))
    o = sigmoid(gates["o"].of_input(x) + gates["o"].of_state(h))
    c = f * c + i * g
    return o * np.tanh(c), c


def gru_after(gates: Gates, x: Array, state: State) -> State:
    (h,) = state
    r = sigmoid(gates["r"].of_input(x) + gates["r"].of_state(h))
    z = sigmoid(gates["z"].of_input(x) + gates["z"].of_state(h))
    n = np.tanh(gates["n"].of_input(x) + r * gates["n"].of_state(h))
    return ((1 - z) * n + z * h,)


def gru_before(gates: Gates, x: Array, state: State) -> State:
    (h,) = state
    r = sigmoid(gates["r"].of_input(x) + gates["r"].of_state(h))
    z = sigmoid(gates["z"].of_input(x) + gates["z"].of_state(h))
    n = np.tanh(gates["n"].of_input(x) + gates["n"].of_state(r * h))
    return ((1 - z) * n + z * h,)


@dataclass(frozen=True)
class Kind:
    """A cell: its step, the order in which the parameters stack its gates, and how many tensors its state has."""

    step: Step
    gate_order: str
    state_parts: int = 1


KINDS: Mapping[str, Kind] = {
    "rnn_tanh": Kind(rnn_tanh, "h"),
    "rnn_relu": Kind(rnn_relu, "h"),
    "lstm": Kind(lstm, "ifgo", state_parts=2),
    "gru_after": Kind(gru_after, "rzn"),
    "gru_before": Kind(gru_before, "rzn"),
}

REVERSED: Mapping[str, tuple[bool, ...]] = {
    "forward": (False,),
    "reverse": (True,),
    "bidirectional": (False, True),
}


def split_gates(parameters: Parameters, gate_order: str) -> Gates:
    """Split the stacked parameters into those of each gate."""
    hidden = parameters["h2h.weight"].shape[1]
    no_bias = np.zeros(len(gate_order) * hidden)
    gates = {}
    for index, name in enumerate(gate_order):
        rows = slice(index * hidden, (index + 1) * hidden)
        gates[name] = Gate(
            parameters["x2h.weight"][rows],
            parameters["h2h.weight"][rows],
            parameters.get("x2h.bias", no_bias)[rows],
            parameters.get("h2h.bias", no_bias)[rows],
        )
    return gates


def run_sequence(step: Step, gates: Gates, x: Array, state: State) -> tuple[Array, State]:
    """Return outputs (time, hidden) and the final state for x (time, input) and a state of (hidden,) each."""
    outputs = []
    for row in x:
        state = step(gates, row, state)
        outputs.append(state[0])
    return np.stack(outputs), state


def run_direction(
    kind: str, parameters: Parameters, x: Array, lengths: Sequence[int], states: State | None, *, reverse: bool
) -> tuple[Array, State]:
    """Run one direction of a layer over x (time, batch, input).

    Returns:
        Outputs (time, batch, hidden), zero beyond each length, and the final state, (batch, hidden) each.
    """
    time, batch, _ = x.shape
    hidden = parameters["h2h.weight"].shape[1]
    gates = split_gates(parameters, KINDS[kind].gate_order)
    if states is None:
        states = (np.zeros((batch, hidden)),) * KINDS[kind].state_parts
    outputs = np.zeros((time, batch, hidden), np.result_type(x, *parameters.values(), *states))
    finals = []
    for index, length in enumerate(lengths):
        sequence = x[:length, index]
        initial = tuple(part[index] for part in states)
        read, final = run_sequence(KINDS[kind].step, gates, sequence[::-1] if reverse else sequence, initial)
        outputs[:length, index] = read[::-1] if reverse else read
        finals.append(final)
    return outputs, tuple(np.stack(part) for part in zip(*finals, strict=True))


def run_stack(
    kind: str,
    direction: str,
    layers: Sequence[Sequence[Parameters]],
    x: Array,
    lengths: Sequence[int] | None = None,
    states: Sequence[Sequence[State]] | None = None,
) -> tuple[Array, list[list[State]]]:
    """Run a stack of layers.

    Args:
        kind: a key of `KINDS`.
        direction: a key of `REVERSED`.
        layers: parameters of each layer's cells, forward before reverse.
        x: (time, batch, input).
        lengths: valid steps of each sequence; None if all sequences are full.
        states: initial state of each layer and direction, (batch, hidden) each; zeros when None.

    Returns:
        Outputs (time, batch, directions * hidden), zero beyond each length, and the final state of each layer and
        direction, (batch, hidden) each.
    """
    time, batch, _ = x.shape
    finals = []
    for number, cells in enumerate(layers):
        results = [
            run_direction(
                kind,
                parameters,
                x,
                [time] * batch if lengths is None else lengths,
                None if states is None else states[number][half],
                reverse=reverse,
            )
            for half, (parameters, reverse) in enumerate(zip(cells, REVERSED[direction], strict=True))
        ]
        x = np.concatenate([outputs for outputs, _ in results], 2)
        finals.append([final for _, final in results])
    return x, finals
