"""The second main job: from a run to an exported file that is proven to compute what the run's model computes."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.dataset import Split
from zoo.errors import RunError
from zoo.exporter import Exporter
from zoo.files import write_atomically, write_json
from zoo.model import Model
from zoo.model_card import write_card
from zoo.parity import Array
from zoo.plugins import Registry
from zoo.proof import prove, require
from zoo.run import Run
from zoo.versions import versions

GOLDEN = 2
"""Sequences in the golden input."""


def model_file(run: Run, exporter: Exporter) -> Path:
    """Where a run's exported model stands."""
    return run.export_folder(exporter.name) / f"model{exporter.suffix}"


def report_file(run: Run, exporter: Exporter) -> Path:
    """Where the report of its proof stands."""
    return run.export_folder(exporter.name) / "parity.json"


def exported_files(run: Run, registry: Registry) -> list[tuple[Exporter, Path]]:
    """The files that a run has been exported to, each with its exporter.

    Raises:
        RunError: where there is none.
    """
    exporters = [exporter() for exporter in registry.exporters.values()]
    found = [(one, model_file(run, one)) for one in exporters if model_file(run, one).is_file()]
    if not found:
        flags = " or ".join(f"--{exporter.name}" for exporter in exporters)
        raise RunError(f"{run.path}: has not been exported yet; do it with 'zoo export {flags} {run.path}'")
    return found


def export(
    run: Run,
    registry: Registry,
    exporter: Exporter,
    providers: Sequence[str],
    required: Sequence[str],
    opset: int | None,
    progress: Callable[[str], None],
) -> tuple[Path, dict[str, Any]]:
    """Export a run, prove the file, and only then put it in place of an older one.

    Returns:
        The file and the report of its proof. Where the verdict is not ``passed`` both are kept in ``rejected/``, and an
        older model stays as it was.

    Raises:
        ProviderUnavailable: where one of ``required`` cannot run here.
        ExportError: where the model has a part that the exporter cannot express.
    """
    spec, task, model = run.load(registry)
    sample = run.sample()
    target = model_file(run, exporter)
    rejected = target.parent / "rejected"
    candidate = rejected / target.name
    metadata = {
        "zoo_version": versions()["recurrent-zoo"],
        "name": spec.name,
        "spec": json.dumps(spec.to_dict()),
        "signature": json.dumps(task.signature.to_dict()),
        "versions": json.dumps(versions()),
        **_golden(model, sample.take(slice(0, GOLDEN))),
    }
    progress("writing the graph")
    rejected.mkdir(parents=True, exist_ok=True)
    try:
        exporter.export(model, candidate, metadata, opset)
        report = prove(model, candidate, sample, providers, exporter.faults(candidate), progress)
        require(report, required)
    except BaseException:
        shutil.rmtree(rejected)
        raise
    if report["verdict"] != "passed":
        write_json(rejected / report_file(run, exporter).name, report)
        return candidate, report
    exporter.annotate(candidate, {"parity": json.dumps(_short(report))})
    write_atomically(target, candidate.read_bytes())
    shutil.rmtree(rejected)
    write_json(report_file(run, exporter), report)
    write_card(run)
    return target, report


def check(
    run: Run,
    registry: Registry,
    exporter: Exporter,
    providers: Sequence[str],
    required: Sequence[str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Prove the file that a run has already been exported to. Returns the report; it is written beside the model.

    Raises:
        ProviderUnavailable: where one of ``required`` cannot run here.
    """
    _, _, model = run.load(registry)
    path = model_file(run, exporter)
    report = prove(model, path, run.sample(), providers, exporter.faults(path), progress)
    require(report, required)
    write_json(report_file(run, exporter), report)
    write_card(run)
    return report


def _golden(model: Model, sample: Split) -> Mapping[str, str]:
    """An input and what the model gives for it, so that another machine can see whether it computes the same."""
    with torch.inference_mode():
        outputs = {name: value.numpy() for name, value in model.outputs(sample.x, sample.lengths).items()}
    if sample.lengths is not None:
        outputs["lengths"] = sample.lengths.numpy()
    golden = {f"golden_{name}": _encode(value) for name, value in outputs.items()}
    return {"golden_input": _encode(sample.x.numpy()), **golden}


def _encode(array: Array) -> str:
    """An array as the base64 of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def _short(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of its own proof."""
    return {
        "verdict": report["verdict"],
        "providers": {result["name"]: result["status"] for result in report["providers"]},
        "over_budget": max(output["over_budget"] for result in report["providers"] for output in result["outputs"]),
    }
