"""What the inputs of a proof should give, worked out once for any number of files of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zoo.nn.model import Model
from zoo.parity import Expected, with_usual_scale
from zoo.proof.cases import Case, torch_outputs
from zoo.proof.oracle import Input, Oracle


class Expectations:
    """What each case should give, worked out once for each precision; and what torch itself gives in float32.

    Cases that differ only in how the file is run share their input, which is then worked out once.

    Args:
        model: float32 on the CPU, in the mode of inference.
        cases: the inputs.
        progress: told what is being worked out, a few words at a time.
    """

    def __init__(self, model: Model, cases: Sequence[Case], progress: Callable[[str], None] = lambda _: None) -> None:
        self.model, self.cases = model, cases
        self._oracle, self._progress = Oracle(model), progress
        self._order = [(id(case.x), id(case.states)) for case in cases]
        self._inputs = dict(zip(self._order, cases, strict=True))
        found = {key: torch_outputs(model, case) for key, case in self._inputs.items()}
        self.torch = [found[key] for key in self._order]
        """For each case what torch gives in float32, by the name of the output."""
        self.states = {place.next_name for place in model.state_places()}
        """The names of the outputs that are states."""
        self._known: dict[str, list[Mapping[str, Expected]]] = {}

    def at(self, precision: str) -> list[Mapping[str, Expected]]:
        """For each case, each output by name, as a program of a precision may give it."""
        if precision not in self._known:
            inputs = [Input(case.x, case.lengths, case.states) for case in self._inputs.values()]
            expected = with_usual_scale(self._oracle.expect_each(inputs, precision, self._progress))
            judged = dict(zip(self._inputs, expected, strict=True))
            self._known[precision] = [judged[key] for key in self._order]
        return self._known[precision]
