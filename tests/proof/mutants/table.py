"""Tables of faults, of single weights and of false alarms on correct models, in Markdown."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.proof.mutants.alarms import Correct
from tests.proof.mutants.catalogue import EQUIVALENT, MUTANTS
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.single_weights import PARTS, Part, count_detected
from tests.proof.mutants.subjects import Workshop
from tests.proof.mutants.trial import TOLERANCES, Trial, try_mutant


def progress(text: str) -> None:
    """Show a line on stderr that the next one overwrites."""
    print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def fault_table(folder: Path) -> str:
    """Return the table of faults with the check that finds each, their counts, and the table of no faults."""
    workshop = Workshop(folder)
    every = [*MUTANTS, *EQUIVALENT]
    trials = []
    for number, mutant in enumerate(every, 1):
        progress(f"{number} of {len(every)}: {mutant.fault}")
        trials.append(try_mutant(mutant, workshop.bench(mutant.subject)))
    progress("")
    faults, equivalents = trials[: len(MUTANTS)], trials[len(MUTANTS) :]
    lines = [
        f"| fault | in | error / budget | caught by | {_heads()} |",
        f"|---|---|---|---|{'---|' * len(TOLERANCES)}",
        *(
            f"| {mutant.fault} | {mutant.subject} | {_size(trial)} | {_finder(mutant, trial)} | {_fixed(trial)} |"
            for mutant, trial in zip(MUTANTS, faults, strict=True)
        ),
        "",
        _counts(faults),
        "",
        f"| no fault | in | error / budget | why | {_heads()} |",
        f"|---|---|---|---|{'---|' * len(TOLERANCES)}",
        *(
            f"| {mutant.fault} | {mutant.subject} | {_size(trial)} | {mutant.why} | "
            f"{' | '.join('alarm' if alarm else 'passed' for alarm in trial.fixed.values())} |"
            for mutant, trial in zip(EQUIVALENT, equivalents, strict=True)
        ),
        "",
        f"{sum(trial.report['verdict'] == 'passed' for trial in equivalents)} of these {len(equivalents)} pass.",
    ]
    return "\n".join(lines)


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
            f"| {number} weights, each off by 1e-4 | in | the rule | {_heads()} |",
            f"|---|---|---|{'---|' * len(TOLERANCES)}",
            *(f"| {part.name} | {part.subject} | {' | '.join(map(str, counts[part].values()))} |" for part in PARTS),
        ]
    )


def alarm_table(models: Sequence[Correct]) -> str:
    """Return the table of how often each comparison fails a correct model, and a line for each that the rule fails."""
    gains = sorted({model.gain for model in models})
    groups = [(f"recurrent gain {gain:g}", [model for model in models if model.gain == gain]) for gain in gains]
    lines = [
        f"| correct models | number | failed by the rule | largest error / budget | ill-conditioned | {_heads()} |",
        f"|---|---|---|---|---|{'---|' * len(TOLERANCES)}",
    ]
    for name, group in [*groups, ("all", list(models))]:
        verdicts = Counter(model.verdict for model in group)
        largest = max((model.over_budget for model in group if model.verdict != "ill-conditioned"), default=0.0)
        alarms = [sum(model.fixed[atol] for model in group) for atol in TOLERANCES]
        cells = [name, len(group), verdicts["failed"], f"{largest:.2f}", verdicts["ill-conditioned"], *alarms]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    failed = [f"failed: {each.kind}, seed {each.seed}: {each.reason}" for each in models if each.verdict == "failed"]
    return "\n".join([*lines, *failed])


def _heads() -> str:
    return " | ".join(_named(atol) for atol in TOLERANCES)


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
        return f"refused: {mutant.refusal}"
    return trial.caught_by or "nothing"


def _fixed(trial: Trial) -> str:
    return " | ".join("caught" if alarm else "missed" for alarm in trial.fixed.values())


def _counts(faults: Sequence[Trial]) -> str:
    counts = Counter(trial.caught_by for trial in faults)
    by = ", ".join(f"{counts[check]} {how}" for check, how in BY.items())
    missed = ", ".join(f"{_named(atol)} misses {sum(not trial.fixed[atol] for trial in faults)}" for atol in TOLERANCES)
    return f"{len(faults)} faults: {by}, {counts['']} by nothing; {missed}."


BY = {"numbers": "by the numbers", "refused": "by a hard gate or ONNX Runtime", "seal": "by the hash alone"}
