"""What the page says of each proof: verdicts, the pictures' numbers, and the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from zoo.errors import RunError
from zoo.plots.parity import Course, Panel, Place
from zoo.run.model_card import judged_steps_text
from zoo.run.run import Run

MOST_OUTPUTS = 4
"""Outputs of a file that are drawn, those nearest to their budgets first; the table has all."""
MOST_STEPS = 24
"""Steps that a table shows."""


def read_object(path: Path, again: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunError: where it holds none, with the command that makes the file ``again``.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}; make it again with '{again}'") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: expected a JSON object; make it again with '{again}'")
    return value


@dataclass(frozen=True)
class Proof:
    """The report of one file's proof, as `zoo.proof.prove.prove` made it."""

    run: Run
    path: Path
    """Of the report."""
    report: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """The file that was proven; it may be gone."""
        return self.path.parent / str(self.report["file"])

    @property
    def name(self) -> str:
        """The file, as the page calls it: with its folder where it was rejected."""
        rejected = "rejected/" if self.path.parent.name == "rejected" else ""
        return f"{rejected}{self.report['file']}"

    @property
    def key(self) -> str:
        """For the names of pictures: ``model``, ``model-stream``, ``rejected-model-fp16``."""
        return self.name.replace("/", "-").replace(".onnx", "").replace(".", "-")

    @property
    def exporter(self) -> str:
        """The exporter's name, which the folder bears."""
        return self.path.relative_to(self.run.path).parts[0]

    @property
    def ran(self) -> list[Mapping[str, Any]]:
        """What the providers on which outputs were judged gave."""
        return [result for result in self.report["providers"] if result["outputs"]]


def read_proofs(run: Run) -> list[Proof]:
    """Every proof in the run's folder: of the files that stand there, and of those that were rejected."""
    files = [*sorted(run.path.glob("*/parity*.json")), *sorted(run.path.glob("*/rejected/parity*.json"))]
    proofs = [Proof(run, file, read_object(file, "zoo check")) for file in files]
    return sorted(proofs, key=lambda proof: (proof.path.parent.name == "rejected", proof.file.name != "model.onnx"))


@dataclass(frozen=True)
class Line:
    """One file on one provider, or on several of which the same is to be said."""

    providers: Sequence[str]
    status: str
    told: str


def lines(proof: Proof) -> list[Line]:
    """What is said of each provider."""
    said = [(one["status"], _told(one, proof.report), one["name"]) for one in proof.report["providers"]]
    return [
        Line([name for _, _, name in alike], status, told)
        for (status, told), alike in groupby(said, lambda one: one[:2])
    ]


def _told(result: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    if not result["outputs"] or result["status"] == "failed":
        return _sentence(str(result["reason"]))
    worst = max(result["outputs"], key=_share)
    if result["status"] == "ill-conditioned":
        # The largest error of all is one that nothing can be said of.
        judged = f" Where it can be judged, the largest error is {share(worst)}." if worst["over_budget"] else ""
        return f"{_sentence(result['reason'])}{judged}"
    figures = f"{share(worst)}, in {worst['name']} ({number(worst['max_error'])})"
    if result["status"] == "inconclusive":
        return f"{_sentence(result['reason'])} The numbers agree: the largest error is {figures}."
    if limit := judged_steps_text(result, report):
        why = f": {result['beyond']}" if "beyond" in result else ""
        return f"{limit.capitalize()}; beyond, no verdict is possible{why}. The largest error is {figures}."
    return f"The largest error is {figures}, over {len(report['cases'])} inputs."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _share(output: Mapping[str, Any]) -> float:
    """The largest error in units of its budget. Null in JSON is what is not finite."""
    value = output["over_budget"]
    return float("inf") if value is None else float(value)


def share(output: Mapping[str, Any]) -> str:
    """The largest error in words."""
    value = _share(output)
    if value == float("inf"):
        return "without bound"
    return f"{value:.2f} of its budget" if value <= 1 else f"{value:.3g} times its budget"


def number(value: float | None) -> str:
    """An error or a budget; null in JSON is what is not finite."""
    return "not finite" if value is None else f"{value:.1e}"


def panels(proof: Proof) -> list[Panel]:
    """What there is to draw of a proof."""
    worst: dict[str, float] = {}
    for result in proof.ran:
        for output in result["outputs"]:
            worst[output["name"]] = max(worst.get(output["name"], 0.0), _share(output))
    chosen = sorted(worst, key=lambda name: -worst[name])[:MOST_OUTPUTS]
    return [panel for name in worst if name in chosen and (panel := _panel(proof, name)) is not None]


def _panel(proof: Proof, name: str) -> Panel | None:
    courses, of_steps = [], False
    for result in proof.ran:
        output = next(one for one in result["outputs"] if one["name"] == name)
        steps = output.get("by_step")
        known = steps or output
        of_steps = of_steps or steps is not None
        at = [(step,) for step in range(1, len(known["errors"]) + 1)] if steps else _places(proof.report["cases"])
        points = [point for point in zip(at, known["errors"], known["budgets"], strict=True) if None not in point]
        if points and any(budget for _, _, budget in points):
            courses.append(Course(result["name"], *(list(column) for column in zip(*points, strict=True))))
    return Panel(name, courses, of_steps) if courses else None


def _places(cases: Sequence[Mapping[str, Any]]) -> list[Place]:
    """Where each case stands in the picture."""
    return [(case["time"], case["chunk"]) if "chunk" in case else (case["time"],) for case in cases]


@dataclass(frozen=True)
class Table:
    """Headings and rows of text; the first column names the row."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(proof: Proof) -> list[Table]:
    """The figures of a proof: each case, and some steps of the longest one."""
    made = []
    for result in proof.ran:
        outputs = result["outputs"]
        headings = [f"{one['name']}: {what}" for one in outputs for what in ("error", "budget", "share")]
        cases = [[_case(case), *_figures(outputs, at)] for at, case in enumerate(proof.report["cases"])]
        made.append(Table(f"{proof.name} on {result['name']}, every input", ("input", *headings), cases))
        stepped = [one for one in outputs if one.get("by_step")]
        if stepped:
            made.append(_steps(proof, result["name"], stepped))
    return made


def _steps(proof: Proof, provider: str, outputs: Sequence[Mapping[str, Any]]) -> Table:
    count = len(outputs[0]["by_step"]["errors"])
    shown = sorted({round(at * (count - 1) / (MOST_STEPS - 1)) for at in range(MOST_STEPS)})
    headings = [f"{one['name']}: {what}" for one in outputs for what in ("error", "budget", "share")]
    rows = [[str(at + 1), *_figures([one["by_step"] for one in outputs], at)] for at in shown]
    case = _case(proof.report["cases"][outputs[0]["by_step"]["case"]])
    rest = f"; {len(shown)} of {count} steps, all stand in {proof.path.name}" if len(shown) < count else ""
    return Table(f"{proof.name} on {provider}, step by step ({case}{rest})", ("step", *headings), rows)


def _figures(known: Sequence[Mapping[str, Any]], at: int) -> list[str]:
    figures = []
    for one in known:
        error, budget = one["errors"][at], one["budgets"][at]
        share = f"{error / budget:.2f}" if error is not None and budget else ""
        figures += [number(error), number(budget), share]
    return figures


def _case(case: Mapping[str, Any]) -> str:
    chunks = f", chunks of {case['chunk']}" if "chunk" in case else ""
    states = f", {case['states']} states" if "states" in case else ""
    return f"batch {case['batch']}, {case['time']} steps{chunks}, {case['inputs']}{states}"
