"""The second main job: from a run to an exported file that is proven to compute what the run's model computes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.dataset import Split
from zoo.errors import RunError, UsageError
from zoo.exporter import SHORT, Exporter, ExportOptions, Precision
from zoo.files import write_atomically, write_json
from zoo.model import Model
from zoo.model_card import write_card
from zoo.plugins import Registry
from zoo.precision import Trained, against_float32
from zoo.proof.golden_oracle import golden
from zoo.proof.prove import LOWERING, STEPS, Wanted, prove
from zoo.proof.streaming import prove_streaming, refuse_unless_streamable
from zoo.run import Run
from zoo.runtime.golden import PRECISION
from zoo.runtime.placement import add_differences
from zoo.versions import versions


@dataclass(frozen=True)
class ExportedFile:
    """A file that a run is exported to: for whole sequences, in some precision, or for a stream of chunks."""

    run: Run
    exporter: Exporter
    streaming: bool = False
    precision: Precision = "float32"

    @property
    def path(self) -> Path:
        return self._named("model", self.exporter.suffix)

    @property
    def report(self) -> Path:
        """Where the report of its proof stands."""
        return self._named("parity", ".json")

    def _named(self, stem: str, suffix: str) -> Path:
        kind = ".stream" if self.streaming else f".{SHORT[self.precision]}" if self.precision in SHORT else ""
        return self.run.export_folder(self.exporter.name) / f"{stem}{kind}{suffix}"

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
        """What a report of a file of lower precision, proven at ``path``, says besides: `zoo.precision`."""
        full = replace(self, precision="float32").path
        if self.precision == "float32" or report["verdict"] not in ("passed", "ill-conditioned") or not full.is_file():
            return {}
        ran = list(dict.fromkeys(one["provider"] for one in report["providers"] if one["outputs"]))
        return {"against_float32": against_float32(path, full, trained, registry, ran, progress)}


def possible_files(run: Run, registry: Registry) -> list[ExportedFile]:
    """Every file that a run can be exported to, whether it is there or not."""
    kinds: list[tuple[bool, Precision]] = [(False, "float32"), (True, "float32"), *((False, one) for one in SHORT)]
    return [ExportedFile(run, exporter(), *kind) for exporter in registry.exporters.values() for kind in kinds]


def exported_files(run: Run, registry: Registry) -> list[ExportedFile]:
    """The files that a run has been exported to.

    Raises:
        RunError: where there is none.
    """
    found = [file for file in possible_files(run, registry) if file.path.is_file()]
    if not found:
        flags = " or ".join(f"--{name}" for name in registry.exporters)
        raise RunError(f"{run.path}: has not been exported yet; do it with 'zoo export {flags} {run.path}'")
    return found


def export(
    run: Run,
    registry: Registry,
    exporter: Exporter,
    wanted: Wanted,
    options: ExportOptions,
    progress: Callable[[str], None],
) -> list[tuple[Path, dict[str, Any]]]:
    """Export a run, prove each file, and only then put it in place of an older one.

    Returns:
        Each file, with ``options.streaming`` the one for chunks too, with a lower precision the float32 file before it
        where there is none yet, and the report of its proof. Where a verdict is not ``passed`` both are kept in
        ``rejected/``, an older file stays as it was, and what would follow is left out.

    Raises:
        ProviderUnavailable: where one that is required cannot run here.
        ExportError: where the model has a part that the exporter cannot express, or cannot be streamed.
        UsageError: where the options do not go together.
    """
    refuse_streams_of_lower_precision(options)
    spec, task, model = run.load(registry)
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
        candidate = file.path.parent / "rejected" / file.path.name
        progress(f"writing {file.path.name}")
        with _removed_on_error(candidate.parent):
            exporter.export(model, candidate, values, replace(options, streaming=file.streaming, precision=kept))
            report = file.prove(model, candidate, sample, wanted.providers, progress)
            wanted.insist(report)
            report |= file.beside_float32(Trained(run, spec, task, model), registry, report, candidate, progress)
        results.append((_put_in_place(file, candidate, report), report))
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


@contextmanager
def _removed_on_error(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder)
        raise


def _put_in_place(file: ExportedFile, candidate: Path, report: Mapping[str, Any]) -> Path:
    """Keep a candidate where its verdict lets it stand, and its report with it. Returns where that is."""
    if report["verdict"] != "passed":
        write_json(candidate.parent / file.report.name, report)
        return candidate
    file.exporter.annotate(candidate, {"parity": json.dumps(_short(report))})
    write_atomically(file.path, candidate.read_bytes())
    shutil.rmtree(candidate.parent)
    write_json(file.report, report)
    write_card(file.run)
    return file.path


def check(
    file: ExportedFile,
    registry: Registry,
    wanted: Wanted,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Prove a file that a run has already been exported to. Returns the report; it is written beside the file.

    Raises:
        ProviderUnavailable: where one that is required cannot run here.
    """
    spec, task, model = file.run.load(registry)
    report = file.prove(model, file.path, file.run.sample(), wanted.providers, progress)
    wanted.insist(report)
    report |= file.beside_float32(Trained(file.run, spec, task, model), registry, report, file.path, progress)
    write_json(file.report, report)
    write_card(file.run)
    return report


def _short(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of its own proof."""
    limits = [result["judged_steps"] for result in report["providers"] if "judged_steps" in result]
    return {
        "verdict": report["verdict"],
        "providers": {result["name"]: result["status"] for result in report["providers"]},
        **({"judged_steps": min(limits)} if limits else {}),
        "over_budget": max(output["over_budget"] for result in report["providers"] for output in result["outputs"]),
    }
