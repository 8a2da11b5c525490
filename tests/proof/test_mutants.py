"""Deliberate faults of an export: the expected checks find each of them; alterations that are no faults pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.proof.mutants.alarms import EVERY_KIND, GAINS, Correct, judge_many
from tests.proof.mutants.catalogue import EQUIVALENT, METADATA, MUTANTS, WITHIN_ROUNDING
from tests.proof.mutants.metadata import RUNS, ExportedRun
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.right import written_otherwise
from tests.proof.mutants.sizes import SIZES, draw_sizes
from tests.proof.mutants.subjects import SUBJECTS, Bench, Workshop
from tests.proof.mutants.table import alarm_table
from tests.proof.mutants.trial import TOLERANCES, alter, make_files, structure_of, try_file, try_mutant
from tests.support.command import Outcome, run_zoo
from zoo.runtime.onnx_seal import seal_fault
from zoo_onnx import OnnxExporter

OF_EXPORTER = [mutant for mutant in MUTANTS if mutant.exporter is not None]
IN_FILES = [mutant for mutant in MUTANTS if mutant.exporter is None]
BY_NUMBERS = [mutant for mutant in IN_FILES if mutant.certain and not mutant.refusal and not mutant.keeps_seal]
REFUSED = [mutant for mutant in IN_FILES if mutant.refusal]
BY_SEAL = [mutant for mutant in IN_FILES if mutant.keeps_seal]
BY_STRUCTURE = [mutant for mutant in IN_FILES if not mutant.certain]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


def by_name(mutant: Mutant) -> str:
    return f"{mutant.fault}, {mutant.subject}".replace(" ", "_")


# --- each fault -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", BY_NUMBERS, ids=by_name)
def test_the_numbers_and_the_structure_find(mutant: Mutant, workshop: Workshop) -> None:
    """The file is valid, its seal is intact and no hard gate fails: an error exceeds its budget."""
    bench = workshop.bench(mutant.subject)
    trial = try_mutant(mutant, bench)
    assert OnnxExporter().faults(bench.folder / "altered.onnx") == []
    assert trial.caught_by == "numbers", SIZES
    assert trial.over_budget > 1
    assert "times its budget" in trial.reason
    assert trial.structure


@pytest.mark.parametrize("mutant", REFUSED, ids=by_name)
def test_is_refused(mutant: Mutant, workshop: Workshop) -> None:
    """By a hard gate, since runs differ, or by ONNX Runtime; the structure finds it too."""
    bench = workshop.bench(mutant.subject)
    trial = try_mutant(mutant, bench)
    assert OnnxExporter().faults(bench.folder / "altered.onnx") == []
    assert trial.caught_by == "refused"
    assert mutant.refusal in trial.reason
    assert trial.structure


@pytest.mark.parametrize("mutant", BY_SEAL, ids=by_name)
def test_the_seal_finds(mutant: Mutant, workshop: Workshop) -> None:
    """Faults smaller than rounding pass the numbers and every fixed tolerance; the structure finds them."""
    trial = try_mutant(mutant, workshop.bench(mutant.subject))
    assert trial.caught_by == "seal"
    assert trial.over_budget <= 1
    assert "was altered since it was exported: its hash does not match" in trial.reason
    assert not any(trial.fixed.values())
    assert "differs in 1 of" in trial.structure[0].what


@pytest.mark.parametrize("mutant", BY_STRUCTURE, ids=by_name)
def test_the_structure_finds(mutant: Mutant, workshop: Workshop) -> None:
    """Faults that need not show at the shapes of a proof, in a file that is valid and sealed."""
    path, fresh = make_files(mutant, workshop.bench(mutant.subject))
    assert OnnxExporter().faults(path) == []
    assert structure_of(path, fresh), SIZES


@pytest.mark.parametrize("mutant", OF_EXPORTER, ids=by_name)
def test_the_numbers_find_a_fault_of_the_exporter(mutant: Mutant, workshop: Workshop) -> None:
    """A fresh export has the same fault, so that the structure is equal."""
    trial = try_mutant(mutant, workshop.bench(mutant.subject))
    assert trial.structure == []
    assert trial.caught_by == ("refused" if mutant.refusal else "numbers")
    assert (mutant.refusal or "times its budget") in trial.reason


@pytest.mark.parametrize("mutant", EQUIVALENT, ids=by_name)
def test_an_alteration_that_is_no_fault_passes_by_numbers(mutant: Mutant, workshop: Workshop) -> None:
    """So the numbers find the faults, and not the fact of an alteration. The structure is that of another file."""
    trial = try_mutant(mutant, workshop.bench(mutant.subject))
    assert (trial.report["verdict"], trial.caught_by, trial.reason) == ("passed", "", "")
    assert trial.over_budget <= 1
    assert mutant.why
    assert bool(trial.structure) == (mutant.fault != "nothing")


@pytest.mark.parametrize("mutant", WITHIN_ROUNDING, ids=by_name)
def test_a_fault_within_the_rounding_asked_for_passes(mutant: Mutant, workshop: Workshop) -> None:
    """A known limit: neither the numbers nor the structure find it. A test of the exporter does."""
    trial = try_mutant(mutant, workshop.bench(mutant.subject))
    assert (trial.report["verdict"], trial.structure) == ("passed", [])
    assert mutant.why


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_right_file_written_otherwise_has_no_difference(subject: str, workshop: Workshop) -> None:
    """Names of inner values and nodes, and the order of nodes and weights, are no part of the structure."""
    bench = workshop.bench(subject)
    path, fresh = make_files(Mutant("none", subject, written_otherwise), bench)
    assert path.read_bytes() != bench.path.read_bytes()
    assert structure_of(path, fresh) == []


def test_a_right_file_written_otherwise_passes_by_numbers(workshop: Workshop) -> None:
    bench = workshop.bench("MGU as Scan, states")
    assert try_mutant(Mutant("none", "MGU as Scan, states", written_otherwise), bench).report["verdict"] == "passed"


def test_the_catalogue() -> None:
    """Each fault occurs once, and each file has at least one fault."""
    names = [by_name(mutant) for mutant in [*MUTANTS, *EQUIVALENT, *WITHIN_ROUNDING, *METADATA]]
    assert len(set(names)) == len(names)
    assert {mutant.subject for mutant in MUTANTS} == set(SUBJECTS)
    assert {mutant.subject for mutant in METADATA} == set(RUNS)
    assert not any(mutant.why for mutant in MUTANTS)
    assert not any(mutant.refusal or mutant.keeps_seal for mutant in EQUIVALENT)
    assert not [mutant for mutant in BY_STRUCTURE if mutant.refusal or mutant.keeps_seal]


def test_the_drawn_sizes() -> None:
    """Another day has other sizes; the seed is printed with them."""
    assert draw_sizes(7) == draw_sizes(7) != draw_sizes(8)
    assert str(draw_sizes(7)).startswith("Drawn from the seed 7: batch ")


# --- the metadata ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportedRun]:
    """Exported runs by the names of their specs, each made at its first use."""

    class Runs(dict[str, ExportedRun]):
        def __missing__(self, spec: str) -> ExportedRun:
            self[spec] = ExportedRun(folder, spec)
            return self[spec]

    folder = tmp_path_factory.mktemp("runs")
    return Runs()


@pytest.mark.parametrize("mutant", METADATA, ids=by_name)
def test_the_comparison_finds_a_fault_of_the_metadata(mutant: Mutant, runs: dict[str, ExportedRun]) -> None:
    """The graph is right and the file is sealed anew, so that neither the numbers nor the seal find the fault."""
    path, structure = runs[mutant.subject].compare(mutant)
    assert (OnnxExporter().faults(path), seal_fault(path.read_bytes())) == ([], None)
    assert structure.compared
    assert structure.differences
    assert all(each.node.startswith("metadata ") for each in structure.differences)


@pytest.mark.parametrize("spec", RUNS)
def test_the_metadata_of_a_right_file_has_no_difference(spec: str, runs: dict[str, ExportedRun]) -> None:
    (nothing,) = [mutant for mutant in EQUIVALENT if mutant.fault == "nothing"]
    _, structure = runs[spec].compare(nothing)
    assert (structure.compared, structure.differences, structure.notes) == (True, [], ())


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
    assert [(model.verdict, model.differences) for model in models] == [("passed", 0)] * 5
    assert all(0 < model.over_budget <= 1 for model in models)


def test_the_table_of_alarms_names_the_models_that_failed() -> None:
    fixed = {1e-5: True, 1e-3: False}
    passed = Correct(1, "lstm", 1.0, "passed", 0.25, fixed, 0, "")
    ill_conditioned = Correct(2, "rnn_tanh", 3.0, "ill-conditioned", 7.0, fixed, 0, "amplifies")
    failed = Correct(3, "elman", 3.0, "failed", 1.5, fixed, 2, "error 1 is 1.5 times its budget")
    rows = alarm_table([passed, ill_conditioned, failed]).splitlines()[2:]
    assert rows == [
        "| recurrent gain 1 | 1 | 0 | 0.25 | 0 | 0 | 1 | 0 |",
        "| recurrent gain 3 | 2 | 1 | 1.50 | 1 | 2 | 2 | 0 |",
        "| all | 3 | 1 | 1.50 | 1 | 2 | 3 | 0 |",
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


def check(mutant: Mutant | None, exported: Path, folder: Path) -> tuple[Outcome, dict[str, Any]]:
    """Run ``zoo check`` on a copy of the run, with a fault in its file if any; return its outcome and its report."""
    run = folder / "run"
    shutil.copytree(exported, run)
    if mutant is not None:
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


def test_the_command_fails_a_file_of_another_structure(exported: Path, tmp_path: Path) -> None:
    """Though it passes by numbers, as ``--foreign`` shows; its note names what numbers do not cover."""
    mutant = next(mutant for mutant in MUTANTS if mutant.fault == "dead node added")
    outcome, report = check(mutant, exported, tmp_path)
    assert (outcome.exit_code, report["verdict"], report["providers"][0]["status"]) == (4, "failed", "passed")
    assert "unread: is not in a fresh export" in outcome.stderr
    (difference,) = report["structure"]["differences"]
    assert (difference["node"], difference["operator"]) == ("unread", "Neg")
    run = tmp_path / "run"
    foreign = run_zoo("check", run, "--foreign", run / "onnx" / "model.onnx", "--provider", "cpu", "--json")
    assert foreign.exit_code == 0, foreign.stderr
    assert "shapes between those tried are not covered" in foreign.stdout


def test_the_command_passes_an_unaltered_file(exported: Path, tmp_path: Path) -> None:
    outcome, report = check(None, exported, tmp_path)
    assert (outcome.exit_code, report["verdict"], report["structure"]["differences"]) == (0, "passed", [])


def test_faults_are_inserted_into_the_exported_file(workshop: Workshop) -> None:
    """Not into a file that another fault has altered."""
    bench: Bench = workshop.bench("GRU")
    before = bench.path.read_bytes()
    for mutant in MUTANTS:
        if mutant.subject == "GRU":
            make_files(mutant, bench)
    assert bench.path.read_bytes() == before
