"""Deliberate faults of an export: `zoo check` finds each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import BITS, EQUIVALENT, MUTANTS, Mutant, apply, build_runs, check, over_budget
from zoo.plugins import load_registry


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_runs(tmp_path_factory.mktemp("runs"))


def by_name(mutant: Mutant) -> str:
    return mutant.fault.replace(" ", "_")


@pytest.mark.parametrize("mutant", MUTANTS, ids=by_name)
def test_the_comparison_finds(mutant: Mutant, runs: dict[str, Path], tmp_path: Path) -> None:
    """The file is a good ONNX file with a good seal: the numbers alone, or ONNX Runtime with them, tell."""
    run = apply(mutant, runs, tmp_path, renew_seal=True)
    assert load_registry().exporter("onnx").faults(run / "onnx" / "model.onnx") == []
    outcome, report = check(run)
    assert outcome.exit_code == 4
    (result,) = report["providers"]
    assert (report["verdict"], result["status"]) == ("failed", "failed")
    assert over_budget(report) > 1
    assert result["reason"] in outcome.stderr


@pytest.mark.parametrize("mutant", BITS, ids=by_name)
def test_the_seal_finds(mutant: Mutant, runs: dict[str, Path], tmp_path: Path) -> None:
    run = apply(mutant, runs, tmp_path, renew_seal=False)
    outcome, report = check(run)
    assert outcome.exit_code == 4
    assert "was altered since it was exported: its hash does not match" in outcome.stderr
    (result,) = report["providers"]
    assert (report["verdict"], result["status"]) == ("failed", "passed")  # the numbers did not tell


@pytest.mark.parametrize("mutant", EQUIVALENT, ids=by_name)
def test_what_is_no_fault_passes(mutant: Mutant, runs: dict[str, Path], tmp_path: Path) -> None:
    """So it is the fault that is found above, and not that a file was touched."""
    outcome, report = check(apply(mutant, runs, tmp_path, renew_seal=True))
    assert (outcome.exit_code, report["verdict"]) == (0, "passed")
    assert over_budget(report) <= 1
