"""The model card: a page in the run's folder that describes the run, its quality and how to reproduce it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.data.dataset import ARRAYS
from zoo.files import write_atomically
from zoo.run.run import Run
from zoo.run.start import Start, origin_sentences
from zoo.run.vectors import Vectors

CLASSES = 50
"""Largest number of classes in the table of the card."""


def write_card(run: Run) -> None:
    """Write the run's README.md from the files in its folder, with the parity verdicts of its exported files."""
    write_atomically(run.card_file, _card(run, run.config()))


def _card(run: Run, config: dict[str, Any]) -> str:
    sizes = config["sizes"]
    naive = config["baselines"]
    rows = "\n".join(
        f"| {metric.replace('_', ' ')} |"
        + "".join(f" {figure(part, metric)} |" for part in (config["validation"], config["test"], *naive.values()))
        for metric in config["test"]
    )
    pictures = "\n".join(
        f"![{name}]({file.name})"
        for name, file in (
            ("learning curves", run.curves_file),
            ("confusion matrix", run.confusion_file),
            ("predictions", run.predictions_file),
        )
        if file.is_file()
    )
    spec = run.spec_file.name
    proofs = sorted(run.path.glob("*/parity*.json"), key=lambda file: (len(file.name), file.name))  # float32 first
    reports = {file: json.loads(file.read_text()) for file in proofs}
    exports = _exports(reports)
    steps = {report["file"]: report["steps"] for report in reports.values() if "steps" in report}
    packages = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    description = f"{config['description']}\n\n" if config["description"] else ""
    return f"""# {config["name"]}

{description}A model of architecture {config["architecture"]} for {config["task"]} with \
{config["parameters"]:,} parameters, built by Recurrent Zoo.

## Result

| | validation | test |{"".join(f" naive: {name} |" for name in naive)}
|---|---|---|{"---|" * len(naive)}
{rows}

{_emphasised(config)}

{_classes(config.get("classes", []))}{_origin(config)}\
The saved weights are from epoch {config["best_epoch"]} of {config["epochs"]}, the best by validation \
{config["metric"].replace("_", " ")}. Training took {config["training_seconds"]:.1f} s on `{config["device"]}`.

{pictures}

## Data

{config["data"]}

Parts: {sizes["train"]:,} sequences for training, {sizes["validation"]:,} for validation, which selects the weights, \
and {sizes["test"]:,} for the test. {sequence_sentence(config, steps)}

## Export and parity

{exports or "Not exported yet. Export the run with `zoo export --onnx`."}

## Reproduce

{_commands(run, config)}

[{spec}]({spec}) records every setting, including the seed. Built with {packages}.
"""


def figure(metrics: Mapping[str, float | None], metric: str) -> str:
    """Return a metric with four digits; empty where it is not defined for the data."""
    value = metrics.get(metric)
    return "" if value is None else f"{value:.4g}"


