"""Deliberate faults of an export: the expected check finds each of them; alterations that are no faults pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.proof.mutants.alarms import EVERY_KIND, GAINS, Correct, judge_many
from tests.proof.mutants.catalogue import EQUIVALENT, MUTANTS
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.subjects import SUBJECTS, Bench, Workshop
from tests.proof.mutants.table import alarm_table
from tests.proof.mutants.trial import TOLERANCES, alter, try_file, try_mutant
from tests.support.command import Outcome, run_zoo
from zoo_onnx import OnnxExporter

BY_NUMBERS = [mutant for mutant in MUTANTS if not mutant.refusal and not mutant.keeps_seal]
REFUSED = [mutant for mutant in MUTANTS if mutant.refusal]
BY_SEAL = [mutant for mutant in MUTANTS if mutant.keeps_seal]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


def by_name(mutant: Mutant) -> str:
    return f"{mutant.fault}, {mutant.subject}".replace(" ", "_")


# --- each fault -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", BY_NUMBERS, ids=by_name)
def test_the_numbers_find(mutant: Mutant, workshop: Workshop) -> None:
    """The file is valid, its seal is intact and no hard gate fails: only an error exceeds its budget."""
    bench = workshop.bench(mutant.subject)
    trial = try_mutant(mutant, bench)
    assert OnnxExporter().faults(bench.path.with_name("altered.onnx")) == []
    assert trial.caught_by == "numbers"
    assert trial.over_budget > 1
    assert "times its budget" in trial.reason


@pytest.mark.parametrize("mutant", REFUSED, ids=by_name)
def test_is_refused(mutant: Mutant, workshop: Workshop) -> None:
    """By a hard gate or by ONNX Runtime."""
    bench = workshop.bench(mutant.subject)
    trial = try_mutant(mutant, bench)
    assert OnnxExporter().faults(bench.path.with_name("altered.onnx")) == []
    assert trial.caught_by == "refused"
    assert mutant.refusal in trial.reason


@pytest.mark.parametrize("mutant", BY_SEAL, ids=by_name)
def test_the_seal_finds(mutant: Mutant, workshop: Workshop) -> None:
    """Faults smaller than rounding pass the numbers, and every fixed tolerance."""
    trial = try_mutant(mutant, workshop.bench(mutant.subject))
    assert trial.caught_by == "seal"
    assert trial.over_budget <= 1
    assert "was altered since it was exported: its hash does not match" in trial.reason
    assert not any(trial.fixed.values())


@pytest.mark.parametrize("mutant", EQUIVALENT, ids=by_name)
def test_an_alteration_that_is_no_fault_passes(mutant: Mutant, workshop: Workshop) -> None:
    """So the tests above find the fault, and not the fact of an alteration."""
    trial = try_mutant(mutant, workshop.bench(mutant.subject))
    assert (trial.report["verdict"], trial.caught_by, trial.reason) == ("passed", "", "")
    assert trial.over_budget <= 1
    assert mutant.why


def test_the_catalogue() -> None:
    """Each fault occurs once, and each file has at least one fault."""
    names = [by_name(mutant) for mutant in [*MUTANTS, *EQUIVALENT]]
    assert len(set(names)) == len(names)
    assert {mutant.subject for mutant in MUTANTS} == set(SUBJECTS)
    assert not any(mutant.why for mutant in MUTANTS)
    assert not any(mutant.refusal or mutant.keeps_seal for mutant in EQUIVALENT)


# --- the fixed tolerance --------------------------------------------------------------------------------------------


def test_a_fixed_tolerance_misses_what_the_rule_finds(workshop: Workshop) -> None:
    """The unaltered file passes every comparison."""
    bench = workshop.bench("LSTM as Scan")
    (rounded,) = [
        mutant for mutant in BY_NUMBERS if by_name(mutant) == "recurrent_weights_rounded_to_TF32,_LSTM_as_Scan"
    ]
    trial = try_mutant(rounded, bench)
    assert (trial.over_budget > 10, trial.fixed) == (True, {1e-5: False, 1e-3: False})
    assert try_file(bench, bench.path).fixed == dict.fromkeys(TOLERANCES, False)


def test_a_fixed_tolerance_detects_other_outputs_and_missing_ones(workshop: Workshop) -> None:
    for fault in ("output renamed", "batch frozen at 1"):
        (mutant,) = [mutant for mutant in REFUSED if mutant.fault == fault]
        assert try_mutant(mutant, workshop.bench(mutant.subject)).fixed == dict.fromkeys(TOLERANCES, True)


# --- correct models -------------------------------------------------------------------------------------------------


def test_correct_models_raise_no_alarm() -> None:
    """The first five of those that ``python -m tests.proof.mutants --alarms 200`` proves."""
    models = list(judge_many(5, jobs=1))
    assert [model.kind for model in models] == list(EVERY_KIND[:5])
    assert [model.verdict for model in models] == ["passed"] * 5
    assert all(0 < model.over_budget <= 1 for model in models)


def test_the_table_of_alarms_names_the_models_that_failed() -> None:
    fixed = {1e-5: True, 1e-3: False}
    passed = Correct(1, "lstm", 1.0, "passed", 0.25, fixed, "")
    ill_conditioned = Correct(2, "rnn_tanh", 3.0, "ill-conditioned", 7.0, fixed, "amplifies")
    failed = Correct(3, "elman", 3.0, "failed", 1.5, fixed, "error 1 is 1.5 times its budget")
    rows = alarm_table([passed, ill_conditioned, failed]).splitlines()[2:]
    assert rows == [
        "| recurrent gain 1 | 1 | 0 | 0.25 | 0 | 1 | 0 |",
        "| recurrent gain 3 | 2 | 1 | 1.50 | 1 | 2 | 0 |",
        "| all | 3 | 1 | 1.50 | 1 | 3 | 0 |",
        "failed: elman, seed 3: error 1 is 1.5 times its budget",
    ]
    assert {model.gain for model in (passed, failed)} == set(GAINS)


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(workshop: Workshop) -> Path:
    """The trained GRU, exported by the command."""
    run = workshop.run("gru")
    outcome = run_zoo("export", run, "--onnx", "--provider", "cpu", "--lowering", "native")
    assert outcome.exit_code == 0, outcome.stderr
    return run


def check(mutant: Mutant, exported: Path, folder: Path) -> tuple[Outcome, dict[str, Any]]:
    """Run ``zoo check`` on a copy of the run with the fault in its file; return its outcome and its report."""
    run = folder / "run"
    shutil.copytree(exported, run)
    alter(mutant, exported / "onnx" / "model.onnx", run / "onnx" / "model.onnx")
    outcome = run_zoo("check", run, "--provider", "cpu")
    report: dict[str, Any] = json.loads((run / "onnx" / "parity.json").read_text())
    return outcome, report


@pytest.mark.parametrize(
    "fault", ["linear_before_reset flipped", "one weight of the head off by 1e-4", "output renamed"]
)
def test_the_command_fails(fault: str, exported: Path, tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if (mutant.fault, mutant.subject) == (fault, "GRU, trained"))
    outcome, report = check(mutant, exported, tmp_path)
    assert outcome.exit_code == 4
    (result,) = report["providers"]
    assert (report["verdict"], result["status"]) == ("failed", "failed")
    assert result["reason"] in outcome.stderr
    assert mutant.refusal in outcome.stderr


def test_the_command_reports_a_broken_seal(exported: Path, tmp_path: Path) -> None:
    mutant = next(mutant for mutant in BY_SEAL if mutant.subject == "GRU, trained")
    outcome, report = check(mutant, exported, tmp_path)
    assert outcome.exit_code == 4
    assert "was altered since it was exported: its hash does not match" in outcome.stderr
    (result,) = report["providers"]
    assert (report["verdict"], result["status"]) == ("failed", "passed")  # the numbers passed


def test_the_command_passes_an_unaltered_file(exported: Path, tmp_path: Path) -> None:
    (mutant,) = [mutant for mutant in EQUIVALENT if mutant.fault == "nothing"]
    outcome, report = check(mutant, exported, tmp_path)
    assert (outcome.exit_code, report["verdict"]) == (0, "passed")


def test_faults_are_inserted_into_the_exported_file(workshop: Workshop) -> None:
    """Not into a file that another fault has altered."""
    bench: Bench = workshop.bench("GRU")
    before = bench.path.read_bytes()
    for mutant in MUTANTS:
        if mutant.subject == "GRU":
            alter(mutant, bench.path, bench.path.with_name("altered.onnx"))
    assert bench.path.read_bytes() == before
