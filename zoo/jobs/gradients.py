"""Gradients of the loss with respect to the state after each step: how far back a model can learn.

For every part of the state of every layer and direction, and for every step t, this is the norm of dLoss/dstate_t: the
total derivative, through the output at t and through all later steps. Hochreiter (1991) and Bengio, Simard and Frasconi
(1994) show why it shrinks with the distance in a plain RNN, Hochreiter and Schmidhuber (1997) why it need not in an
LSTM's cell.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Split
from zoo.data.signature import IGNORED
from zoo.nn.cell import Cell, State
from zoo.nn.lengths import reverse_sequences
from zoo.nn.model import Model
from zoo.nn.recurrent import REVERSED
from zoo.nn.states import state_names
from zoo.parity import Array
from zoo.plots.picture import Picture
from zoo.plugins.registry import Registry
from zoo.progress import Progress, silent
from zoo.run.lock import locked
from zoo.run.run import Run, first_model
from zoo.tasks.task import Task

BATCH = 32
"""Number of sequences in a batch; every state of every step stays in memory."""


@dataclass(frozen=True)
class Curve:
    """Gradient norms of one part of a state, by step.

    The norm of a sequence at a step is the Euclidean norm of the gradient of that sequence's own loss with respect to
    the part (hidden,) of the state after that step. All fields are means of such norms over sequences.
    """

    state: str
    """Name of the part by the cell's ``state_names``, with layer (from 0) and direction where there are several: ``h``,
    ``layer 1 c reverse``; ``state 0`` where the cell gives no names."""
    norms: list[float]
    """Mean at each step, over the sequences that have the step; in input order, for a reverse direction too."""
    first: float
    """Mean at the first step."""
    middle: float
    """Mean halfway between each sequence's first step and the step of `last`."""
    last: float
    """Mean at each sequence's last step; for targets by step, at the last step with a target."""

    @property
    def ratio(self) -> float:
        """`first` divided by `last`; NaN where `last` is zero."""
        return self.first / self.last if self.last else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the ratio as values for JSON."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True)
class StateGradients:
    """Gradients of a model's loss with respect to all parts of its state."""

    curves: list[Curve]
    """One curve per layer, direction and part of the state."""
    sequences: int
    """Number of sequences with a target."""
    loss: float
    """Mean loss of these sequences."""


@dataclass(frozen=True)
class Gradients:
    """Gradients of several runs, or of one, to be shown side by side."""

    weights: Literal["trained", "untrained"]
    """Whether they are those of the trained or of the initial weights."""
    runs: dict[str, StateGradients]
    """By the name of the run's folder; by its path where two runs share a name."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as values for JSON."""
        entries = [
            {
                "name": name,
                "sequences": result.sequences,
                "loss": result.loss,
                "states": [curve.to_dict() for curve in result.curves],
            }
            for name, result in self.runs.items()
        ]
        return {"weights": self.weights, "runs": entries}

    def picture(self, *, dpi: int = 130) -> Picture:
        """Return the picture of all runs, which a notebook shows.

        Args:
            dpi: pixels an inch.
        """
        from zoo.plots.gradients import gradients_figure  # matplotlib is slow to import
        from zoo.plots.style import rendered

        curves = {name: result.curves for name, result in self.runs.items()}
        return Picture(rendered(gradients_figure(curves, self.weights), dpi))

    def draw(self, path: Path, run: Run | None = None) -> None:
        """Write the picture of all runs to a PNG file.

        Args:
            path: the file.
            run: the run to lock meanwhile, whose folder contains the file; None for a file elsewhere.

        Raises:
            RunError: another process uses the run's folder, or the file cannot be written.
        """
        with nullcontext() if run is None else locked(run.path, "zoo gradients"):
            self.picture().save(path)


class _RecordingCell(Cell):
    """A cell that records the states after each step of one pass."""

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
        # A part that depends on no weight, such as a counter of steps, would otherwise have no gradient.
        proposed = tuple(part if part.requires_grad else part.detach().requires_grad_() for part in proposed)
        self.states.append(proposed)
        return output, proposed


class _Direction(NamedTuple):
    """One direction of one layer."""

    layer: int
    """Number of the layer, from 0."""
    reverse: bool
    cell: _RecordingCell


def run_gradients(
    runs: Sequence[Run], registry: Registry, *, untrained: bool = False, progress: Progress = silent
) -> Gradients:
    """Return `state_gradients` of each run's model over the run's sample.

    Args:
        runs: finished runs; one that is given twice counts once.
        registry: gives the runs' architectures and tasks.
        untrained: whether to take the initial weights instead of the trained ones.
        progress: called with the name of each run.

    Raises:
        RunError: a run is not finished, or a file is missing or was altered.
    """
    different = list(dict.fromkeys(runs))
    names = [run.path.resolve().name for run in different]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in different]
    results = {}
    for name, run in zip(names, different, strict=True):
        progress(name)
        results[name] = run_state_gradients(run, registry, untrained=untrained)
    return Gradients("untrained" if untrained else "trained", results)


