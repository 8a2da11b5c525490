"""The model card: what a run is, how good it is and how to run it again, for a person."""

from __future__ import annotations

import json
import shlex
from typing import Any

from zoo.files import write_atomically
from zoo.run import Run


def write_card(run: Run) -> None:
    """Write the run's README.md from what the run holds, parity verdicts included where there are any."""
    write_atomically(run.card_file, _card(run, run.config()))


def _card(run: Run, config: dict[str, Any]) -> str:
    sizes = config["sizes"]
    rows = "\n".join(
        f"| {metric.replace('_', ' ')} | {config['validation'][metric]:.4g} | {value:.4g} |"
        for metric, value in config["test"].items()
    )
    pictures = "\n".join(
        f"![{name}]({file.name})"
        for name, file in (("learning curves", run.curves_file), ("confusion matrix", run.confusion_file))
        if file.is_file()
    )
    spec = run.spec_file.name
    exports = "\n".join(_verdict(json.loads(file.read_text())) for file in sorted(run.path.glob("*/parity.json")))
    packages = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    description = f"{config['description']}\n\n" if config["description"] else ""
    return f"""# {config["name"]}

{description}A model of architecture {config["architecture"]} for {config["task"]} with \
{config["parameters"]:,} parameters, built by Recurrent Zoo.

## Result

| | validation | test |
|---|---|---|
{rows}

The weights are those of epoch {config["best_epoch"]} of {config["epochs"]}, the best by validation \
{config["metric"].replace("_", " ")}. Training took {config["training_seconds"]:.1f} s on `{config["device"]}`.

{pictures}

## Data

{config["data"]}

Parts: {sizes["train"]:,} sequences to train, {sizes["validation"]:,} to choose the weights (validation), \
{sizes["test"]:,} for the test alone. A sequence has {config["features"]} features a step; the model was trained with \
{config["time"]} steps and takes any number.

## Export and parity

{exports or "Not exported yet: `zoo export --onnx`."}

## Run it again

```
zoo build {shlex.quote(str(run.spec_file))}
zoo export --onnx
```

Everything that was chosen, the seed too, stands in [{spec}]({spec}). Built with {packages}.
"""


def _verdict(report: dict[str, Any]) -> str:
    lines = [f"- `{report['file']}`: **{report['verdict']}**"]
    for provider in report["providers"]:
        if provider["status"] != "passed":
            lines.append(f"  - {provider['name']}: {provider['status']}: {provider['reason']}")
            continue
        worst = max(provider["outputs"], key=lambda output: output["over_budget"])
        lines.append(
            f"  - {provider['name']}: {provider['status']}; largest error {worst['max_error']:.1e} "
            f"({worst['over_budget']:.2f} of its budget) over {len(report['cases'])} inputs"
        )
    return "\n".join(lines)
