"""The oracle: what a model computes exactly, and how sensitive that is to rounding.

The exact result is the model in float64, in the cells' own steps (a fused kernel hides its operations). The sensitivity
is how far the result moves under the disturbed arithmetic of `zoo.proof.disturbed`, over a few draws.
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
"""With five, one of 200 correct models near chaos was called wrong, at 1.5 times its budget; with ten none of 400."""
ONE_SIDED = 4
"""Of them. With none, 13 of 160 inputs of correct RNNs whose 64 units are all equal were called wrong, at up to 1.6
times their budget."""


class Input(NamedTuple):
    """What goes into a model."""

    x: Array
    """(batch, time, features) numbers or (batch, time) tokens."""
    lengths: Array | None = None
    """(batch,) valid steps of each sequence; None where all are full."""
    states: Mapping[str, Array] | None = None
    """What the layers start with, as `zoo.Model.outputs` takes it; floating ones are taken as exact."""


class Oracle:
    """Gives the exact outputs of a model and their sensitivities.

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
        """What each output should be, and with which budget, by output name; see `Input` for the arguments.

        Args:
            precision: a key of `zoo.parity.PRECISIONS`.
        """
        return self.expect_each([Input(x, lengths, states)], precision)[0]

    def expect_each(
        self, inputs: Sequence[Input], precision: str, progress: Callable[[str], None] = lambda _: None
    ) -> list[Mapping[str, Expected]]:
        """The same for several inputs. Those of one number of steps are worked out together, which takes less time."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for number, one in enumerate(inputs):
            given = None if one.states is None else tuple(one.states)
            alike.setdefault((one.x.shape[1:], one.lengths is None, given), []).append(number)
        found: dict[int, Mapping[str, Expected]] = {}
        for place, numbers in enumerate(alike.values(), 1):
            some = [inputs[number] for number in numbers]
            progress(f"exact result {place} of {len(alike)}: {some[0].x.shape[1]} steps")
            found |= zip(numbers, self._expect_together(some, precision), strict=True)
        return [found[number] for number in range(len(inputs))]

    @torch.no_grad()
    def expect_inside(self, one: Input, precision: str) -> dict[ModelValue, Expected]:
        """What each value along the model should be, and with which budget, in the order in which the model makes them.

        Those of a direction that reads from the end have their steps in that order, as errors grow.

        Args:
            precision: a key of `zoo.parity.PRECISIONS`.
        """
        exact = self.inside(one)
        with DisturbedArithmetic(precision, seed=0, draws=DRAWS, batch=DRAWS * len(one.x), one_sided=ONE_SIDED):
            disturbed = self.inside(_together([one] * DRAWS))
        found = {}
        for value, array in exact.items():
            draws = disturbed[value].reshape(DRAWS, *array.shape)
            zero_beyond = one.lengths if value.kind in ("outputs", "scores", "named") else None
            found[value] = _expected(
                array, draws, zero_beyond, precision, by_step=has_steps(self.model, value), lost=0.0
            )
        return found

    @torch.no_grad()
    def inside(self, one: Input) -> dict[ModelValue, Array]:
        """The exact values along the model, their steps as in `expect_inside`."""
        with in_float64():
            values = trace(self.model, *_tensors(one))
        turned = {
            value: array.flip(1) if reads_backward(self.model, value) else array for value, array in values.items()
        }
        return {value: array.numpy() for value, array in turned.items()}

    @torch.no_grad()  # inference mode would hand composite operations over whole
    def _expect_together(self, inputs: Sequence[Input], precision: str) -> Iterator[Mapping[str, Expected]]:
        joined = _together(inputs)
        exact = self._run(joined)
        # The draws stand below each other in one batch: rows are independent, so each has disturbances of its own.
        with DisturbedArithmetic(precision, seed=0, draws=DRAWS, batch=DRAWS * len(joined.x), one_sided=ONE_SIDED):
            disturbed = self._run(_together([joined] * DRAWS))
        draws = {name: value.reshape(DRAWS, *exact[name].shape) for name, value in disturbed.items()}
        end = 0
        for one in inputs:
            rows = slice(end, end := end + len(one.x))
            yield {
                name: _expected(
                    value[rows],
                    draws[name][:, rows],
                    one.lengths,
                    precision,
                    by_step=self.model.by_step and name not in self._finals,
                )
                for name, value in exact.items()
            }

    def _run(self, one: Input) -> dict[str, Array]:
        with in_float64():
            return {name: value.numpy() for name, value in self.model.outputs(*_tensors(one)).items()}


def _expected(
    exact: Array, draws: Array, lengths: Array | None, precision: str, *, by_step: bool, lost: float = np.inf
) -> Expected:
    """One value of one input, from the exact result and the disturbed ones, (draws, batch, ...).

    ``lost`` is the sensitivity of what is not finite: a model that leaves even float64's range has no verdict. Inside
    of it NaN may stand behind the end of a sequence, and is to stay there.
    """
    with np.errstate(invalid="ignore"):  # infinity less itself
        moves = np.abs(draws.astype(np.float64) - exact)
    moves = np.where(np.isfinite(exact), np.nan_to_num(moves, nan=np.inf, posinf=np.inf), lost)
    grouped = np.moveaxis(moves, 2, 0) if by_step else moves[None]
    sensitivity = grouped.reshape(len(grouped), -1).max(1, initial=0.0)
    padding = np.arange(exact.shape[1]) >= lengths[:, None] if by_step and lengths is not None else None
    return Expected(exact, sensitivity, precision, padding=padding)


def _tensors(one: Input) -> tuple[Tensor, Tensor | None, dict[str, Tensor] | None]:
    """What `zoo.Model.outputs` takes."""
    valid = None if one.lengths is None else torch.from_numpy(one.lengths)
    start = None if one.states is None else {name: _exactly(state) for name, state in one.states.items()}
    return _exactly(one.x), valid, start


def _together(inputs: Sequence[Input]) -> Input:
    """Several inputs, alike but for their rows, as one batch."""
    first = inputs[0]
    lengths = None if first.lengths is None else np.concatenate([np.asarray(one.lengths) for one in inputs])
    states = None
    if first.states is not None:
        states = {name: np.concatenate([(one.states or {})[name] for one in inputs]) for name in first.states}
    return Input(np.concatenate([one.x for one in inputs]), lengths, states)


def _exactly(array: Array) -> Tensor:
    """Numbers in float64, integers as they are."""
    own = torch.from_numpy(array)
    return own.double() if own.is_floating_point() else own
