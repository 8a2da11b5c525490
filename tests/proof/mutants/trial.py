"""Trial of a file: the verdict of the rule, and that of a comparison with a fixed tolerance."""

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
"""Common values of ``atol``."""


class Trial(NamedTuple):
    """Results of one file."""

    report: Mapping[str, Any]
    fixed: Mapping[float, bool]
    """For each of `TOLERANCES`, whether the comparison with it fails."""

    @property
    def reason(self) -> str:
        return next(iter(self.report["reasons"]), "")

    @property
    def over_budget(self) -> float:
        """The largest error in units of its budget; infinite where a hard gate failed."""
        outputs = [output["over_budget"] for result in self.report["providers"] for output in result["outputs"]]
        return max(outputs, default=np.inf)

    @property
    def caught_by(self) -> str:
        """``numbers``; ``refused`` for a hard gate or ONNX Runtime; ``seal``; or empty."""
        if self.report["verdict"] != "failed":
            return ""
        if {result["status"] for result in self.report["providers"]} == {"passed"}:
            return "seal"
        return "numbers" if np.isfinite(self.over_budget) else "refused"


def try_file(bench: Bench, path: Path, file_faults: Sequence[str] = ()) -> Trial:
    """Judge a file on the CPU, and compare its outputs with torch's in float32 at each fixed tolerance."""
    actual: list[Mapping[str, Array]] = []

    def run_file(path: Path, mode: Mode, cases: Sequence[Case]) -> FileOutputs:
        result = bench.run_file(path, mode, cases)
        actual.extend(result.outputs)
        return result

    report = prove_against(bench.expectations, path, bench.properties, ["cpu"], file_faults, run_file)
    return Trial(report, {atol: _differs(actual, bench.expectations.torch, atol) for atol in TOLERANCES})


def _differs(actual: Sequence[Mapping[str, Array]], expected: Sequence[Mapping[str, Array]], atol: float) -> bool:
    """Whether any output of any case differs by more than a tolerance, or in its name or shape, or is missing."""
    if len(actual) != len(expected):
        return True
    return not all(
        outputs.keys() == wanted.keys()
        and all(
            outputs[name].shape == wanted[name].shape and np.allclose(outputs[name], wanted[name], rtol=0, atol=atol)
            for name in wanted
        )
        for outputs, wanted in zip(actual, expected, strict=True)
    )


def alter(mutant: Mutant, original: Path, altered: Path) -> None:
    """Write a file with the fault of a mutant, and with a new seal unless the mutant keeps the old one."""
    model = onnx.load(original)
    mutant.mutate(Graph(model))
    onnx.save(model, altered)
    if not mutant.keeps_seal:
        OnnxExporter().annotate(altered, {})


def try_mutant(mutant: Mutant, bench: Bench) -> Trial:
    """Insert the fault into the file of the bench and judge it; it stays beside the original as ``altered.onnx``."""
    altered = bench.path.with_name("altered.onnx")
    alter(mutant, bench.path, altered)
    return try_file(bench, altered, OnnxExporter().faults(altered))
