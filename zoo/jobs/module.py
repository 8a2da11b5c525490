"""Export and proof of any module: the file is put in place only after its proof."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from zoo.errors import PluginError, ProviderUnavailable
from zoo.exporting.exporter import Exporter, ExportOptions
from zoo.files import json_safe, json_text, write_together
from zoo.jobs.export import proof_summary, with_opset
from zoo.jobs.exported import REJECTED
from zoo.jobs.file_metadata import parity_entry
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import Extent
from zoo.proof.module import ModuleProof
from zoo.proof.prove import ProviderRequest
from zoo.run.candidate import Candidate, private_folder, writing
from zoo.run.export_record import EXPORT, ExportRecord
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.placement import add_unpredicted
from zoo.runtime.tensors import MODULE
from zoo.versions import versions


def exporter_of(path: Path, registry: Registry) -> Exporter:
    """Return the exporter for the suffix of a file.

    Args:
        path: the file to write.
        registry: the usable plugins.

    Raises:
        PluginError: if no plugin writes such files.
    """
    kinds = {kind.suffix: kind for kind in registry.exporters.values()}
    if path.suffix not in kinds:
        raise PluginError(
            f"{path}: no plugin writes files with the suffix {path.suffix!r}; those that can be written are "
            f"{', '.join(kinds) or 'none'}"
        )
    return kinds[path.suffix]()


def export_module(
    module: nn.Module,
    examples: Sequence[tuple[Any, ...]],
    path: Path,
    exporter: Exporter,
    options: ExportOptions,
    fixed: Mapping[str, Collection[int]],
    wanted: ProviderRequest,
    extent: Extent,
    progress: Progress,
) -> tuple[Path, dict[str, Any]]:
    """Export a module, prove the file, and put it in place of an older file only after that.

    Args:
        module: any module in inference mode.
        examples: example arguments of its ``forward``; the first is traced.
        path: the file to write.
        exporter: writes it.
        options: opset and lowering.
        fixed: axes that keep the size of the example, by the name of the argument.
        wanted: the providers to prove on, and those that are required.
        extent: the sizes to draw beside the listed ones.
        progress: called with a few words at the start of each step.

    Returns:
        The path of the file and the report of its proof, ready for JSON. A file whose verdict is not ``passed`` is in
        the folder ``rejected`` beside ``path``.

    Raises:
        ExportError, UsageError, ProviderUnavailable, PluginError, RunError: see `zoo.export_module`.
    """
    proof = ModuleProof(module, examples)
    progress(f"writing {path.name}")
    with private_folder(path.parent) as folder:
        candidate_path = folder / path.name
        metadata = {
            "zoo_version": versions().get("recurrent-zoo", "none"),
            MODULE: type(module).__qualname__,
            "versions": json.dumps(versions()),
            "lowering": options.lowering,
        }
        with writing(path):
            signature = exporter.export_module(module, examples[0], candidate_path, metadata, options, fixed)
        candidate, faults = Candidate(candidate_path), exporter.faults(candidate_path)
        report = proof.prove(candidate_path, wanted.providers, faults, progress, extent)
        if any(result["provider"] != "cpu" and result["status"] != "unavailable" for result in report["providers"]):
            add_unpredicted(report, exporter.placement(candidate_path))
        _enforce(report, wanted)
        candidate.require_unchanged()
        report |= {"signature": asdict(signature)}
        return _put_in_place(path, candidate, report, exporter, with_opset(options, candidate.content))


def prove_file(
    module: nn.Module,
    examples: Sequence[tuple[Any, ...]],
    path: Path,
    wanted: ProviderRequest,
    extent: Extent,
    progress: Progress,
) -> dict[str, Any]:
    """Judge any file against a module, and return the report; nothing is written.

    Args:
        module: any module in inference mode.
        examples: example arguments of its ``forward``.
        path: the file.
        wanted: the providers to prove on, and those that are required.
        extent: the sizes to draw beside the listed ones.
        progress: called with a few words at the start of each step.

    Raises:
        UsageError, ProviderUnavailable, RunError: see `zoo.prove_module`.
    """
    candidate, proof = Candidate(path), ModuleProof(module, examples)
    fault = contents_fault(candidate.content)
    report = proof.prove(path, wanted.providers, [] if fault is None else [f"{path}: {fault}"], progress, extent)
    _enforce(report, wanted)
    candidate.require_unchanged()
    return report


def _enforce(report: dict[str, Any], wanted: ProviderRequest) -> None:
    """Check that the required providers ran.

    Raises:
        ProviderUnavailable: where one did not, or none did.
    """
    for result in report["providers"]:
        needed = result["provider"] in wanted.required or report["verdict"] == "unavailable"
        if needed and result["status"] == "unavailable":
            raise ProviderUnavailable(f"{result['name']}: unavailable: {result['reason']}")


def _put_in_place(
    path: Path, candidate: Candidate, report: dict[str, Any], exporter: Exporter, options: ExportOptions
) -> tuple[Path, dict[str, Any]]:
    """Write the proven file with its verdict, and its report beside it; return both."""
    rejected = path.parent / REJECTED / path.name
    passed = report["verdict"] == "passed"
    target = path if passed else rejected
    with writing(target):
        content = candidate.annotated(exporter, parity_entry(proof_summary(report)))
    if content is None and passed:
        raise PluginError(
            f"{exporter.name}: annotate() changed more of {path.name} than its metadata, so it is not the file that "
            "was proven; correct the exporter"
        )
    placed = content or candidate.content
    digest = hashlib.sha256(placed).hexdigest()
    record = ExportRecord(options, versions(), digest, None if content is None else json_safe(proof_summary(report)))
    report = {**candidate.with_path(report, target), EXPORT: record.to_dict()}
    write_together({target: placed, report_of(target): json_text(report)})
    if passed:
        with suppress(OSError):
            for old in (rejected, report_of(rejected)):
                old.unlink(missing_ok=True)
            rejected.parent.rmdir()  # fails while it contains other files
    return target, report


def report_of(path: Path) -> Path:
    """Return the path of the report of a module's file."""
    return path.with_suffix(".parity.json")
