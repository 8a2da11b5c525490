"""The oracle: exact results of a model, and how sensitive they are to rounding.

The exact result is the model in float64, in the cells' own steps, since a fused kernel hides its operations. The model
then runs a second time, in the disturbed arithmetic of `zoo.proof.disturbed`, `DRAWS` times in one batch. The
sensitivity of an output at a step is its largest move from the exact result over all draws. `zoo.parity.Expected` makes
a budget of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.exporting.dissection import ModelValue
from zoo.nn.cell_trial import in_float64
from zoo.nn.model import Model
from zoo.parity import ALL_PRECISIONS, WEIGHT_FORMATS, Array, Expected
from zoo.progress import Progress, silent
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.inputs import Input, concatenate
from zoo.proof.passes import DRAWS, ONE_SIDED, divide, numbers_per_step
from zoo.proof.trace import has_steps, reads_backward, trace

COST_OF_A_STEP = 8
"""Cost of a step beside that of its rows, in rows: roughly, since it serves the display of progress alone."""


class _Group(NamedTuple):
    """Inputs that run as one batch."""

    indices: list[int]
    """Places of the inputs among all."""
    rows: Input
    """Different rows of the inputs."""
    place: Array
    """Index of the equal row in ``rows`` for each row of the inputs, one input after the other."""

    @property
    def work(self) -> int:
        """Estimate of the time that the group takes, in rows times steps."""
        rows, steps = self.rows.x.shape[:2]
        return int(steps * (rows + COST_OF_A_STEP))


class Oracle:
    """Exact outputs of a model, and their sensitivities.

    Args:
        model: a trained model; it is copied.
    """

    def __init__(self, model: Model) -> None:
        self.model = copy.deepcopy(model).cpu().double().eval()
        for layer in self.model.layers():
            layer.fused = False
        self._finals = {place.next_name for place in self.model.state_places()}
        self._numbers_per_step = numbers_per_step(self.model)

    def expect(
        self,
        x: Array,
        precision: str = "float32",
        lengths: Array | None = None,
        states: Mapping[str, Array] | None = None,
    ) -> Mapping[str, Expected]:
        """Return what each output should be, by name, with its sensitivity.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens.
            precision: a key of `zoo.parity.ALL_PRECISIONS`: that of the program to be judged.
            lengths: (batch,) valid steps of each sequence; None where all are full.
            states: initial states by name; see `Input`.
        """
        return self.expect_each([Input(x, lengths, states)], precision)[0]

    def expect_each(
        self, inputs: Sequence[Input], precision: str, progress: Progress = silent
    ) -> list[Mapping[str, Expected]]:
        """Return what each output of each input should be; see `expect`.

        Inputs with the same number of steps run as one batch, which takes less time. Of equal rows one is computed.
        Where activations are quantised, each input runs by itself, as in the judged program: the error of an activation
        follows from the range of its tensor, which contains all rows of the batch.
        """
        groups = _grouped(inputs, joined=not _quantises_activations(precision))
        total, done = sum(group.work for group in groups), 0
        results: dict[int, Mapping[str, Expected]] = {}
        for number, group in enumerate(groups, 1):
            text = f"exact result {number} of {len(groups)}: {group.rows.x.shape[1]} steps"
            own = partial(_part, progress, text, done / total, group.work / total)
            items = [inputs[index] for index in group.indices]
            results |= zip(group.indices, self._expect_group(items, group, precision, own), strict=True)
            done += group.work
        progress("exact results complete", 1.0)
        return [results[index] for index in range(len(inputs))]

    def _expect_group(
        self, items: Sequence[Input], group: _Group, precision: str, progress: Callable[[float], None]
    ) -> Iterator[Mapping[str, Expected]]:
        exact, moves = self._measure(group.rows, precision, progress)
        end = 0
        for item in items:
            rows = group.place[end : (end := end + len(item.x))]
            yield {
                name: _expected(value[rows], moves[name][rows], item.lengths, precision, by_step=self._by_step(name))
                for name, value in exact.items()
            }

    @torch.no_grad()  # inference mode would pass composite operations undivided to the disturbed arithmetic
    def _measure(
        self, batch: Input, precision: str, progress: Callable[[float], None]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the exact outputs of a batch, and for each row the largest move at each step over all draws.

        Args:
            batch: the input.
            precision: a key of `zoo.parity.ALL_PRECISIONS`.
            progress: called with the finished share of the work.
        """
        exact: list[dict[str, Array]] = []
        moves: dict[str, Array] = {}
        rows_in_all, steps = batch.x.shape[:2]
        split = not _quantises_activations(precision)
        passes = divide(rows_in_all, steps, self._numbers_per_step, self._weights(precision), split=split)
        for number, part in enumerate(passes):
            progress(number / len(passes))
            item, draws = batch.rows(part.rows), len(part.draws)
            if part.draws.start == 0:
                exact.append(self._run(item))
            with _disturbed(precision, len(item.x), draws, part.one_sided, seed=number):
                disturbed = self._run(concatenate([item] * draws))
            for name, value in disturbed.items():
                drawn = value.reshape(draws, *exact[-1][name].shape)
                largest = _largest_moves(exact[-1][name], drawn, by_step=self._by_step(name))
                own = moves.setdefault(name, np.zeros((rows_in_all, largest.shape[1])))[part.rows]
                np.maximum(own, largest, out=own)
        return {name: np.concatenate([value[name] for value in exact]) for name in exact[0]}, moves

    def _weights(self, precision: str) -> int:
        """Return how many numbers have errors of their own in each draw: the weights, where their format is coarser."""
        kept = ALL_PRECISIONS[precision].weights
        return 0 if kept is None else sum(parameter.numel() for parameter in self.model.parameters())

    def _by_step(self, name: str) -> bool:
        """Return whether an output has steps."""
        return self.model.by_step and name not in self._finals

    def _run(self, item: Input) -> dict[str, Array]:
        with in_float64():
            return {name: value.numpy() for name, value in self.model.outputs(*_tensors(item)).items()}

    @torch.no_grad()
    def expect_values(self, item: Input, precision: str) -> dict[ModelValue, Expected]:
        """Return what each value inside the model should be, in the order in which the model computes them.

        The steps of a direction that reads backward are in the order of reading, since errors grow in that order.

        Args:
            item: the input.
            precision: a key of `zoo.parity.PRECISIONS`.
        """
        exact = self.values(item)
        with _disturbed(precision, len(item.x)):
            disturbed = self.values(concatenate([item] * DRAWS))
        expected = {}
        for value, array in exact.items():
            drawn = disturbed[value].reshape(DRAWS, *array.shape)
            lengths = item.lengths if value.kind in ("outputs", "scores", "named") else None  # zero beyond each length
            by_step = has_steps(self.model, value)
            moves = _largest_moves(array, drawn, by_step=by_step, not_finite=0.0)
            expected[value] = _expected(array, moves, lengths, precision, by_step=by_step)
        return expected

    @torch.no_grad()
    def values(self, item: Input) -> dict[ModelValue, Array]:
        """Return the exact values inside the model, their steps ordered as in `expect_values`."""
        with in_float64():
            values = trace(self.model, *_tensors(item))
        return {
            value: (array.flip(1) if reads_backward(self.model, value) else array).numpy()
            for value, array in values.items()
        }


