"""Exported files of a run: where each kind of file is, and its proof against the run's model."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import RunError
from zoo.exporting.exporter import SHORT, Exporter, ExportOptions, Precision
from zoo.jobs.precision import Trained, against_float32
from zoo.jobs.put_in_place import REJECTED, Place
from zoo.jobs.structure import compare_structure
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import USUAL, Extent
from zoo.proof.prove import FileProperties, ProviderRequest, prove
from zoo.proof.streaming import prove_streaming
from zoo.run.candidate import Candidate
from zoo.run.export_record import EXPORT, ExportRecord
from zoo.run.run import Run
from zoo.runtime.placement import add_unpredicted


@dataclass(frozen=True)
class ExportedFile:
    """A file of a run: float32 for whole sequences, one of lower precision, or float32 for a stream of chunks."""

    run: Run
    exporter: Exporter
    streaming: bool = False
    """Whether the file takes chunks of a stream instead of whole sequences."""
    precision: Precision = "float32"
    """Precision of the weights."""
    rejected: bool = False
    """Whether it is the file in ``rejected/``, whose proof did not pass."""

    @property
    def path(self) -> Path:
        """Path of the file, which need not exist."""
        return self._named("model", self.exporter.suffix)

    @property
    def report(self) -> Path:
        """Path of the report of its proof, which need not exist."""
        return self._named("parity", ".json")

    @property
    def place(self) -> Place:
        """Both paths."""
        return Place(self.path, self.report)

    def _named(self, stem: str, suffix: str) -> Path:
        kind = ".stream" if self.streaming else f".{SHORT[self.precision]}" if self.precision in SHORT else ""
        folder = self.run.export_folder(self.exporter.name)
        return (folder / REJECTED if self.rejected else folder) / f"{stem}{kind}{suffix}"

    def prove(
        self,
        path: Path,
        trained: Trained,
        registry: Registry,
        wanted: ProviderRequest,
        progress: Progress,
        options: ExportOptions,
        extent: Extent = USUAL,
        record: ExportRecord | None = None,
    ) -> tuple[Candidate, dict[str, Any]]:
        """Compare the file at ``path``, this file or a candidate for it, with the run's model.

        Args:
            path: the file to compare.
            trained: the run.
            registry: gives the data source of the run's data.
            wanted: the providers to prove on, and those that are required.
            progress: called with a few words at the start of each step of the proof.
            options: those of its export, which determine its inputs and budgets.
            extent: the shapes to draw beside the listed ones; the run's batch size is added.
            record: the record of the file's export, for a comparison of its structure with a fresh export; None for a
                file that was exported just now.

        Returns:
            The bytes of the file, and the report; see `zoo.proof.prove.prove`.

        Raises:
            ProviderUnavailable: where a required provider cannot run here.
            RunError: where the file cannot be read, or was changed during the proof.
        """
        candidate, sample, faults = Candidate(path), trained.run.sample(), self.exporter.faults(path)
        compare = prove_streaming if self.streaming else prove
        extent = extent._replace(batches=(*extent.batches, trained.spec.training.batch_size))
        entries: dict[str, Any] = {}
        if record is not None:
            structure = compare_structure(candidate, self.exporter, trained, sample, record, progress)
            faults += structure.faults(path, faults)
            extent = extent._replace(thorough=extent.thorough or structure.undecided)
            entries = {EXPORT: record.to_dict(), "structure": structure.to_dict()}
        properties = FileProperties.of(options)
        report = compare(
            trained.model, path, sample, wanted.providers, faults, progress, properties=properties, extent=extent
        )
        report |= entries
        if any(result["provider"] != "cpu" and result["status"] != "unavailable" for result in report["providers"]):
            add_unpredicted(report, self.exporter.placement(path))
        wanted.enforce(report)
        report |= self.beside_float32(trained, registry, report, path, progress)
        candidate.require_unchanged()
        return candidate, report

    def record(self) -> ExportRecord:
        """Return the record of the file's export.

        Raises:
            RunError: where the report beside the file has none, or that of another kind of file.
        """
        record = ExportRecord.read(self.report)
        again = (
            "export it again, or judge it by numbers alone with "
            f"'zoo check {shlex.quote(str(self.run.path))} --foreign {shlex.quote(str(self.path))}'"
        )
        if record is None:
            raise RunError(f"{self.path}: {self.report.name} beside it has no record of its export; {again}")
        if (record.options.streaming, record.options.precision) != (self.streaming, self.precision):
            kind = "a file for chunks" if record.options.streaming else f"a {record.options.precision} file"
            raise RunError(f"{self.path}: {self.report.name} beside it records the export of {kind}; {again}")
        return record

    def beside_float32(
        self,
        trained: Trained,
        registry: Registry,
        report: Mapping[str, Any],
        path: Path,
        progress: Progress,
    ) -> dict[str, Any]:
        """Compare a proven file of lower precision with the run's float32 file; see `zoo.jobs.precision`.

        Args:
            trained: the run.
            registry: gives the data source of the run's data.
            report: the report of the proof of the file at ``path``.
            path: the file to compare, this file or a candidate for it.
            progress: called with a few words at the start of each measurement.

        Returns:
            The entry ``against_float32`` of the report; empty for a float32 file, without a float32 file to compare
            with, and for a verdict other than passed or ill-conditioned.
        """
        full = replace(self, precision="float32", rejected=False).path
        if self.precision == "float32" or report["verdict"] not in ("passed", "ill-conditioned") or not full.is_file():
            return {}
        ran = list(dict.fromkeys(result["provider"] for result in report["providers"] if result["outputs"]))
        return {"against_float32": against_float32(path, full, trained, registry, ran, progress)}


def exported_files(run: Run, registry: Registry) -> list[ExportedFile]:
    """Return the exported files of a run, without rejected ones.

    Args:
        run: the run.
        registry: gives the exporters to look for.

    Raises:
        RunError: where there is none.
    """
    if files := list(existing_files(run, registry)):
        return files
    flags = " or ".join(f"--{name}" for name in registry.exporters)
    raise RunError(f"{run.path}: has not been exported yet; do it with 'zoo export {flags} {run.path}'")


def exported_file(path: Path, run: Run, registry: Registry) -> ExportedFile:
    """Return the exported or rejected file of a run that has this path.

    Args:
        path: an existing file.
        run: the run.
        registry: gives the exporters to look for.

    Raises:
        RunError: where the file is not an exported file of the run.
    """
    for file in (*existing_files(run, registry), *existing_files(run, registry, rejected=True)):
        if file.path.samefile(path):
            return file
    raise RunError(
        f"{path}: is not an exported file of the run {run.path}; name the run instead, or judge the file by numbers "
        f"alone with 'zoo check {shlex.quote(str(run.path))} --foreign {shlex.quote(str(path))}'"
    )


def recorded_proof(path: Path, run: Run, registry: Registry) -> tuple[ExportOptions | None, Extent]:
    """Return what the report beside a file records: the options of its export, and the extent of its last proof.

    Without a record the options are None; without a seed in the report, that of the file is used.

    Args:
        path: an existing file.
        run: the run.
        registry: gives the exporters to look for.
    """
    for file in (*existing_files(run, registry), *existing_files(run, registry, rejected=True)):
        if file.path.samefile(path):
            record = ExportRecord.read(file.report)
            return None if record is None else record.options, _recorded_extent(file.report).seeded(path)
    return None, USUAL.seeded(path)


def _recorded_extent(report: Path) -> Extent:
    """Return the seed and the thoroughness in a report; the usual extent where it has none."""
    try:
        values = json.loads(report.read_bytes())
        seed, thorough = values["seed"], values["thorough"]
    except (OSError, ValueError, KeyError, TypeError):
        return USUAL
    return Extent(seed, thorough) if type(seed) is int and seed >= 0 and type(thorough) is bool else USUAL


def existing_files(run: Run, registry: Registry, *, rejected: bool = False) -> Iterator[ExportedFile]:
    """Yield the exported files of a run that exist, of every exporter, precision and kind.

    Args:
        run: the run.
        registry: gives the exporters to look for.
        rejected: whether to yield the files in ``rejected/`` instead.
    """
    kinds: list[tuple[bool, Precision]] = [(False, "float32"), (True, "float32")]
    kinds += [(False, precision) for precision in SHORT]
    for exporter in registry.exporters.values():
        for kind in kinds:
            file = ExportedFile(run, exporter(), *kind, rejected=rejected)
            if file.path.is_file():
                yield file
