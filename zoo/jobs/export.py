"""The second main job: from a run to an exported file that is proven to compute what the run's model computes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.data.dataset import Split
from zoo.errors import PluginError, RunError, UsageError
from zoo.exporting.exporter import SHORT, Exporter, ExportOptions, Precision
from zoo.files import json_safe, json_text, remove_stale, write_json, write_together
from zoo.jobs.precision import Trained, against_float32
from zoo.nn.model import Model
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
from zoo.runtime.placement import add_differences
from zoo.versions import versions

REJECTED = "rejected"
"""The folder, beside the files that are proven, of those that are not."""


@dataclass(frozen=True)
class ExportedFile:
    """A file that a run is exported to: for whole sequences, in some precision, or for a stream of chunks."""

    run: Run
    exporter: Exporter
    streaming: bool = False
    precision: Precision = "float32"
    rejected: bool = False
    """Whether it is the one that is kept because its proof did not pass."""

    @property
    def path(self) -> Path:
        return self._named("model", self.exporter.suffix)

    @property
    def report(self) -> Path:
        """Where the report of its proof stands."""
        return self._named("parity", ".json")

    def _named(self, stem: str, suffix: str) -> Path:
        kind = ".stream" if self.streaming else f".{SHORT[self.precision]}" if self.precision in SHORT else ""
        folder = self.run.export_folder(self.exporter.name)
        return (folder / REJECTED if self.rejected else folder) / f"{stem}{kind}{suffix}"

    def prove(
        self, model: Model, path: Path, sample: Split, providers: Sequence[str], progress: Callable[[str], None]
    ) -> dict[str, Any]:
        """Compare the file at ``path``, this one or a candidate for it, with the run's model; returns the report."""
        compare = prove_streaming if self.streaming else prove
        report = compare(model, path, sample, providers, self.exporter.faults(path), progress)
        if any(one["provider"] != "cpu" and one["status"] != "unavailable" for one in report["providers"]):
            add_differences(report, self.exporter.placement(path))
        return report

    def beside_float32(
        self,
        trained: Trained,
        registry: Registry,
        report: Mapping[str, Any],
        path: Path,
        progress: Callable[[str], None],
    ) -> dict[str, Any]:
        """What a report of a file of lower precision, proven at ``path``, says besides: `zoo.jobs.precision`."""
        full = replace(self, precision="float32", rejected=False).path
        if self.precision == "float32" or report["verdict"] not in ("passed", "ill-conditioned") or not full.is_file():
            return {}
        ran = list(dict.fromkeys(one["provider"] for one in report["providers"] if one["outputs"]))
        return {"against_float32": against_float32(path, full, trained, registry, ran, progress)}


def exported_files(run: Run, registry: Registry) -> list[ExportedFile]:
    """The files that a run has been exported to.

    Raises:
        RunError: where there is none.
    """
    if found := list(existing_files(run, registry)):
        return found
    flags = " or ".join(f"--{name}" for name in registry.exporters)
    raise RunError(f"{run.path}: has not been exported yet; do it with 'zoo export {flags} {run.path}'")


def exported_file(path: Path, run: Run, registry: Registry) -> ExportedFile:
    """The file of a run that stands at ``path``, one that was rejected too.

    Raises:
        RunError: where there is none.
    """
    for file in (*existing_files(run, registry), *existing_files(run, registry, rejected=True)):
        if file.path.samefile(path):
            return file
    raise RunError(f"{path}: is not the file that the run {run.path} was exported to; name the run")


def existing_files(run: Run, registry: Registry, *, rejected: bool = False) -> Iterator[ExportedFile]:
    """Every kind of file that is there."""
    kinds: list[tuple[bool, Precision]] = [(False, "float32"), (True, "float32"), *((False, one) for one in SHORT)]
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
    """Export a run, prove each file, and only then put it in place of an older one.

    Returns:
        Each file, with ``options.streaming`` the one for chunks too, with a lower precision the float32 file before it
        where there is none yet, and the report of its proof. Where a verdict is not ``passed`` both are kept in
        ``rejected/``, until the same kind of file is exported again with a verdict; an older file stays as it was, and
        what would follow is left out.

    Raises:
        ProviderUnavailable: where one that is required cannot run here.
        ExportError: where the model has a part that the exporter cannot express, or cannot be streamed.
        UsageError: where the options do not go together.
        RunError: where another process works on the run, something cannot be written, or what was proven was changed
            meanwhile.
    """
    refuse_streams_of_lower_precision(options)
    with locked(run.path, "zoo export") as held:
        remove_stale(run.path)
        for folder in (run.export_folder(exporter.name), run.export_folder(exporter.name) / REJECTED):
            remove_stale(folder)
        if held:
            remove_private_folders(run.export_folder(exporter.name))
        return _export(run, registry, exporter, wanted, options, progress)


