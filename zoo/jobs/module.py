"""Export and proof of any module: the file is put in place only after its proof."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from zoo.errors import PluginError, UsageError
from zoo.exporting.exporter import Exporter, ExportOptions
from zoo.jobs.put_in_place import REJECTED, Place, put_in_place
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import Extent
from zoo.proof.module import ModuleProof
from zoo.proof.prove import ProviderRequest
from zoo.run.candidate import Candidate, private_folder, writing
from zoo.run.export_record import ExportRecord
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.onnx_metadata import metadata_entries
from zoo.runtime.onnx_seal import seal_fault
from zoo.runtime.placement import add_unpredicted
from zoo.runtime.session import read_onnx
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
    require_replaceable(path)
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
        wanted.require_run(report)
        candidate.require_unchanged()
        report |= {"signature": asdict(signature)}
        return put_in_place(_place(path), _rejected(path), candidate, report, exporter, options)


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
    wanted.require_run(report)
    candidate.require_unchanged()
    return report


def require_replaceable(path: Path) -> None:
    """Check that an export may write a file, and a rejected one beside it: no file of another origin is replaced.

    Args:
        path: the file to write.

    Raises:
        UsageError: where one of the two exists and is no export of a module, or was altered since.
    """
    for place in (_place(path), _rejected(path)):
        if place.path.exists() and not _is_export(place):
            raise UsageError(
                f"{place.path}: is no intact export of a module, so it is not replaced; move it, or give the new file "
                "another name"
            )


def _is_export(place: Place) -> bool:
    """Return whether a file is as an export of a module left it: sealed, or of the hash that its report records."""
    if not place.path.is_file():
        return False
    content, record = read_onnx(place.path), ExportRecord.read(place.report)
    if record is not None and record.sha256 == hashlib.sha256(content).hexdigest():
        return True
    return seal_fault(content) is None and MODULE in dict(metadata_entries(content))


def recorded_module(path: Path) -> str | None:
    """Return the class of the module that a file was exported from, by the report beside it; None without one.

    Args:
        path: any file.
    """
    report = _place(path).report
    try:
        name = json.loads(report.read_bytes())["module"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and ExportRecord.read(report) is not None else None


def _place(path: Path) -> Place:
    return Place(path, path.with_suffix(".parity.json"))


def _rejected(path: Path) -> Place:
    return _place(path.parent / REJECTED / path.name)