def run_state_gradients(run: Run, registry: Registry, *, untrained: bool = False) -> StateGradients:
    """Return `state_gradients` of a run's model over the run's sample.

    Args:
        run: a finished run.
        registry: gives the run's architecture and task.
        untrained: whether to take the initial weights instead of the trained ones.

    Raises:
        RunError: where the run is not finished, or a file is missing or was altered.
    """
    spec, task, model = run.load(registry)
    return state_gradients(first_model(spec, task, registry) if untrained else model, task, run.sample())


def state_gradients(model: Model, task: Task, sample: Split) -> StateGradients:
    """Return the norms of dLoss/dstate_t at each step t, in float64 and without dropout.

    The loss is the task's loss of one sequence; for targets by step, the loss of the last step with a target. Steps
    beyond a sequence's length are left out of all means.

    Args:
        model: the model, which is not changed.
        task: gives the loss.
        sample: sequences in the user's units, with targets. Those without any target are left out.

    Raises:
        ExportError: a cell gives another number of ``state_names`` than it has states.
    """
    exact = copy.deepcopy(model).double().eval()
    directions: list[_Direction] = []
    for number, layer in enumerate(exact.layers()):
        layer.fused = False
        for index, reverse in enumerate(REVERSED[layer.direction]):
            layer.cells[index] = cell = _RecordingCell(layer.directed_cells[index])
            directions.append(_Direction(number, reverse, cell))

    targeted, ends = _last_targets(sample, by_step=model.by_step)
    parts = [(direction, part) for direction in directions for part in range(len(direction.cell.state_sizes))]
    norms = np.full((len(parts), len(targeted), targeted.x.shape[1]), np.nan)
    loss = 0.0
    for start in range(0, len(targeted), BATCH):
        batch = targeted.take(slice(start, start + BATCH))
        for direction in directions:
            direction.cell.states.clear()
        total = _total_loss(exact, task, batch)
        loss += float(total.detach())
        tensors = [state[part] for direction, part in parts for state in direction.cell.states]
        gradients = torch.autograd.grad(total, tensors, allow_unused=True, materialize_grads=True)
        steps = batch.x.shape[1]
        for index, (direction, _) in enumerate(parts):
            own = torch.stack([gradient.norm(dim=1) for gradient in gradients[index * steps : (index + 1) * steps]])
            if direction.reverse:
                own = reverse_sequences(own[:, :, None], batch.lengths)[:, :, 0]
            norms[index, start : start + len(batch), :steps] = own.T.numpy()
    if targeted.lengths is not None:
        norms[:, np.arange(norms.shape[2]) >= targeted.lengths.numpy()[:, None]] = np.nan
    names = [_name(direction, part, directions) for direction, part in parts]
    curves = [_curve(name, own, ends) for name, own in zip(names, norms, strict=True)]
    return StateGradients(curves, len(targeted), loss / len(targeted))


def _last_targets(sample: Split, *, by_step: bool) -> tuple[Split, Array]:
    """Return the sample with the last target of each sequence only, and the (sequences,) indices of those steps."""
    sample = replace(sample, naive=None).take(slice(None))
    if not by_step:
        lengths = torch.full((len(sample),), sample.x.shape[1]) if sample.lengths is None else sample.lengths
        return sample, (lengths - 1).numpy()
    steps = torch.arange(sample.y.shape[1])
    numbers = sample.y.is_floating_point()
    targeted = ~sample.y.isnan().all(2) if numbers else sample.y != IGNORED
    ends = torch.where(targeted, steps, -1).amax(1)
    if numbers:
        last = replace(sample, y=sample.y.where((steps == ends[:, None])[:, :, None], torch.nan))
    else:
        last = replace(sample, y=sample.y.where(steps == ends[:, None], IGNORED))
    # A window of a masked text may have no masked character, and so no target.
    return last.take((ends >= 0).nonzero()[:, 0]), ends[ends >= 0].numpy()


def _total_loss(model: Model, task: Task, batch: Split) -> Tensor:
    """Return the sum of the sequences' losses, whose gradient for each sequence is that of its own loss."""
    x = batch.x.double() if batch.x.is_floating_point() else batch.x
    return task.for_batch(x).loss(model(x, batch.lengths), batch.y) * len(batch)


def _name(direction: _Direction, part: int, directions: Sequence[_Direction]) -> str:
    """Return the name of a part of a state, with layer and direction where the model has several."""
    cell, layers = direction.cell.inner, directions[-1].layer + 1
    own = state_names(direction.layer, cell)[part]
    words = [own if cell.state_names else f"state {own}"]
    if layers > 1:
        words.insert(0, f"layer {direction.layer}")
    if len(directions) > layers:
        words.append("reverse" if direction.reverse else "forward")
    return " ".join(words)


def _curve(state: str, norms: Array, ends: Array) -> Curve:
    """Return the means of norms (sequences, time), which are NaN beyond each sequence's length."""
    rows = np.arange(len(norms))
    return Curve(
        state,
        cast("list[float]", np.nanmean(norms, axis=0).tolist()),
        first=float(norms[:, 0].mean()),
        middle=float(norms[rows, ends // 2].mean()),
        last=float(norms[rows, ends].mean()),
    )