def _export(
    run: Run,
    registry: Registry,
    exporter: Exporter,
    wanted: ProviderRequest,
    options: ExportOptions,
    progress: Callable[[str], None],
) -> list[tuple[Path, dict[str, Any]]]:
    """The same, by who holds the run's lock."""
    spec, task, model = run.load(registry)
    check_trained(run, model)
    sample = run.sample()
    options = with_steps(options, sample.x.shape[1])
    if options.streaming:
        refuse_unless_streamable(model)
    metadata = {
        "zoo_version": versions()["recurrent-zoo"],
        "name": spec.name,
        "spec": json.dumps(spec.to_dict()),
        "signature": json.dumps(task.signature.to_dict()),
        "versions": json.dumps(versions()),
        LOWERING: options.lowering,
        **({} if options.steps is None else {STEPS: str(options.steps)}),
    }
    results = []
    for file in _files(run, exporter, options):
        kept = file.precision
        example = golden(model, replace(sample, lengths=None) if file.streaming else sample, options.steps, kept)
        values = {**metadata, **({} if kept == "float32" else {PRECISION: kept}), **example.to_metadata()}
        progress(f"writing {file.path.name}")
        with private_folder(file.path.parent) as folder:
            path = folder / file.path.name
            with writing(file.path):
                exporter.export(model, path, values, replace(options, streaming=file.streaming, precision=kept))
            candidate = Candidate(path)
            report = file.prove(model, path, sample, wanted.providers, progress)
            wanted.enforce(report)
            report |= file.beside_float32(Trained(run, spec, task, model), registry, report, path, progress)
            candidate.insist()
            results.append(_put_in_place(file, candidate, report))
        if report["verdict"] != "passed":
            break
    return results


def _files(run: Run, exporter: Exporter, options: ExportOptions) -> list[ExportedFile]:
    """What to write, in this order."""
    full = ExportedFile(run, exporter)
    if options.precision == "float32":
        return [full, ExportedFile(run, exporter, streaming=True)] if options.streaming else [full]
    return [*([] if full.path.is_file() else [full]), replace(full, precision=options.precision)]


def refuse_streams_of_lower_precision(options: ExportOptions) -> None:
    """Raise a `UsageError` for a file for chunks that is not float32: nothing of it is proven."""
    if options.streaming and options.precision != "float32":
        raise UsageError(
            f"--precision {SHORT[options.precision]}: a file for chunks is written in float32 only; leave --streaming "
            "or --precision out"
        )


def with_steps(options: ExportOptions, longest: int) -> ExportOptions:
    """The options with a number of steps where the lowering needs one: unless told, that of the data's ``longest``.

    Raises:
        UsageError: where the options do not go together.
    """
    if options.lowering != "unrolled":
        if options.steps is not None:
            raise UsageError(
                f"--steps: only an unrolled graph takes a fixed number of steps, and the lowering is "
                f"{options.lowering!r}, which takes any; add --lowering unrolled, or leave --steps out"
            )
        return options
    if options.streaming:
        raise UsageError(
            "--streaming: an unrolled graph takes one fixed number of steps, and chunks come in any; use another "
            "--lowering, or leave --streaming out"
        )
    if options.steps is not None and options.steps < 1:
        raise UsageError(f"--steps: expected at least 1, got {options.steps}")
    return replace(options, steps=options.steps or longest)


def _put_in_place(file: ExportedFile, candidate: Candidate, report: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Keep what was proven where its verdict lets it stand, with the verdict in it, and its report. Returns the place
    and the report."""
    passed, rejected = report["verdict"] == "passed", replace(file, rejected=True)
    place = file if passed else rejected
    with writing(place.path):
        content = candidate.annotated(file.exporter, {"parity": json.dumps(json_safe(_short(report)))})
    if content is None and passed:
        raise PluginError(
            f"{file.exporter.name}: annotate() changed more of {file.path.name} than its metadata, so it is not the "
            "file that was proven; correct the exporter"
        )
    report = candidate.placed(report, place.path)
    # One that is rejected may be no such file at all, and is kept as it is.
    write_together({place.path: content or candidate.content, place.report: json_text(report)})
    if passed:
        _remove(rejected)
        write_card(file.run)
    return place.path, report


def _remove(rejected: ExportedFile) -> None:
    """Remove a rejected file and its report, where there are any, and the folder with the last of them."""
    with suppress(OSError):
        for path in (rejected.path, rejected.report):
            path.unlink(missing_ok=True)
        rejected.path.parent.rmdir()  # fails while there are others


def check(
    file: ExportedFile,
    registry: Registry,
    wanted: ProviderRequest,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Prove a file that a run has already been exported to. Returns the report; it is written beside the file.

    Raises:
        ProviderUnavailable: where one that is required cannot run here.
        RunError: where another process works on the run, the file was changed meanwhile, or the report cannot be
            written.
    """
    with locked(file.run.path, "zoo check"):
        spec, task, model = file.run.load(registry)
        check_trained(file.run, model)
        proven = Candidate(file.path)
        report = file.prove(model, file.path, file.run.sample(), wanted.providers, progress)
        wanted.enforce(report)
        report |= file.beside_float32(Trained(file.run, spec, task, model), registry, report, file.path, progress)
        proven.insist()
        write_json(file.report, report)
        if not file.rejected:  # of which the card has nothing
            write_card(file.run)
    return report


def _short(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of its own proof."""
    limits = [result["judged_steps"] for result in report["providers"] if "judged_steps" in result]
    shares = [output["over_budget"] for result in report["providers"] for output in result["outputs"]]
    return {
        "verdict": report["verdict"],
        "providers": {result["name"]: result["status"] for result in report["providers"]},
        **({"judged_steps": min(limits)} if limits else {}),
        "over_budget": max(shares, default=None),  # none where nothing was judged
    }
