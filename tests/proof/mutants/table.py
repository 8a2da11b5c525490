"""Tables of faults, of single weights and of false alarms on correct models, in Markdown."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import zoo
from tests.proof.mutants.alarms import Correct
from tests.proof.mutants.catalogue import EQUIVALENT, METADATA, MUTANTS, WITHIN_ROUNDING
from tests.proof.mutants.metadata import RUNS, ExportedRun
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.single_weights import PARTS, Part, count_detected
from tests.proof.mutants.sizes import SIZES
from tests.proof.mutants.subjects import Workshop
from tests.proof.mutants.trial import TOLERANCES, Trial, try_mutant

BY = {"numbers": "by an error above its budget", "refused": "refused", "seal": "by the seal alone"}
"""What finds a fault without the structure, in the counts."""
LONGEST = 70
"""Most characters of a difference in a table."""


def progress(text: str) -> None:
    """Show a line on stderr that the next one overwrites."""
    print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def fault_table(folder: Path) -> str:
    """Return the tables of faults, of no faults, of faults within rounding and of metadata, each with its counts."""
    workshop = Workshop(folder / "workshop")
    every = [*MUTANTS, *EQUIVALENT, *WITHIN_ROUNDING]
    trials = []
    for number, mutant in enumerate(every, 1):
        progress(f"{number} of {len(every)}: {mutant.fault}")
        trials.append(try_mutant(mutant, workshop.bench(mutant.subject)))
    progress("")
    faults = trials[: len(MUTANTS)]
    lines = [
        *_head("fault", "in", "error / budget", "by numbers alone", "structure"),
        *(
            f"| {mutant.fault} | {mutant.subject} | {_size(trial)} | {_finder(mutant, trial)} | {_structure(trial)} | "
            f"{_fixed(trial)} |"
            for mutant, trial in zip(MUTANTS, faults, strict=True)
        ),
        "",
        _counts(MUTANTS, faults),
        "",
        str(SIZES),
        "",
        *_alterations("no fault", EQUIVALENT, trials[len(MUTANTS) :]),
        "",
        *_alterations("fault within rounding", WITHIN_ROUNDING, trials[len(MUTANTS) + len(EQUIVALENT) :]),
        "",
        *_metadata(folder / "runs"),
    ]
    return "\n".join(lines)


def _head(*names: str, fixed: bool = True) -> list[str]:
    """Return the two lines at the head of a table."""
    columns = [*names, *(_named(atol) for atol in TOLERANCES if fixed)]
    return [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]


def _alterations(title: str, mutants: Sequence[Mutant], trials: Sequence[Trial]) -> list[str]:
    """Return the table of alterations that pass by numbers, with the reason, and their count."""
    rows = list(zip(mutants, trials, strict=False))
    passed = sum(trial.report["verdict"] == "passed" for _, trial in rows)
    return [
        *_head(title, "in", "error / budget", "structure", "why"),
        *(
            f"| {mutant.fault} | {mutant.subject} | {_size(trial)} | {_structure(trial)} | {mutant.why} | "
            f"{' | '.join('alarm' if alarm else 'passed' for alarm in trial.fixed.values())} |"
            for mutant, trial in rows
        ),
        "",
        f"{passed} of these {len(rows)} pass by numbers alone; "
        f"{sum(bool(trial.structure) for _, trial in rows)} differ in structure.",
    ]


def _metadata(folder: Path) -> list[str]:
    """Return the table of faults of the metadata, and their count."""
    runs = {spec: ExportedRun(folder, spec) for spec in RUNS}
    differences = {mutant: runs[mutant.subject].compare(mutant)[1].differences for mutant in METADATA}
    return [
        *_head("fault of the metadata", "run", "structure", fixed=False),
        *(
            f"| {mutant.fault} | {mutant.subject} | {_named_differences(each)} |"
            for mutant, each in differences.items()
        ),
        "",
        f"{len(differences)} faults: {sum(map(bool, differences.values()))} by the comparison with a fresh export.",
    ]


def weight_table(folder: Path, number: int) -> str:
    """Return the table of how many of ``number`` single weights of each part are detected when moved by 1e-4."""
    workshop = Workshop(folder)
    counts: dict[Part, Mapping[str, int]] = {}
    for part in PARTS:
        progress(f"{part.subject}: {part.name}")
        counts[part] = count_detected(part, workshop.bench(part.subject), number)
    progress("")
    return "\n".join(
        [
            *_head(f"{number} weights, each off by 1e-4", "in", "the rule", "structure"),
            *(f"| {part.name} | {part.subject} | {' | '.join(map(str, counts[part].values()))} |" for part in PARTS),
        ]
    )


def alarm_table(models: Sequence[Correct]) -> str:
    """Return the table of how often each comparison fails a correct model, and a line for each that the rule fails."""
    gains = sorted({model.gain for model in models})
    groups = [(f"recurrent gain {gain:g}", [model for model in models if model.gain == gain]) for gain in gains]
    names = ("failed by the rule", "largest error / budget", "ill-conditioned", "structural differences")
    lines = _head("correct models", "number", *names)
    for name, group in [*groups, ("all", list(models))]:
        verdicts = Counter(model.verdict for model in group)
        largest = max((model.over_budget for model in group if model.verdict != "ill-conditioned"), default=0.0)
        alarms = [sum(model.fixed[atol] for model in group) for atol in TOLERANCES]
        differences = sum(model.differences for model in group)
        cells = [name, len(group), verdicts["failed"], f"{largest:.2f}", verdicts["ill-conditioned"], differences]
        lines.append(f"| {' | '.join(map(str, [*cells, *alarms]))} |")
    failed = [f"failed: {each.kind}, seed {each.seed}: {each.reason}" for each in models if each.verdict == "failed"]
    return "\n".join([*lines, *failed])


def _named(atol: float) -> str:
    """Return a tolerance as 1e-5 instead of 1e-05."""
    return f"atol {atol:.0e}".replace("e-0", "e-")


def _size(trial: Trial) -> str:
    """Return the error over its budget, large numbers without an exponent."""
    over = trial.over_budget
    return f"{float(f'{over:.3g}'):,.0f}" if 100 <= over < float("inf") else "" if over > 1e30 else f"{over:.2g}"


def _finder(mutant: Mutant, trial: Trial) -> str:
    if trial.caught_by == "refused":
        assert mutant.refusal in trial.reason, trial.reason
        return f"refused: {mutant.refusal}" if mutant.refusal else "refused"
    return trial.caught_by or "nothing"


def _structure(trial: Trial) -> str:
    return _named_differences(trial.structure)


def _named_differences(differences: Sequence[zoo.Difference]) -> str:
    """Return the first difference, shortened, and the number of others."""
    if not differences:
        return "equal"
    first = f"`{differences[0].node}`: {differences[0].what}"
    short = first if len(first) <= LONGEST else f"{first[:LONGEST].rsplit(' ', 1)[0]} …"
    return short if len(differences) == 1 else f"{short}, and {len(differences) - 1} more"


def _fixed(trial: Trial) -> str:
    return " | ".join("caught" if alarm else "missed" for alarm in trial.fixed.values())


def _counts(mutants: Sequence[Mutant], faults: Sequence[Trial]) -> str:
    """Return the counts of a table: what finds the faults in a file, and those of the exporter."""
    rows = list(zip(mutants, faults, strict=True))
    counts = Counter(trial.caught_by for trial in faults)
    by = ", ".join(f"{counts[check]} {how}" for check, how in BY.items())
    drawn = [trial for mutant, trial in rows if not mutant.certain]
    at_drawn = sum(trial.caught_by != "" for trial in drawn)
    files = [trial for mutant, trial in rows if mutant.exporter is None]
    own = [trial for mutant, trial in rows if mutant.exporter is not None]
    either = sum(bool(trial.structure or trial.caught_by) for trial in faults)
    missed = ", ".join(f"{_named(atol)} misses {sum(not trial.fixed[atol] for trial in faults)}" for atol in TOLERANCES)
    return "\n".join(
        [
            f"{len(faults)} faults, {either} found.",
            "",
            f"- By numbers alone: {by}, {counts['']} by nothing; {missed}.",
            f"- {len(drawn)} of them need not show at the inputs that every proof has: at the drawn ones numbers find "
            f"{at_drawn} of these.",
            f"- In a file: the structure finds {sum(bool(trial.structure) for trial in files)} of {len(files)}.",
            f"- Of the exporter: the structure finds {sum(bool(trial.structure) for trial in own)} of {len(own)}, the "
            f"numbers {sum(trial.caught_by in ('numbers', 'refused') for trial in own)}.",
        ]
    )
