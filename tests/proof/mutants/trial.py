"""A file on trial: what the rule says of it, and what a comparison with a fixed tolerance says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.subjects import Bench
from zoo.parity import Array
from zoo.proof.cases import Case
from zoo.proof.prove import FileOutputs, Mode, prove_against
from zoo_onnx import OnnxExporter

TOLERANCES = (1e-5, 1e-3)
"""What people write as ``atol``."""


class Trial(NamedTuple):
    """What was found."""

    report: Mapping[str, Any]
    fixed: Mapping[float, bool]
    """For each of `TOLERANCES` whether the comparison with it raises an alarm."""

    @property
    def reason(self) -> str:
        return next(iter(self.report["reasons"]), "")

    @property
    def over_budget(self) -> float:
        """The largest error in units of its budget; infinite where a hard gate was not passed."""
        outputs = [output["over_budget"] for result in self.report["providers"] for output in result["outputs"]]
        return max(outputs, default=np.inf)

    @property
    def caught_by(self) -> str:
        """``numbers``, ``refused``, which is a hard gate or ONNX Runtime, ``seal``, or nothing."""
        if self.report["verdict"] != "failed":
            return ""
        if {result["status"] for result in self.report["providers"]} == {"passed"}:
            return "seal"
        return "numbers" if np.isfinite(self.over_budget) else "refused"


def try_file(bench: Bench, path: Path, file_faults: Sequence[str] = ()) -> Trial:
    """Judge a file on the CPU, and compare what it gave with torch's float32 at each fixed tolerance."""
    given: list[Mapping[str, Array]] = []

    def answer(path: Path, mode: Mode, cases: Sequence[Case]) -> FileOutputs:
        answers = bench.answer(path, mode, cases)
        given.extend(answers.outputs)
        return answers

    report = prove_against(bench.expectations, path, bench.made, ["cpu"], file_faults, answer)
    return Trial(report, {atol: _differs(given, bench.expectations.torch, atol) for atol in TOLERANCES})


def _differs(given: Sequence[Mapping[str, Array]], wanted: Sequence[Mapping[str, Array]], atol: float) -> bool:
    """As people compare: all outputs of all cases. A file that gives nothing, or something else, they see too."""
    if len(given) != len(wanted):
        return True
    return not all(
        one.keys() == other.keys()
        and all(
            one[name].shape == other[name].shape and np.allclose(one[name], other[name], rtol=0, atol=atol)
            for name in other
        )
        for one, other in zip(given, wanted, strict=True)
    )


def alter(mutant: Mutant, original: Path, altered: Path) -> None:
    """Write a file with a mutant's fault, and with a new seal unless the mutant keeps the old one."""
    model = onnx.load(original)
    mutant.mutate(Graph(model))
    onnx.save(model, altered)
    if not mutant.keeps_seal:
        OnnxExporter().annotate(altered, {})


def try_mutant(mutant: Mutant, bench: Bench) -> Trial:
    """Put the fault into the bench's file, and judge that. Leaves it beside the original, as ``altered.onnx``."""
    altered = bench.path.with_name("altered.onnx")
    alter(mutant, bench.path, altered)
    return try_file(bench, altered, OnnxExporter().faults(altered))
