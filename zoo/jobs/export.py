"""Export of a run, and the proof that the exported file computes what the run's model computes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.data.dataset import Split
from zoo.errors import PluginError, RunError, UsageError
from zoo.exporting.exporter import SHORT, Exporter, ExportOptions, Precision
from zoo.files import json_safe, json_text, remove_stale, write_json, write_together
from zoo.jobs.precision import Trained, against_float32
from zoo.plugins.registry import Registry
from zoo.proof.golden_oracle import golden
from zoo.proof.prove import LOWERING, STEPS, ProviderRequest, prove
from zoo.proof.streaming import prove_streaming, refuse_unless_streamable
from zoo.proof.trained import check_trained
from zoo.run.candidate import Candidate, private_folder, remove_private_folders, writing
from zoo.run.lock import locked
from zoo.run.model_card import write_card
from zoo.run.run import Run
from zoo.runtime.golden import PRECISION
from zoo.runtime.placement import add_unpredicted
from zoo.versions import versions

REJECTED = "rejected"
"""Name of the folder, inside the exporter's folder, for files whose proof did not pass."""


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
        progress: Callable[[str], None],
    ) -> tuple[Candidate, dict[str, Any]]:
        """Compare the file at ``path``, this file or a candidate for it, with the run's model.

        Args:
            path: the file to compare.
            trained: the run.
            registry: gives the data source of the run's data.
            wanted: the providers to prove on, and those that are required.
            progress: called with a few words at the start of each step of the proof.

        Returns:
            The bytes of the file, and the report; see `zoo.proof.prove.prove`.

        Raises:
            ProviderUnavailable: where a required provider cannot run here.
            RunError: where the file cannot be read, or was changed during the proof.
        """
        candidate, sample, faults = Candidate(path), trained.run.sample(), self.exporter.faults(path)
        compare = prove_streaming if self.streaming else prove
        report = compare(trained.model, path, sample, wanted.providers, faults, progress)
        if any(result["provider"] != "cpu" and result["status"] != "unavailable" for result in report["providers"]):
            add_unpredicted(report, self.exporter.placement(path))
        wanted.enforce(report)
        report |= self.beside_float32(trained, registry, report, path, progress)
        candidate.require_unchanged()
        return candidate, report

    def beside_float32(
        self,
        trained: Trained,
        registry: Registry,
        report: Mapping[str, Any],
        path: Path,
        progress: Callable[[str], None],
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
    raise RunError(f"{path}: is not an exported file of the run {run.path}; name the run instead")


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


def export(
    run: Run,
    registry: Registry,
    exporter: Exporter,
    wanted: ProviderRequest,
    options: ExportOptions,
    progress: Callable[[str], None],
) -> list[tuple[Path, dict[str, Any]]]:
    """Export a run, prove each file, and put it in place of an older file only after that.

    With ``options.streaming`` a second file, for chunks, follows the file for whole sequences. With a lower precision
    the float32 file is exported first if the run has none. After a verdict other than ``passed`` no further file is
    exported.

    Args:
        run: a finished run.
        registry: gives the run's architecture, task and data source.
        exporter: writes the files.
        wanted: the providers to prove on, and those that are required.
        options: how to lower the model, in which precision, and whether to write a file for chunks.
        progress: called with a few words at the start of each step.

    Returns:
        The path of each file and the report of its proof, ready for JSON. A file whose verdict is not ``passed`` is
        kept in ``rejected/`` until the same kind of file is exported again with a verdict; an older file that passed
        is not replaced by it.

    Raises:
        ProviderUnavailable: where a required provider cannot run here.
        ExportError: where the model has a part that the exporter cannot express, or cannot be streamed.
        UsageError: where the options are not compatible.
        PluginError: where the exporter changes more than the metadata of a proven file, or a cell does not keep the
            contract of `zoo.Cell`.
        RunError: where another process works on the run, something cannot be written, or the file was changed during
            its proof.
    """
    refuse_streams_of_lower_precision(options)
    with _export_lock(run, exporter):
        trained = Trained(run, *run.load(registry))
        check_trained(run, trained.model)
        sample = run.sample()
        options = with_steps(options, sample.x.shape[1])
        if options.streaming:
            refuse_unless_streamable(trained.model)
        results = []
        for file in _files(run, exporter, options):
            own = replace(options, streaming=file.streaming, precision=file.precision)
            metadata = _metadata(trained, sample, own)
            progress(f"writing {file.path.name}")
            with private_folder(file.path.parent) as folder:
                path = folder / file.path.name
                with writing(file.path):
                    exporter.export(trained.model, path, metadata, own)
                candidate, report = file.prove(path, trained, registry, wanted, progress)
                results.append(_put_in_place(file, candidate, report))
            if report["verdict"] != "passed":
                break
    return results


@contextmanager
def _export_lock(run: Run, exporter: Exporter) -> Iterator[None]:
    """Hold the run's lock, and remove files that exports left behind when they were killed."""
    with locked(run.path, "zoo export") as held:
        folder = run.export_folder(exporter.name)
        for place in (run.path, folder, folder / REJECTED):
            remove_stale(place)
        if held:
            remove_private_folders(folder)
        yield


def _metadata(trained: Trained, sample: Split, options: ExportOptions) -> dict[str, str]:
    """Return the metadata of a file, with its golden input and output."""
    inputs = replace(sample, lengths=None) if options.streaming else sample
    example = golden(trained.model, inputs, options.steps, options.precision)
    return {
        "zoo_version": versions()["recurrent-zoo"],
        "name": trained.spec.name,
        "spec": json.dumps(trained.spec.to_dict()),
        "signature": json.dumps(trained.task.signature.to_dict()),
        "versions": json.dumps(versions()),
        LOWERING: options.lowering,
        **({} if options.steps is None else {STEPS: str(options.steps)}),
        **({} if options.precision == "float32" else {PRECISION: options.precision}),
        **example.to_metadata(),
    }


def _files(run: Run, exporter: Exporter, options: ExportOptions) -> list[ExportedFile]:
    """Return the files to write, in order."""
    full = ExportedFile(run, exporter)
    if options.precision == "float32":
        return [full, ExportedFile(run, exporter, streaming=True)] if options.streaming else [full]
    return [*([] if full.path.is_file() else [full]), replace(full, precision=options.precision)]


def refuse_streams_of_lower_precision(options: ExportOptions) -> None:
    """Raise a `UsageError` for a file for chunks in lower precision, since there is no proof for such a file.

    Args:
        options: the options of an export.

    Raises:
        UsageError: where ``options`` ask for both.
    """
    if options.streaming and options.precision != "float32":
        raise UsageError(
            f"--precision {SHORT[options.precision]}: a file for chunks is written in float32 only; leave --streaming "
            "or --precision out"
        )


def with_steps(options: ExportOptions, longest: int) -> ExportOptions:
    """Return the options with a number of steps for an unrolled graph: the given number, else ``longest``.

    Args:
        options: the options of an export.
        longest: steps of the longest sequence of the run's data.

    Raises:
        UsageError: where the options are not compatible.
    """
    if options.lowering != "unrolled":
        if options.steps is not None:
            raise UsageError(
                f"--steps: only an unrolled graph takes a fixed number of steps, and the lowering is "
                f"{options.lowering!r}, which takes any number; add --lowering unrolled, or leave --steps out"
            )
        return options
    if options.streaming:
        raise UsageError(
            "--streaming: an unrolled graph takes one fixed number of steps, and chunks have any number; use another "
            "--lowering, or leave --streaming out"
        )
    if options.steps is not None and options.steps < 1:
        raise UsageError(f"--steps: expected at least 1, got {options.steps}")
    return replace(options, steps=options.steps or longest)


def _put_in_place(file: ExportedFile, candidate: Candidate, report: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Write the proven file with its verdict, and its report, to the place that the verdict allows; return both."""
    passed, rejected = report["verdict"] == "passed", replace(file, rejected=True)
    target = file if passed else rejected
    with writing(target.path):
        content = candidate.annotated(file.exporter, {"parity": json.dumps(json_safe(_summary(report)))})
    if content is None and passed:
        raise PluginError(
            f"{file.exporter.name}: annotate() changed more of {file.path.name} than its metadata, so it is not the "
            "file that was proven; correct the exporter"
        )
    report = candidate.with_path(report, target.path)
    # A rejected file may be invalid, so that it cannot be annotated; then it is kept unchanged.
    write_together({target.path: content or candidate.content, target.report: json_text(report)})
    if passed:
        _remove(rejected)
        write_card(file.run)
    return target.path, report


def _remove(rejected: ExportedFile) -> None:
    """Remove a rejected file and its report, where they exist, and their folder once it is empty."""
    with suppress(OSError):
        for path in (rejected.path, rejected.report):
            path.unlink(missing_ok=True)
        rejected.path.parent.rmdir()  # fails while it contains other files


def check(
    file: ExportedFile,
    registry: Registry,
    wanted: ProviderRequest,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Prove an exported file again, write the report beside it and return the report.

    Args:
        file: an existing file.
        registry: gives the run's architecture, task and data source.
        wanted: the providers to prove on, and those that are required.
        progress: called with a few words at the start of each step.

    Returns:
        The report, ready for JSON; see `zoo.proof.prove.prove`.

    Raises:
        ProviderUnavailable: where a required provider cannot run here.
        RunError: where another process works on the run, the file was changed during its proof, or the report cannot
            be written.
    """
    with locked(file.run.path, "zoo check"):
        trained = Trained(file.run, *file.run.load(registry))
        check_trained(file.run, trained.model)
        _, report = file.prove(file.path, trained, registry, wanted, progress)
        write_json(file.report, report)
        if not file.rejected:  # the card does not list rejected files
            write_card(file.run)
    return report


def _summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a report that the metadata of the file contains."""
    limits = [result["judged_steps"] for result in report["providers"] if "judged_steps" in result]
    shares = [output["over_budget"] for result in report["providers"] for output in result["outputs"]]
    return {
        "verdict": report["verdict"],
        "providers": {result["name"]: result["status"] for result in report["providers"]},
        **({"judged_steps": min(limits)} if limits else {}),
        "over_budget": max(shares, default=None),  # None where no output was judged
    }