def _disturbed(
    precision: str, rows: int, draws: int = DRAWS, one_sided: int = ONE_SIDED, seed: int = 0
) -> DisturbedArithmetic:
    """Return the arithmetic for several draws of an input at once.

    The draws are concatenated along the batch. Rows are independent, so each draw has disturbances of its own.
    """
    return DisturbedArithmetic(precision, seed, draws, draws * rows, one_sided)


def _quantises_activations(precision: str) -> bool:
    """Return whether activations are rounded by the range of their tensor; see `zoo.parity.WeightFormat`."""
    kept = ALL_PRECISIONS[precision].weights
    return kept is not None and WEIGHT_FORMATS[kept].range_share > 0


def _grouped(inputs: Sequence[Input], *, joined: bool) -> list[_Group]:
    """Return the inputs in groups that can run as one batch; each input alone unless they may be joined."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, item in enumerate(inputs):
        names = None if item.states is None else tuple(item.states)
        alone = None if joined else index
        groups.setdefault((item.x.shape[1:], item.lengths is None, names, alone), []).append(index)
    return [
        _Group(indices, *concatenate([inputs[index] for index in indices]).distinct()) for indices in groups.values()
    ]


def _part(progress: Progress, text: str, before: float, share: float, done: float) -> None:
    """Report that a share ``done`` of a part of the work is finished."""
    progress(text, before + share * done)


def _largest_moves(exact: Array, drawn: Array, *, by_step: bool, not_finite: float = np.inf) -> Array:
    """Return the largest move of each row at each step, (rows, time) or (rows, 1).

    Args:
        exact: (rows, time, ...) or (rows, ...).
        drawn: the disturbed results, (draws, *exact.shape).
        by_step: whether there is a time axis.
        not_finite: the move where the exact result is not finite. An output that leaves even the range of float64
            permits no verdict: infinity. A value inside the model may be NaN beyond the end of a sequence: 0.
    """
    largest = np.zeros(exact.shape)
    for values in drawn:
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            moves = np.abs(values.astype(np.float64) - exact)
        np.maximum(largest, np.nan_to_num(moves, nan=np.inf, posinf=np.inf), out=largest)
    largest = np.where(np.isfinite(exact), largest, not_finite)
    grouped = largest.reshape(len(exact), exact.shape[1] if by_step else 1, -1)
    return np.asarray(grouped.max(2, initial=0.0))


def _expected(exact: Array, moves: Array, lengths: Array | None, precision: str, *, by_step: bool) -> Expected:
    """Return one value of one input with its sensitivity: the largest move at each step.

    Args:
        exact: (batch, time, ...) or (batch, ...).
        moves: the largest move of each row at each step, (batch, time) or (batch, 1).
        lengths: (batch,); None where nothing must be zero beyond them.
        precision: a key of `zoo.parity.ALL_PRECISIONS`.
        by_step: whether there is a time axis.
    """
    padding = np.arange(exact.shape[1]) >= lengths[:, None] if by_step and lengths is not None else None
    return Expected(exact, moves.max(0), precision, padding=padding)


def _tensors(item: Input) -> tuple[Tensor, Tensor | None, dict[str, Tensor] | None]:
    """Return the arguments of `zoo.Model.outputs`."""
    lengths = None if item.lengths is None else torch.from_numpy(item.lengths)
    states = None if item.states is None else {name: _tensor(state) for name, state in item.states.items()}
    return _tensor(item.x), lengths, states


def _tensor(array: Array) -> Tensor:
    """Return numbers in float64, integers unchanged."""
    tensor = torch.from_numpy(array)
    return tensor.double() if tensor.is_floating_point() else tensor
