"""A file seen from inside: each value of the model that it makes, held against the oracle's."""

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
from zoo.proof.oracle import Input, Oracle
from zoo.proof.trace import has_steps, reads_backward
from zoo.runtime.providers import session_options
from zoo.runtime.session import INPUT, LENGTHS, OnnxSession

_ORDER = ("encoded", "layer", "pooled", "scores", "named")


@dataclass(frozen=True)
class Moment:
    """Where a value first leaves its budget."""

    place: int
    """The step, in the order in which it is read; 0 for a value without steps."""
    row: int
    """The sequence of the batch with the largest error."""
    error: float
    budget: float


@dataclass(frozen=True)
class Seen:
    """One value of one input, compared."""

    probe: Probe
    expected: Expected
    found: Array
    """As the model has it; the steps of a direction that reads from the end are in that order."""
    comparison: Comparison
    moment: Moment | None
    """None where the value is good, or has another shape or dtype."""

    @property
    def bad(self) -> bool:
        return self.comparison.status == "failed"


@dataclass(frozen=True)
class View:
    """All values of one input, in the order of the model, and the first bad one."""

    case: Case
    given: Mapping[str, Array]
    """What the file was given, by name."""
    gave: Mapping[str, Array]
    """What it gave, by the names of the copy's outputs."""
    seen: Sequence[Seen]

    @property
    def bad(self) -> Seen | None:
        """The first bad value. A direction makes several at once: then the one that is bad at the earliest step."""
        first = next((one for one in self.seen if one.bad), None)
        if first is None:
            return None
        together = [one for one in self.seen if one.bad and _stage(one.probe.value) == _stage(first.probe.value)]
        return min(together, key=lambda one: one.moment.place if one.moment else 0)

    @property
    def good(self) -> list[Seen]:
        """Those before the first bad one that are right."""
        bad = self.bad
        if bad is None:
            return list(self.seen)
        known = [one for one in self.seen if _stage(one.probe.value) < _stage(bad.probe.value)]
        return [one for one in known if not one.bad and one.probe.output != bad.probe.output]


class Inside:
    """Shows the values of a file that it makes of an input.

    Args:
        oracle: of the model.
        session: of the file itself, which knows its inputs.
        copy: the file with further outputs.
        probes: what they are.
        precision: a key of `zoo.parity.PRECISIONS`.
        cases: small ones; the largest magnitude of each value on any of them is its usual scale.
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
        self.probes = sorted(probes, key=lambda probe: _stage(probe.value))
        self._copy = copy
        self._running: dict[bool, Any] = {}
        self._usual: dict[ModelValue, float] = {}
        for case in cases:
            for value, array in oracle.values(_input(case)).items():
                finite = np.abs(array[np.isfinite(array)].astype(np.float64))
                self._usual[value] = max(self._usual.get(value, 0.0), float(finite.max(initial=0.0)))

    def look(self, case: Case, *, optimised: bool = False) -> View:
        """Run the copy on a case and judge each value.

        Args:
            optimised: whether ONNX Runtime may change the graph first; the nodes are then not those of the file.
        """
        given = self._feeds(case)
        names = list(dict.fromkeys(probe.output for probe in self.probes))
        try:
            if optimised not in self._running:
                self._running[optimised] = _start(self._copy, optimised)
            arrays = self._running[optimised].run(names, given)
        except Exception as error:  # ONNX Runtime's errors share no public base
            text = " ".join(str(error).split())[:300]
            raise RunError(f"{self.session.path}: ONNX Runtime fails on {case}: {text}") from error
        gave = dict(zip(names, arrays, strict=True))
        wanted = self.oracle.expect_values(_input(case), self.precision)
        return View(case, given, gave, list(self._judged(case, gave, wanted)))

    def _judged(self, case: Case, gave: Mapping[str, Array], wanted: Mapping[ModelValue, Expected]) -> Iterator[Seen]:
        for probe in self.probes:
            if (known := wanted.get(probe.value)) is None:  # a layer or a direction that the model does not have
                continue
            expected = replace(known, usual_scale=max(known.scale, self._usual.get(probe.value, 0.0)))
            found = self._as_in_the_model(probe, gave[probe.output], case)
            comparison = compare(expected, found)
            timed = has_steps(self.oracle.model, probe.value)
            moment = first_wrong(expected, found, timed=timed) if comparison.status == "failed" else None
            yield Seen(probe, expected, found, comparison, moment)

    def _as_in_the_model(self, probe: Probe, array: Array, case: Case) -> Array:
        """(batch, time, …) or (batch, …), from the layout of the file."""
        if probe.slot is not None:
            array = array[:, probe.slot]
        if probe.time_major and array.ndim > 1:
            array = array.swapaxes(0, 1)
        if probe.value.kind == "output" and case.lengths is not None:  # what stands there is not used
            valid = np.arange(array.shape[1]) < case.lengths[:, None]
            array = np.where(valid[:, :, None], array, np.zeros((), array.dtype))
        if reads_backward(self.oracle.model, probe.value):
            array = array[:, ::-1]
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def _feeds(self, case: Case) -> dict[str, Array]:
        feeds: dict[str, Array] = {INPUT: self.session.input.feed(case.x, case.lengths, allow_nonfinite=True)}
        if self.session.takes_lengths:
            feeds[LENGTHS] = np.full(case.batch, case.time) if case.lengths is None else case.lengths
        given = case.states or {}
        return feeds | {
            one.name: given[one.name] if one.name in given else one.at_start(case.batch) for one in self.session.states
        }


def first_wrong(expected: Expected, found: Array, *, timed: bool) -> Moment | None:
    """The first step whose error is over its budget, by the rule and the gates of `zoo.parity`."""
    exact = expected.exact
    if found.shape != exact.shape:
        return None
    same_kind = np.isfinite(exact) == np.isfinite(found)
    with np.errstate(invalid="ignore"):  # infinity less itself
        error = np.where(np.isfinite(exact) & same_kind, np.abs(found.astype(np.float64) - exact), 0.0)
    error = np.where(same_kind, error, np.inf)
    if expected.padding is not None:
        axes = (slice(None), slice(None), *(None,) * (exact.ndim - 2))
        error = np.where(expected.padding[axes] & (exact == 0) & (found != 0), np.inf, error)
    steps = expected.steps
    by_step = (
        error.reshape(len(error), steps, -1).max(2, initial=0.0) if timed else error.reshape(len(error), 1, -1).max(2)
    )
    over = (by_step > expected.budget[None]).any(0)[: expected.judged]
    if not over.any():
        return None
    place = int(over.argmax())
    row = int(by_step[:, place].argmax())
    return Moment(place, row, float(by_step[row, place]), float(expected.budget[place]))


def _stage(value: ModelValue) -> tuple[int, int, int, int]:
    """Sorts values as a model makes them; those that a direction of a layer makes at once are equal."""
    if value.kind in ("state", "output"):
        return (1, value.layer, 0, value.direction)
    if value.kind == "outputs":
        return (1, value.layer, 1, 0)
    return (_ORDER.index(value.kind), 0, 0, 0)


def _input(case: Case) -> Input:
    return Input(case.x, case.lengths, case.states)


def _start(copy: Path, optimised: bool) -> Any:
    options = session_options()
    if not optimised:  # so that no node becomes part of another
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(copy), options, providers=["CPUExecutionProvider"])
