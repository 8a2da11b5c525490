"""Expected outputs of the cases of a proof, computed once for any number of files of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zoo.nn.model import Model
from zoo.parity import Expected, with_usual_scale
from zoo.proof.cases import Case, torch_outputs
from zoo.proof.oracle import Input, Oracle


class Expectations:
    """Expected outputs of each case at each precision, and torch's own float32 outputs.

    Results are cached. Cases that share the arrays ``x`` and ``states``, as the chunked cases of one stream do, share
    one result.

    Args:
        model: float32 on the CPU, in inference mode.
        cases: the inputs.
        progress: called with a short description of each step of the work.
    """

    def __init__(self, model: Model, cases: Sequence[Case], progress: Callable[[str], None] = lambda _: None) -> None:
        self.model, self.cases = model, cases
        self._oracle, self._progress = Oracle(model), progress
        self._keys = [(id(case.x), id(case.states)) for case in cases]
        self._inputs = dict(zip(self._keys, cases, strict=True))
        outputs = {key: torch_outputs(model, case) for key, case in self._inputs.items()}
        self.torch = [outputs[key] for key in self._keys]
        """torch's float32 outputs by name, for each case."""
        self.states = {place.next_name for place in model.state_places()}
        """Names of the outputs that are final states."""
        self._cache: dict[str, list[Mapping[str, Expected]]] = {}

    def at(self, precision: str) -> list[Mapping[str, Expected]]:
        """Return, for each case, what a program of a precision may give for each output.

        Args:
            precision: a key of `zoo.parity.ALL_PRECISIONS`.

        Returns:
            The expected outputs by name; their usual scale is the largest magnitude over all cases.
        """
        if precision not in self._cache:
            inputs = [Input(case.x, case.lengths, case.states) for case in self._inputs.values()]
            exact = self._oracle.expect_each(inputs, precision, self._progress)
            expected = with_usual_scale(exact, [case.inputs != "extreme" for case in self._inputs.values()])
            by_key = dict(zip(self._inputs, expected, strict=True))
            self._cache[precision] = [by_key[key] for key in self._keys]
        return self._cache[precision]
