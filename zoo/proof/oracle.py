"""The oracle: exact results of a model, and how sensitive they are to rounding.

The exact result is the model in float64, in the cells' own steps, since a fused kernel hides its operations. The model
then runs a second time, in the disturbed arithmetic of `zoo.proof.disturbed`, `DRAWS` times in one batch. The
sensitivity of an output at a step is its largest move from the exact result over all draws. `zoo.parity.Expected` makes
a budget of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.exporting.dissection import ModelValue
from zoo.nn.cell_trial import in_float64
from zoo.nn.model import Model
from zoo.parity import Array, Expected
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.trace import has_steps, reads_backward, trace

DRAWS = 10
"""With five draws, one of 200 correct models near chaos failed, at 1.5 times its budget; with ten, none of 400."""
ONE_SIDED = 4
"""Draws, of `DRAWS`, with one-sided errors; see `zoo.proof.disturbed`. With none, 13 of 160 inputs of correct RNNs
whose 64 units are all equal failed, at up to 1.6 times their budget."""


class Input(NamedTuple):
    """One input of a model."""

    x: Array
    """(batch, time, features) numbers or (batch, time) tokens."""
    lengths: Array | None = None
    """(batch,) valid steps of each sequence; None where all are full."""
    states: Mapping[str, Array] | None = None
    """Initial states by name, as `zoo.Model.outputs` takes them; floating ones are taken as exact."""


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
        self, inputs: Sequence[Input], precision: str, progress: Callable[[str], None] = lambda _: None
    ) -> list[Mapping[str, Expected]]:
        """Return what each output of each input should be; see `expect`.

        Inputs with the same number of steps run as one batch, which takes less time.
        """
        groups: dict[tuple[object, ...], list[int]] = {}
        for index, item in enumerate(inputs):
            names = None if item.states is None else tuple(item.states)
            groups.setdefault((item.x.shape[1:], item.lengths is None, names), []).append(index)
        results: dict[int, Mapping[str, Expected]] = {}
        for number, indices in enumerate(groups.values(), 1):
            group = [inputs[index] for index in indices]
            progress(f"exact result {number} of {len(groups)}: {group[0].x.shape[1]} steps")
            results |= zip(indices, self._expect_group(group, precision), strict=True)
        return [results[index] for index in range(len(inputs))]

    @torch.no_grad()  # inference mode would pass composite operations undivided to the disturbed arithmetic
    def _expect_group(self, inputs: Sequence[Input], precision: str) -> Iterator[Mapping[str, Expected]]:
        joined = _concatenate(inputs)
        exact = self._run(joined)
        with _disturbed(precision, joined):
            disturbed = self._run(_concatenate([joined] * DRAWS))
        draws = {name: value.reshape(DRAWS, *exact[name].shape) for name, value in disturbed.items()}
        end = 0
        for item in inputs:
            rows = slice(end, end := end + len(item.x))
            yield {
                name: _expected(
                    value[rows],
                    draws[name][:, rows],
                    item.lengths,
                    precision,
                    by_step=self.model.by_step and name not in self._finals,
                )
                for name, value in exact.items()
            }

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
        with _disturbed(precision, item):
            disturbed = self.values(_concatenate([item] * DRAWS))
        expected = {}
        for value, array in exact.items():
            draws = disturbed[value].reshape(DRAWS, *array.shape)
            lengths = item.lengths if value.kind in ("outputs", "scores", "named") else None  # zero beyond each length
            by_step = has_steps(self.model, value)
            expected[value] = _expected(array, draws, lengths, precision, by_step=by_step, not_finite=0.0)
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


def _disturbed(precision: str, item: Input) -> DisturbedArithmetic:
    """Return the arithmetic for all draws of an input at once.

    The draws are concatenated along the batch. Rows are independent, so each draw has disturbances of its own.
    """
    return DisturbedArithmetic(precision, seed=0, draws=DRAWS, batch=DRAWS * len(item.x), one_sided=ONE_SIDED)


def _expected(
    exact: Array, draws: Array, lengths: Array | None, precision: str, *, by_step: bool, not_finite: float = np.inf
) -> Expected:
    """Return one value of one input with its sensitivity: the largest move at each step.

    Args:
        exact: (batch, time, ...) or (batch, ...).
        draws: the disturbed results, (draws, *exact.shape).
        lengths: (batch,); None where nothing must be zero beyond them.
        precision: a key of `zoo.parity.ALL_PRECISIONS`.
        by_step: whether the value has a time axis.
        not_finite: sensitivity where the exact result is not finite. An output that leaves even the range of float64
            permits no verdict: infinity. A value inside the model may be NaN beyond the end of a sequence: 0.
    """
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        moves = np.abs(draws.astype(np.float64) - exact)
    moves = np.where(np.isfinite(exact), np.nan_to_num(moves, nan=np.inf, posinf=np.inf), not_finite)
    grouped = np.moveaxis(moves, 2, 0) if by_step else moves[None]
    sensitivity = grouped.reshape(len(grouped), -1).max(1, initial=0.0)
    padding = np.arange(exact.shape[1]) >= lengths[:, None] if by_step and lengths is not None else None
    return Expected(exact, sensitivity, precision, padding=padding)


def _tensors(item: Input) -> tuple[Tensor, Tensor | None, dict[str, Tensor] | None]:
    """Return the arguments of `zoo.Model.outputs`."""
    lengths = None if item.lengths is None else torch.from_numpy(item.lengths)
    states = None if item.states is None else {name: _tensor(state) for name, state in item.states.items()}
    return _tensor(item.x), lengths, states


def _concatenate(inputs: Sequence[Input]) -> Input:
    """Return several inputs of the same number of steps as one batch."""
    first = inputs[0]
    lengths = None if first.lengths is None else np.concatenate([np.asarray(item.lengths) for item in inputs])
    states = None
    if first.states is not None:
        states = {name: np.concatenate([(item.states or {})[name] for item in inputs]) for name in first.states}
    return Input(np.concatenate([item.x for item in inputs]), lengths, states)


def _tensor(array: Array) -> Tensor:
    """Return numbers in float64, integers unchanged."""
    tensor = torch.from_numpy(array)
    return tensor.double() if tensor.is_floating_point() else tensor
