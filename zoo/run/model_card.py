"""The model card: what a run is, how good it is and how to run it again, for a person."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.files import write_atomically
from zoo.run.run import Run


def write_card(run: Run) -> None:
    """Write the run's README.md from what the run holds, parity verdicts included where there are any."""
    write_atomically(run.card_file, _card(run, run.config()))


def _card(run: Run, config: dict[str, Any]) -> str:
    sizes = config["sizes"]
    naive = config["baselines"]
    rows = "\n".join(
        f"| {metric.replace('_', ' ')} | {config['validation'][metric]:.4g} | {value:.4g} |"
        + "".join(f" {metrics[metric]:.4g} |" for metrics in naive.values())
        for metric, value in config["test"].items()
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
    exports = _exports({file: json.loads(file.read_text()) for file in proofs})
    packages = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    description = f"{config['description']}\n\n" if config["description"] else ""
    return f"""# {config["name"]}

{description}A model of architecture {config["architecture"]} for {config["task"]} with \
{config["parameters"]:,} parameters, built by Recurrent Zoo.

## Result

| | validation | test |{"".join(f" naive: {name} |" for name in naive)}
|---|---|---|{"---|" * len(naive)}
{rows}

{_stressed(config)}

The weights are those of epoch {config["best_epoch"]} of {config["epochs"]}, the best by validation \
{config["metric"].replace("_", " ")}. Training took {config["training_seconds"]:.1f} s on `{config["device"]}`.

{pictures}

## Data

{config["data"]}

Parts: {sizes["train"]:,} sequences to train, {sizes["validation"]:,} to choose the weights (validation), \
{sizes["test"]:,} for the test alone. {sequence_sentence(config)}

## Export and parity

{exports or "Not exported yet: `zoo export --onnx`."}

## Run it again

```
zoo build {shlex.quote(str(run.spec_file))}
zoo export --onnx
```

Everything that was chosen, the seed too, stands in [{spec}]({spec}). Built with {packages}.
"""


def baseline_sentence(config: Mapping[str, Any]) -> str:
    """What the result is worth beside naive predictors; empty where there is none."""
    if config["constant"]:
        return "The model gives the same answer for every test sequence: it has learnt nothing."
    if config["not_beaten"]:
        return f"On the test part the model is no better than {' and '.join(config['not_beaten'])}."
    return "On the test part the model is better than every naive predictor beside it." if config["baselines"] else ""


def _stressed(config: Mapping[str, Any]) -> str:
    """The same, in bold where it is bad."""
    return (
        f"**{baseline_sentence(config)}**" if config["constant"] or config["not_beaten"] else baseline_sentence(config)
    )


def sequence_sentence(config: Mapping[str, Any]) -> str:
    """What a sequence of the run's data is, and how many stand in two parts, where that was counted."""
    signature = config["signature"]
    tokens = len(signature["vocabulary"])
    step = f"one of {tokens:,} tokens" if tokens else f"{signature['features']} numbers"
    most = "up to " if signature["lengths"] else ""
    shared = f" {text}." if (text := repeated_sentence(config.get("repeated", {}), config["sizes"])) else ""
    return f"A step is {step}; the model was trained with {most}{config['time']} steps and takes any number.{shared}"


def repeated_sentence(repeated: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    """How many sequences of each other part stand in the training part too; empty where nobody counted.

    Args:
        repeated: see `zoo.Dataset.repeated`.
        sizes: sequences of each part.
    """
    counts = [f"{count:,} of {sizes[part]:,} {part} sequences" for part, count in repeated.items()]
    return f"{' and '.join(counts)} stand in the training part too" if counts else ""


def _exports(reports: Mapping[Path, dict[str, Any]]) -> str:
    """The short form of the proofs: files by providers, and what there is to say of each; empty where there is none."""
    if not reports:
        return ""
    modes = list(dict.fromkeys(one["name"] for report in reports.values() for one in report["providers"]))
    rows = [
        f"| `{report['file']}` | {report.get('precision', 'float32')} | {_size(file.with_name(report['file']))} "
        f"| **{report['verdict']}** |" + "".join(f" {_cell(report, mode)} |" for mode in modes)
        for file, report in reports.items()
    ]
    columns = ["file", "precision", "size", "verdict", *modes]
    heading = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    return "\n".join(
        [heading, *rows, *_reasons(reports.values()), "", "`zoo report` makes a page of it, with pictures."]
    )


def _size(file: Path) -> str:
    return kilobytes(file.stat().st_size) if file.is_file() else ""


def kilobytes(count: int) -> str:
    """A file's size for people."""
    return f"{count / 1000:,.1f} kB"


def _cell(report: dict[str, Any], mode: str) -> str:
    """One file on one provider: the verdict, and the largest error in units of its budget."""
    result = next((one for one in report["providers"] if one["name"] == mode), None)
    if result is None:
        return ""
    shares = [output["over_budget"] for output in result["outputs"] if output["over_budget"] is not None]
    limit = judged_steps_text(result, report)
    verdict = f"{result['status']} {limit}" if limit else str(result["status"])
    return f"{verdict}, {max(shares):.2f} of its budget" if shares else verdict


def judged_steps_text(result: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Up to how many steps a verdict is possible on a provider's result, where it is not at every number of them."""
    if "judged_steps" not in result:
        return ""
    own = f" (the data have {report['data_steps']})" if "data_steps" in report else ""
    return f"up to {result['judged_steps']} steps{own}"


def _reasons(reports: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why something is not passed, or not at every number of steps, an item each, after an empty line."""
    found = []
    for report in reports:
        missing = [f"{one['name']}: {one['reason']}" for one in report["providers"] if one["status"] == "unavailable"]
        beyond = [
            f"{result['name']}: no verdict is possible beyond {result['judged_steps']} steps: {result['beyond']}"
            for result in report["providers"]
            if "beyond" in result
        ]
        reasons = dict.fromkeys([*report["reasons"], *beyond, *missing])
        found += [f"- `{report['file']}`: {reason}" for reason in reasons]
    return ["", *found] if found else []
