"""Expected results of a module for each case: exact in float64, with their sensitivity to rounding.

The arithmetic is that of `zoo.proof.disturbed`, as in `zoo.proof.oracle`. A module may mix the rows of a batch and
reshape it, so each draw is a run of its own. An output is judged as a whole, without an axis of steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from zoo.parity import Array, Expected, with_usual_scale
from zoo.progress import Progress
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.module_call import MESSAGE, Call, attempt, exact_arithmetic
from zoo.proof.module_cases import ModuleCase
from zoo.proof.passes import DRAWS, ONE_SIDED

MOST_UNSETTLED = 0.5
"""Share of an integer or boolean output that may depend on rounding; where more does, no verdict is possible."""


class ModuleExpectations:
    """Expected outputs of each case at each precision, and torch's own float32 outputs.

    Args:
        call: how the module is called.
        wide: the module in float64, its recurrent layers in the cells' own steps.
        cases: the inputs.
        names: names of the outputs.
        progress: called with a short description of each step of the work.
    """

    def __init__(
        self, call: Call, wide: nn.Module, cases: Sequence[ModuleCase], names: Sequence[str], progress: Progress
    ) -> None:
        self.cases = cases
        self._call, self._wide, self._names, self._progress = call, wide, names, progress
        self.torch = [dict(zip(names, case.outputs, strict=True)) for case in cases]
        """torch's float32 outputs by name, for each case."""
        self.states = {name for name, value in next(iter(self.torch), {}).items() if value.dtype.kind != "f"}
        """Names of the outputs that need not depend on the input: integers and booleans."""
        self._exact: list[list[Array]] = []
        self._cache: dict[str, list[Mapping[str, Expected]]] = {}

    def at(self, precision: str) -> list[Mapping[str, Expected]]:
        """Return, for each case, what a program of a precision may give for each output.

        Args:
            precision: a key of `zoo.parity.PRECISIONS`.
        """
        if precision not in self._cache:
            expected, total, done = [], sum(case.numbers for case in self.cases), 0
            for index, case in enumerate(self.cases):
                self._progress(f"exact result {index + 1} of {len(self.cases)}: {case}", done / total)
                expected.append(self._expect(index, precision))
                done += case.numbers
            self._progress("exact results complete", 1.0)
            self._cache[precision] = with_usual_scale(expected, [case.inputs != "extreme" for case in self.cases])
        return self._cache[precision]

    def _expect(self, index: int, precision: str) -> Mapping[str, Expected]:
        case = self.cases[index]
        if index == len(self._exact):
            self._exact.append(self._run(case))
        exact = self._exact[index]
        moves = [np.zeros(value.shape) for value in exact]
        for draw in range(DRAWS):
            sided = int(draw >= DRAWS - ONE_SIDED)
            with DisturbedArithmetic(precision, draw, batch=None, one_sided=sided):
                drawn = self._run(case)
            for own, value, disturbed in zip(moves, exact, drawn, strict=True):
                np.maximum(own, _moves(value, disturbed), out=own)
        return {
            name: _expected(value, own, precision) for name, value, own in zip(self._names, exact, moves, strict=True)
        }

    def _run(self, case: ModuleCase) -> list[Array]:
        with exact_arithmetic():
            outputs, error = attempt(lambda: self._call.outputs(self._wide, case.arrays, widen=True))
        if outputs is None:
            text = " ".join(str(error).split())[:MESSAGE]
            raise self._call.error(error, f"runs at {case} in float32 and fails in float64: {text}", "correct it")
        return outputs


def _moves(exact: Array, drawn: Array) -> Array:
    """Return by how much each number moves; 0 where both are NaN or the same infinity, as behind a mask."""
    if exact.shape != drawn.shape:  # a size depends on rounded numbers
        return np.full(exact.shape, np.inf)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        moves = np.abs(drawn.astype(np.float64) - exact)
    same = (exact == drawn) | ((exact != exact) & (drawn != drawn))
    return np.where(same, 0.0, np.nan_to_num(moves, nan=np.inf, posinf=np.inf))


def _expected(exact: Array, moves: Array, precision: str) -> Expected:
    if exact.dtype.kind == "f":
        return Expected(exact, moves.max(initial=0.0, keepdims=True).reshape(1), precision)
    unsettled = moves > 0
    if not unsettled.any():
        return Expected(exact, np.zeros(1), precision)
    if unsettled.mean() > MOST_UNSETTLED:
        return Expected(exact, np.full(1, np.inf), precision)
    return Expected(exact, np.zeros(1), precision, unsettled=unsettled)
