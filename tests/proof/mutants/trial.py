"""Trial of a file: the verdict of the rule, and that of a comparison with a fixed tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

import zoo
from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.subjects import Bench
from zoo.parity import Array
from zoo.proof.cases import Case
from zoo.proof.prove import FileOutputs, Mode, prove_against
from zoo.runtime.onnx_seal import SEAL
from zoo_onnx import OnnxExporter

TOLERANCES = (1e-5, 1e-3)
"""Common values of ``atol``."""


class Trial(NamedTuple):
    """Results of one file: the judgement by numbers alone, and the differences of structure."""

    report: Mapping[str, Any]
    """The judgement by numbers alone, as that of ``zoo check --foreign``."""
    structure: Sequence[zoo.Difference]
    """Differences from a fresh export, any of which fails a file in ``zoo check``."""
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
        """Check that finds a fault without the structure.

        ``numbers``; ``refused`` for a hard gate, for runs that differ and by ONNX Runtime; ``seal``; or empty.
        """
        if self.report["verdict"] != "failed":
            return ""
        if {result["status"] for result in self.report["providers"]} == {"passed"}:
            return "seal"
        return "numbers" if 1 < self.over_budget < np.inf else "refused"


def try_file(bench: Bench, path: Path, file_faults: Sequence[str] = (), fresh: Path | None = None) -> Trial:
    """Judge a file on the CPU, and compare its outputs with torch's in float32 at each fixed tolerance.

    Args:
        bench: the model.
        path: the file.
        file_faults: faults that were found before.
        fresh: a fresh export to compare the structure with; that of the bench when None.
    """
    actual: list[Mapping[str, Array]] = []

    def run_file(path: Path, mode: Mode, cases: Sequence[Case]) -> FileOutputs:
        result = bench.run_file(path, mode, cases)
        actual.extend(result.outputs)
        return result

    report = prove_against(bench.expectations, path, bench.properties, ["cpu"], file_faults, run_file)
    structure = structure_of(path, fresh or bench.fresh)
    return Trial(report, structure, {atol: _differs(actual, bench.expectations.torch, atol) for atol in TOLERANCES})


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
    if not mutant.keeps_seal:
        for entry in [entry for entry in model.metadata_props if entry.key == SEAL]:
            model.metadata_props.remove(entry)
    onnx.save(model, altered)
    if not mutant.keeps_seal:
        OnnxExporter().annotate(altered, {})


def make_files(mutant: Mutant, bench: Bench) -> tuple[Path, Path]:
    """Return the file with a fault, and the fresh export with which it is compared."""
    if mutant.exporter is not None:
        with mutant.exporter():
            return bench.export("altered"), bench.export("fresh with the fault")
    altered = bench.folder / "altered.onnx"
    alter(mutant, bench.path, altered)
    return altered, bench.fresh


def structure_of(path: Path, fresh: Path) -> Sequence[zoo.Difference]:
    """Return the differences of a file from a fresh export."""
    differences = OnnxExporter().differences(path, fresh)
    assert differences is not None
    return differences


def try_mutant(mutant: Mutant, bench: Bench) -> Trial:
    """Insert the fault into the file of the bench, or let the exporter write it, and judge the file."""
    altered, fresh = make_files(mutant, bench)
    return try_file(bench, altered, OnnxExporter().faults(altered), fresh)
