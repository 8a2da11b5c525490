"""Export and proof of any module: the file is put in place only after its proof."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from zoo.errors import PluginError
from zoo.exporting.exporter import Exporter, ExportOptions
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import Extent
from zoo.proof.prove import ProviderRequest


def exporter_of(path: Path, registry: Registry) -> Exporter:
    """Return the exporter for the suffix of a file."""
    kinds = {kind.suffix: kind for kind in registry.exporters.values()}
    if path.suffix not in kinds:
        raise PluginError(f"{path}: no plugin writes {path.suffix!r} files; the suffixes are {', '.join(kinds)}")
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
    """Export a module, prove the file and put it in place."""
    raise NotImplementedError


def prove_file(
    module: nn.Module,
    examples: Sequence[tuple[Any, ...]],
    path: Path,
    wanted: ProviderRequest,
    extent: Extent,
    progress: Progress,
) -> dict[str, Any]:
    """Prove a file against a module."""
    raise NotImplementedError
