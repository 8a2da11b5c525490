"""Proofs on the page: their verdicts, the values of their pictures, and their tables."""

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
"""Outputs of a file that get a picture, those nearest to their budgets; the table contains all."""
MOST_STEPS = 24
"""Steps that a table shows at most."""


def read_object(path: Path, again: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: the file.
        again: the command that writes the file, for the error message.

    Raises:
        RunError: if the file cannot be read or contains no JSON object.
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
    """Report of the proof of one file, as `zoo.proof.prove.prove` returns it."""

    run: Run
    path: Path
    """The file of the report, ``parity.json`` or similar."""
    report: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """The file that was proven; it may no longer exist."""
        return self.path.parent / str(self.report["file"])

    @property
    def name(self) -> str:
        """Name of the file on the page, with the folder ``rejected/`` for a rejected file."""
        rejected = "rejected/" if self.path.parent.name == "rejected" else ""
        return f"{rejected}{self.report['file']}"

    @property
    def key(self) -> str:
        """Prefix of picture names: ``model``, ``model-stream``, ``rejected-model-fp16``."""
        return self.name.replace("/", "-").replace(".onnx", "").replace(".", "-")

    @property
    def exporter(self) -> str:
        """Name of the exporter, which is also the name of its folder."""
        return self.path.relative_to(self.run.path).parts[0]

    @property
    def ran(self) -> list[Mapping[str, Any]]:
        """Results of the providers on which the file ran."""
        return [result for result in self.report["providers"] if result["outputs"]]


def read_proofs(run: Run) -> list[Proof]:
    """Return every proof in the folder of the run, ``model.onnx`` first and rejected files last."""
    files = [*sorted(run.path.glob("*/parity*.json")), *sorted(run.path.glob("*/rejected/parity*.json"))]
    proofs = [Proof(run, file, read_object(file, "zoo check")) for file in files]
    return sorted(proofs, key=lambda proof: (proof.path.parent.name == "rejected", proof.file.name != "model.onnx"))


@dataclass(frozen=True)
class Line:
    """Verdict of a file on one provider, or on several providers with the same result."""

    providers: Sequence[str]
    status: str
    text: str


def lines(proof: Proof) -> list[Line]:
    """Return the verdict on each provider; neighbours with the same result share a line."""
    results = proof.report["providers"]
    verdicts = groupby(results, lambda result: (result["status"], _explanation(result, proof.report)))
    return [Line([result["name"] for result in group], status, text) for (status, text), group in verdicts]


def _explanation(result: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    if not result["outputs"] or result["status"] == "failed":
        return _sentence(str(result["reason"]))
    worst = max(result["outputs"], key=_share)
    if result["status"] == "ill-conditioned":
        # The largest error of all belongs to a case that cannot be judged.
        judged = f" Where it can be judged, the largest error is {share(worst)}." if worst["over_budget"] else ""
        return f"{_sentence(result['reason'])}{judged}"
    figures = f"{share(worst)}, in {worst['name']} ({number(worst['max_error'])})"
    if result["status"] == "inconclusive":
        return f"{_sentence(result['reason'])} The outputs agree: the largest error is {figures}."
    if limit := judged_steps_text(result, report):
        why = f": {result['beyond']}" if "beyond" in result else ""
        return f"{limit.capitalize()}; beyond, no verdict is possible{why}. The largest error is {figures}."
    return f"The largest error is {figures}, over {len(report['cases'])} inputs."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _share(output: Mapping[str, Any]) -> float:
    """Return the largest error in units of its budget; null in JSON stands for a value that is not finite."""
    value = output["over_budget"]
    return float("inf") if value is None else float(value)


def share(output: Mapping[str, Any]) -> str:
    """Return the largest error relative to its budget as text."""
    value = _share(output)
    if value == float("inf"):
        return "without bound"
    return f"{value:.2f} of its budget" if value <= 1 else f"{value:.3g} times its budget"


def number(value: float | None) -> str:
    """Return an error or a budget as text; null in JSON stands for a value that is not finite."""
    return "not finite" if value is None else f"{value:.1e}"


def panels(proof: Proof) -> list[Panel]:
    """Return the panels of the picture of a proof, one for each of the outputs nearest to their budgets."""
    worst: dict[str, float] = {}
    for result in proof.ran:
        for output in result["outputs"]:
            worst[output["name"]] = max(worst.get(output["name"], 0.0), _share(output))
    chosen = sorted(worst, key=lambda name: -worst[name])[:MOST_OUTPUTS]
    return [panel for name in worst if name in chosen and (panel := _panel(proof, name)) is not None]


def _panel(proof: Proof, name: str) -> Panel | None:
    courses, of_steps = [], False
    for result in proof.ran:
        output = next(output for output in result["outputs"] if output["name"] == name)
        steps = output.get("by_step")
        values = steps or output
        of_steps = of_steps or steps is not None
        places = [(step,) for step in range(1, len(values["errors"]) + 1)] if steps else _places(proof.report["cases"])
        points = [point for point in zip(places, values["errors"], values["budgets"], strict=True) if None not in point]
        if points and any(budget for _, _, budget in points):
            courses.append(Course(result["name"], *(list(column) for column in zip(*points, strict=True))))
    return Panel(name, courses, of_steps) if courses else None


def _places(cases: Sequence[Mapping[str, Any]]) -> list[Place]:
    """Return the place of each case on the axis: its steps, and the steps of a chunk for a stream."""
    return [(case["time"], case["chunk"]) if "chunk" in case else (case["time"],) for case in cases]


@dataclass(frozen=True)
class Table:
    """Table of text; the first column names the row."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(proof: Proof) -> list[Table]:
    """Return the tables of a proof for each provider: every case, and some steps of the longest case."""
    result_tables = []
    for result in proof.ran:
        outputs = result["outputs"]
        cases = [[_case(case), *_figures(outputs, index)] for index, case in enumerate(proof.report["cases"])]
        caption = f"{proof.name} on {result['name']}, every input"
        result_tables.append(Table(caption, ("input", *_headings(outputs)), cases))
        stepwise = [output for output in outputs if output.get("by_step")]
        if stepwise:
            result_tables.append(_steps(proof, result["name"], stepwise))
    return result_tables


def _headings(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{output['name']}: {value}" for output in outputs for value in ("error", "budget", "error / budget")]


def _steps(proof: Proof, provider: str, outputs: Sequence[Mapping[str, Any]]) -> Table:
    count = len(outputs[0]["by_step"]["errors"])
    shown = sorted({round(number * (count - 1) / (MOST_STEPS - 1)) for number in range(MOST_STEPS)})
    rows = [[str(step + 1), *_figures([output["by_step"] for output in outputs], step)] for step in shown]
    case = _case(proof.report["cases"][outputs[0]["by_step"]["case"]])
    rest = f"; {len(shown)} of {count} steps, {proof.path.name} contains all" if len(shown) < count else ""
    return Table(f"{proof.name} on {provider}, step by step ({case}{rest})", ("step", *_headings(outputs)), rows)


def _figures(outputs: Sequence[Mapping[str, Any]], index: int) -> list[str]:
    """Return error, budget and their ratio of each output, in the case or at the step with this index."""
    figures = []
    for output in outputs:
        error, budget = output["errors"][index], output["budgets"][index]
        ratio = f"{error / budget:.2f}" if error is not None and budget else ""
        figures += [number(error), number(budget), ratio]
    return figures


def _case(case: Mapping[str, Any]) -> str:
    turns = case.get("turns") or ([case["chunk"]] if "chunk" in case else [])
    chunks = f", chunks of {' and '.join(map(str, turns))}" if turns else ""
    lengths = f", {case['lengths']} lengths" if "lengths" in case else ""
    states = f", {case['states']} states" if "states" in case else ""
    return f"batch {case['batch']}, {case['time']} steps{chunks}{lengths}, {case['inputs']}{states}"