def _classes(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the classes of the test part, with an empty line; empty without rows."""
    if not rows:
        return ""
    columns = ("precision", "recall", "f1")
    lines = [
        f"| {_in_cell(row['label'])} | {' | '.join(figure(row, column) for column in columns)} | {row['support']:,} |"
        for row in rows[:CLASSES]
    ]
    more = f"\n\nFurther classes are in config.json ({len(rows) - CLASSES:,})." if rows[CLASSES:] else ""
    head = "| class, test part | precision | recall | F1 | sequences or steps |\n|---|---|---|---|---|"
    return "\n".join([head, *lines]) + more + "\n\n"


def _in_cell(label: str) -> str:
    """Return a label for a cell of a Markdown table."""
    return (label if label.isprintable() and label.strip() else repr(label)).replace("|", "\\|")


def _origin(config: Mapping[str, Any]) -> str:
    """Return what the training started from and what it left as it was, as a paragraph; empty for initial weights."""
    start = config.get("started_from")
    vectors = config.get("vectors")
    lines = origin_sentences(
        None if start is None else Start(**start),
        config.get("frozen", []),
        None if vectors is None else Vectors(**vectors),
    )
    return "".join(f"{line[0].upper()}{line[1:]}.\n" for line in lines) + ("\n" if lines else "")


def _commands(run: Run, config: Mapping[str, Any]) -> str:
    """Return the commands that build and export the run again; a program, where its data were given as arrays."""
    if config.get("source") == ARRAYS:
        call = f"run = zoo.build({str(run.spec_file)!r}, data=data)  # the same arrays again: no command can load them"
        return f"```python\n{call}\nrun.export()\n```"
    return f"```\nzoo build {shlex.quote(str(run.spec_file))}\nzoo export --onnx\n```"


def baseline_sentence(config: Mapping[str, Any]) -> str:
    """Return a sentence that compares the model with the naive predictors; empty where the task has none.

    Args:
        config: config.json of the run.
    """
    if config["constant"]:
        return "The model makes the same prediction for every test sequence: it has learnt nothing."
    if config["not_beaten"]:
        return f"On the test part the model is no better than {' and '.join(config['not_beaten'])}."
    return "On the test part the model is better than every naive predictor." if config["baselines"] else ""


def _emphasised(config: Mapping[str, Any]) -> str:
    """Return `baseline_sentence`, in bold where the result is bad."""
    sentence = baseline_sentence(config)
    return f"**{sentence}**" if config["constant"] or config["not_beaten"] else sentence


def sequence_sentence(config: Mapping[str, Any], unrolled: Mapping[str, int]) -> str:
    """Return sentences on the content and length of a sequence, and on sequences that occur in two parts of the data.

    Args:
        config: config.json of the run.
        unrolled: number of steps that an exported file takes, by the name of the file, for files with a fixed number.
    """
    signature = config["signature"]
    features, tokens = signature["features"], len(signature["vocabulary"])
    step = f"is one of {tokens:,} tokens" if tokens else f"has {features} feature{'' if features == 1 else 's'}"
    steps = f"up to {config['time']}" if signature["lengths"] else config["time"]
    repeated = f" {text}." if (text := repeated_sentence(config.get("repeated", {}), config["sizes"])) else ""
    files = "".join(f", the file {name} exactly {count}" for name, count in unrolled.items())
    return f"Each step {step}. Training sequences have {steps} steps; the model accepts any number{files}.{repeated}"


def repeated_sentence(repeated: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    """Return the number of sequences of each other part that also occur in the training part, as a sentence.

    Args:
        repeated: see `zoo.Dataset.repeated`.
        sizes: number of sequences in each part.

    Returns:
        The sentence without its full stop; empty where ``repeated`` is empty.
    """
    counts = [f"{count:,} of {sizes[part]:,} {part} sequences" for part, count in repeated.items()]
    return f"{' and '.join(counts)} also occur in the training part" if counts else ""


def _exports(reports: Mapping[Path, dict[str, Any]]) -> str:
    """Return a table of files by providers, reasons, and how to verify a file, from the reports of their proofs.

    The text is empty without reports.
    """
    if not reports:
        return ""
    modes = list(dict.fromkeys(result["name"] for report in reports.values() for result in report["providers"]))
    rows = [
        f"| `{report['file']}` | {report.get('precision', 'float32')} | {_size(file.with_name(report['file']))} "
        f"| **{report['verdict']}** |" + "".join(f" {_cell(report, mode)} |" for mode in modes)
        for file, report in reports.items()
    ]
    columns = ["file", "precision", "size", "verdict", *modes]
    heading = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    return "\n".join(
        [
            heading,
            *rows,
            *_reasons(reports.values()),
            *_hashes(reports),
            "",
            "`zoo report` makes a page of these proofs, with pictures.",
        ]
    )


def _hashes(reports: Mapping[Path, Mapping[str, Any]]) -> list[str]:
    """Return the commands that compare each proven file with its hash, after an empty line; empty without a hash.

    A report of an older version has no hash.
    """
    commands = [
        f"zoo verify {shlex.quote(str(file.with_name(report['file'])))} --expect {report['export']['sha256']}"
        for file, report in reports.items()
        if report["verdict"] == "passed" and "sha256" in report.get("export", {})
    ]
    if not commands:
        return []
    heading = (
        "Whether a file is the one that was proven, by its SHA-256 (keep a copy of the hash where it cannot be altered "
        "together with the file):"
    )
    return ["", heading, "", "```", *commands, "```"]


def _size(file: Path) -> str:
    return kilobytes(file.stat().st_size) if file.is_file() else ""


def kilobytes(count: int) -> str:
    """Return a number of bytes as text in kB (1,000 bytes) with one decimal."""
    return f"{count / 1000:,.1f} kB"


def _cell(report: dict[str, Any], mode: str) -> str:
    """Return the verdict of one file on one provider, with the largest error in units of its budget."""
    result = next((result for result in report["providers"] if result["name"] == mode), None)
    if result is None:
        return ""
    shares = [output["over_budget"] for output in result["outputs"] if output["over_budget"] is not None]
    limit = judged_steps_text(result, report)
    verdict = f"{result['status']} {limit}" if limit else str(result["status"])
    return f"{verdict}, {max(shares):.2f} of its budget" if shares else verdict


def judged_steps_text(result: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Return the number of steps up to which a provider's result was judged; empty where there is no such limit.

    Args:
        result: one provider's entry in the report.
        report: the report of the file's proof.

    Returns:
        Text such as ``up to 20 steps (the data have 28)``.
    """
    if "judged_steps" not in result:
        return ""
    own = f" (the data have {report['data_steps']})" if "data_steps" in report else ""
    return f"up to {result['judged_steps']} steps{own}"


def _reasons(reports: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the reasons for missing and limited verdicts as list items, after an empty line; empty without reasons."""
    items = []
    for report in reports:
        results = report["providers"]
        missing = [f"{result['name']}: {result['reason']}" for result in results if result["status"] == "unavailable"]
        beyond = [
            f"{result['name']}: no verdict is possible beyond {result['judged_steps']} steps: {result['beyond']}"
            for result in results
            if "beyond" in result
        ]
        reasons = dict.fromkeys([*report["reasons"], *beyond, *missing])
        items += [f"- `{report['file']}`: {reason}" for reason in reasons]
    return ["", *items] if items else []
