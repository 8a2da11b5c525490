"""Values inside a file: each value of the model that the file computes, compared with the oracle's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from zoo.errors import RunError
from zoo.exporting.dissection import ModelValue, Probe
from zoo.parity import Array, Comparison, Expected, compare
from zoo.proof.cases import Case
from zoo.proof.inputs import Input
from zoo.proof.oracle import Oracle
from zoo.proof.trace import has_steps, reads_backward
from zoo.runtime.providers import session_options
from zoo.runtime.session import INPUT, LENGTHS, OnnxSession

_ORDER = ("encoded", "layer", "pooled", "scores", "named")


@dataclass(frozen=True)
class FirstError:
    """Step at which a value first exceeds its budget."""

    step: int
    """Index in the order of reading; 0 for a value without steps."""
    row: int
    """The sequence of the batch with the largest error at that step."""
    error: float
    budget: float


@dataclass(frozen=True)
class JudgedValue:
    """Comparison of one value of one input with its exact result."""

    probe: Probe
    expected: Expected
    """Exact result and budget; the steps of a direction that reads backward are in the order of reading."""
    comparison: Comparison
    first_error: FirstError | None
    """None where the value is within its budget, or has another shape or dtype."""

    @property
    def bad(self) -> bool:
        """Whether the comparison failed."""
        return self.comparison.status == "failed"


@dataclass(frozen=True)
class Inspection:
    """All values of one input, in the order in which the model computes them."""

    case: Case
    inputs: Mapping[str, Array]
    """Inputs of the file, by name."""
    outputs: Mapping[str, Array]
    """Outputs of the copy with probes, by name."""
    values: Sequence[JudgedValue]

    @property
    def bad(self) -> JudgedValue | None:
        """The first bad value; of several that are computed together, the one with the earliest error."""
        first = next((value for value in self.values if value.bad), None)
        if first is None:
            return None
        together = [value for value in self.values if value.bad and _stage(value) == _stage(first)]
        return min(together, key=lambda value: value.first_error.step if value.first_error else 0)

    @property
    def good(self) -> list[JudgedValue]:
        """The values before the first bad one that are within their budgets."""
        bad = self.bad
        if bad is None:
            return list(self.values)
        earlier = [value for value in self.values if _stage(value) < _stage(bad)]
        return [value for value in earlier if not value.bad and value.probe.output != bad.probe.output]


class Inspector:
    """Runs a copy of a file with probes, and judges the values inside.

    Args:
        oracle: the oracle of the model.
        session: a session of the file itself, for its inputs.
        copy: the file with the probes as further outputs.
        probes: the values that those outputs hold.
        precision: a key of `zoo.parity.PRECISIONS`.
        cases: small cases; the largest magnitude of a value over them is its usual scale.
    """

    def __init__(
        self,
        oracle: Oracle,
        session: OnnxSession,
        copy: Path,
        probes: Sequence[Probe],
        precision: str,
        cases: Sequence[Case],
    ) -> None:
        self.oracle, self.session, self.precision = oracle, session, precision
        self.probes = sorted(probes, key=lambda probe: _order(probe.value))
        self._copy = copy
        self._sessions: dict[bool, Any] = {}
        self._usual: dict[ModelValue, float] = {}
        for case in cases:
            for value, array in oracle.values(Input(case.x, case.lengths, case.states)).items():
                finite = np.abs(array[np.isfinite(array)].astype(np.float64))
                self._usual[value] = max(self._usual.get(value, 0.0), float(finite.max(initial=0.0)))

    def inspect(self, case: Case, *, optimised: bool = False) -> Inspection:
        """Run the copy on a case and judge each value.

        Args:
            case: the input.
            optimised: whether ONNX Runtime may optimise the graph; its nodes then differ from those of the file.

        Raises:
            RunError: where ONNX Runtime fails.
        """
        inputs = self._inputs(case)
        names = list(dict.fromkeys(probe.output for probe in self.probes))
        try:
            if optimised not in self._sessions:
                self._sessions[optimised] = _start(self._copy, optimised)
            arrays = self._sessions[optimised].run(names, inputs)
        except Exception as error:  # ONNX Runtime's errors share no public base
            text = " ".join(str(error).split())[:300]
            raise RunError(f"{self.session.path}: ONNX Runtime fails on {case}: {text}") from error
        outputs = dict(zip(names, arrays, strict=True))
        expected = self.oracle.expect_values(Input(case.x, case.lengths, case.states), self.precision)
        return Inspection(case, inputs, outputs, list(self._judge(case, outputs, expected)))

    def _judge(
        self, case: Case, outputs: Mapping[str, Array], expected: Mapping[ModelValue, Expected]
    ) -> Iterator[JudgedValue]:
        for probe in self.probes:
            if (each := expected.get(probe.value)) is None:  # a layer or a direction that the model does not have
                continue
            each = replace(each, usual_scale=max(each.scale, self._usual.get(probe.value, 0.0)))
            actual = self._in_model_layout(probe, outputs[probe.output], case)
            comparison = compare(each, actual)
            by_step = has_steps(self.oracle.model, probe.value)
            error = first_error(each, actual, by_step=by_step) if comparison.status == "failed" else None
            yield JudgedValue(probe, each, comparison, error)

    def _in_model_layout(self, probe: Probe, array: Array, case: Case) -> Array:
        """Return (batch, time, …) or (batch, …), its steps in the order of reading, from the layout of the file."""
        if probe.slot is not None:
            array = array[:, probe.slot]
        if probe.time_major and array.ndim > 1:
            array = array.swapaxes(0, 1)
        if probe.value.kind == "output" and case.lengths is not None:  # the padding of a direction's output is unused
            valid = np.arange(array.shape[1]) < case.lengths[:, None]
            array = np.where(valid[:, :, None], array, np.zeros((), array.dtype))
        if reads_backward(self.oracle.model, probe.value):
            array = array[:, ::-1]
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def _inputs(self, case: Case) -> dict[str, Array]:
        inputs: dict[str, Array] = {INPUT: self.session.input.feed(case.x, case.lengths, allow_nonfinite=True)}
        if self.session.takes_lengths:
            inputs[LENGTHS] = np.full(case.batch, case.time) if case.lengths is None else case.lengths
        given = case.states or {}
        return inputs | {
            state.name: given[state.name] if state.name in given else state.at_start(case.batch)
            for state in self.session.states
        }


def first_error(expected: Expected, actual: Array, *, by_step: bool) -> FirstError | None:
    """Return the first step whose error exceeds its budget, by the rule and the gates of `zoo.parity`.

    Returns:
        None where no judged step does, or where the shape is another one.
    """
    exact = expected.exact
    if actual.shape != exact.shape:
        return None
    same_kind = np.isfinite(exact) == np.isfinite(actual)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        error = np.where(np.isfinite(exact) & same_kind, np.abs(actual.astype(np.float64) - exact), 0.0)
    error = np.where(same_kind, error, np.inf)
    if expected.padding is not None:
        axes = (slice(None), slice(None), *(None,) * (exact.ndim - 2))
        error = np.where(expected.padding[axes] & (exact == 0) & (actual != 0), np.inf, error)
    largest = error.reshape(len(error), expected.steps if by_step else 1, -1).max(2, initial=0.0)  # (batch, steps)
    over = (largest > expected.budget[None]).any(0)[: expected.judged_steps]
    if not over.any():
        return None
    step = int(over.argmax())
    row = int(largest[:, step].argmax())
    return FirstError(step, row, float(largest[row, step]), float(expected.budget[step]))


def _stage(value: JudgedValue) -> tuple[int, int, int, int]:
    return _order(value.probe.value)


def _order(value: ModelValue) -> tuple[int, int, int, int]:
    """Return a sort key in the order of the model; values that a direction computes together have equal keys."""
    if value.kind in ("state", "output"):
        return (1, value.layer, 0, value.direction)
    if value.kind == "outputs":
        return (1, value.layer, 1, 0)
    return (_ORDER.index(value.kind), 0, 0, 0)


def _start(copy: Path, optimised: bool) -> Any:
    options = session_options()
    if not optimised:  # so that no node is merged into another
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(copy), options, providers=["CPUExecutionProvider"])
