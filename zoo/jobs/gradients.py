"""How far back the gradient reaches: how much of what a model held at each step matters to the loss at the end.

For every part of the state of every layer and direction, and for every step t, this is the norm of dLoss/dstate_t: the
total derivative, through the output at t and through all later steps. Hochreiter (1991) and Bengio, Simard and Frasconi
(1994) show why it shrinks with the distance in a plain RNN, Hochreiter and Schmidhuber (1997) why it need not in an
LSTM's cell.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import IGNORED, Split
from zoo.nn.cell import Cell, State
from zoo.nn.lengths import reverse_sequences
from zoo.nn.model import Model
from zoo.nn.recurrent import REVERSED
from zoo.parity import Array
from zoo.plugins.registry import Registry
from zoo.run.run import Run, first_model
from zoo.tasks.task import Task

BATCH = 32
"""Sequences at a time: every state of every step is kept."""
PARTS = "hc"
"""What the parts of a state are called: the hidden state, which every built-in cell has, and an LSTM's cell."""


@dataclass(frozen=True)
class Curve:
    """The gradient that arrives at one part of a state, step by step.

    A sequence's norm at a step is the Euclidean norm of the gradient of that sequence's own loss with respect to the
    (hidden,) numbers of the state after that step. Every number here is a mean of such norms over sequences.
    """

    state: str
    """Which part of which state: ``h``, ``c``, ``layer 2 h reverse``."""
    norms: list[float]
    """At each step in the user's order, for a reverse direction too: the mean over the sequences that have the step."""
    first: float
    """At the first step."""
    middle: float
    """Half-way from each sequence's first step to its last."""
    last: float
    """At each sequence's last step; where steps have answers, at the last step that has one."""

    @property
    def ratio(self) -> float:
        """The first norm in units of the last; NaN where that is zero."""
        return self.first / self.last if self.last else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True)
class StateGradients:
    """What a model's loss at the end owes to every step."""

    curves: list[Curve]
    sequences: int
    loss: float
    """The mean loss that the gradients are of."""


class _Watched(Cell):
    """A cell that keeps the states it gives, for one pass."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell.input_size, state_sizes=cell.state_sizes, output_size=cell.output_size)
        self.inner = cell
        self.states: list[State] = []

    def project(self, x: Tensor) -> Tensor:
        return self.inner.project(x)

    def initial_state(self, batch: int, like: Tensor) -> State:
        return self.inner.initial_state(batch, like)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        output, proposed = self.inner.step(x, state)
        # A part that no weight has to do with (a counter of steps, say) would have no gradient to ask for.
        proposed = tuple(part if part.requires_grad else part.detach().requires_grad_() for part in proposed)
        self.states.append(proposed)
        return output, proposed


def run_state_gradients(run: Run, registry: Registry, *, untrained: bool = False) -> StateGradients:
    """`state_gradients` of a run's model, or of the weights that its training began with, over the run's own sample.

    Raises:
        RunError: where the run is not finished, or a file is missing or altered.
    """
    spec, task, model = run.load(registry)
    return state_gradients(first_model(spec, task, registry) if untrained else model, task, run.sample())


def state_gradients(model: Model, task: Task, sample: Split) -> StateGradients:
    """How much the state after each step matters to the end, in float64 and without dropout.

    The loss is the task's loss of a whole sequence; where each step has an answer, that of the last such step alone.
    Steps beyond a sequence's length count nowhere.
    """
    exact = copy.deepcopy(model).double().eval()
    directed: list[tuple[int, bool, _Watched]] = []
    for number, layer in enumerate(exact.layers(), 1):
        layer.fused = False
        for index, reverse in enumerate(REVERSED[layer.direction]):
            layer.cells[index] = watched = _Watched(layer.directed_cells[index])
            directed.append((number, reverse, watched))

    asked, ends = _asked(sample, by_step=model.by_step)
    parts = [
        (place, part) for place, (_, _, watched) in enumerate(directed) for part in range(len(watched.state_sizes))
    ]
    norms = np.full((len(parts), len(asked), asked.x.shape[1]), np.nan)
    loss = 0.0
    for start in range(0, len(asked), BATCH):
        batch = asked.take(slice(start, start + BATCH))
        for _, _, watched in directed:
            watched.states.clear()
        total = _total_loss(exact, task, batch)
        loss += float(total.detach())
        tensors = [state[part] for place, part in parts for state in directed[place][2].states]
        gradients = torch.autograd.grad(total, tensors, allow_unused=True, materialize_grads=True)
        steps = batch.x.shape[1]
        for index, (place, _) in enumerate(parts):
            found = torch.stack([one.norm(dim=1) for one in gradients[index * steps : (index + 1) * steps]])
            if directed[place][1]:
                found = reverse_sequences(found[:, :, None], batch.lengths)[:, :, 0]
            norms[index, start : start + len(batch), :steps] = found.T.numpy()
    if asked.lengths is not None:
        norms[:, np.arange(norms.shape[2]) >= asked.lengths.numpy()[:, None]] = np.nan
    names = [_name(directed, place, part, len(exact.layers())) for place, part in parts]
    curves = [_curve(name, own, ends) for name, own in zip(names, norms, strict=True)]
    return StateGradients(curves, len(asked), loss / len(asked))


def _asked(sample: Split, *, by_step: bool) -> tuple[Split, Array]:
    """The sample with the loss's question alone, and the (sequences,) step at which each sequence is asked."""
    sample = replace(sample, naive=None).take(slice(None))
    if not by_step:
        lengths = torch.full((len(sample),), sample.x.shape[1]) if sample.lengths is None else sample.lengths
        return sample, (lengths - 1).numpy()
    steps = torch.arange(sample.y.shape[1])
    ends = torch.where(sample.y != IGNORED, steps, -1).amax(1)
    alone = replace(sample, y=sample.y.where(steps == ends[:, None], IGNORED))
    # A masked text may have a window without any mask.
    return alone.take((ends >= 0).nonzero()[:, 0]), ends[ends >= 0].numpy()


def _total_loss(model: Model, task: Task, batch: Split) -> Tensor:
    """The sum of the sequences' losses, so that each sequence's gradient is that of its own loss."""
    x = batch.x.double() if batch.x.is_floating_point() else batch.x
    return task.loss(model(x, batch.lengths), batch.y) * len(batch)


def _name(directed: Sequence[tuple[int, bool, Cell]], place: int, part: int, layers: int) -> str:
    number, reverse, _ = directed[place]
    words = [PARTS[part] if part < len(PARTS) else f"state {part + 1}"]
    if layers > 1:
        words.insert(0, f"layer {number}")
    if len(directed) > layers:
        words.append("reverse" if reverse else "forward")
    return " ".join(words)


def _curve(state: str, norms: Array, ends: Array) -> Curve:
    """One state's norms (sequences, time), NaN where a sequence has no such step, averaged."""
    rows = np.arange(len(norms))
    return Curve(
        state,
        cast("list[float]", np.nanmean(norms, axis=0).tolist()),
        first=float(norms[:, 0].mean()),
        middle=float(norms[rows, ends // 2].mean()),
        last=float(norms[rows, ends].mean()),
    )
