"""``zoo check --matrix``: a cell proven in all its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from zoo.cli import output, verdict
from zoo.cli.columns import show_table
from zoo.errors import ParityError, UsageError

if TYPE_CHECKING:
    from zoo.matrix.points import Subject
    from zoo.plugins.registry import Registry
    from zoo.proof.prove import ProviderRequest
    from zoo.run.run import Run

COLOURS = {**verdict.COLOURS, "refused": "cyan"}


class MatrixOptions(NamedTuple):
    """Options of the command that concern the matrix."""

    full: bool = False
    quick: bool = False
    features: int | None = None
    """Features of a step; None for the default."""
    overrides: tuple[str, ...] = ()
    """Options of the cell, each as ``architecture.field=value``."""


def check_matrix(
    target: Path | None, registry: Registry, wanted: ProviderRequest, options: MatrixOptions, *, as_json: bool
) -> None:
    """Prove a cell in all its settings or in a sample of them, and print the report.

    Args:
        target: a run or the name of an architecture; None for the latest run.
        registry: the usable plugins.
        wanted: the providers to prove on.
        options: the sample, and the options of the cell.
        as_json: print the report as JSON.

    Raises:
        UsageError: if the target is neither, or the options are not valid for the cell.
        ProviderUnavailable: if a required provider is unavailable.
        ParityError: if a proof fails, or none passes.
    """
    from zoo.files import write_json
    from zoo.jobs.bench import EXPORTER
    from zoo.matrix.prove import matrix
    from zoo.proof.prove import MODES
    from zoo.run.lock import locked
    from zoo.runtime.providers import unavailable

    modes = [mode for provider in wanted.providers for mode in MODES[provider]]
    missing = {mode.name: reason for mode in modes if (reason := unavailable(mode.provider))}
    available = [mode for mode in modes if mode.name not in missing]
    results = [
        {"name": mode.name, "provider": mode.provider, "status": "unavailable", "reason": missing[mode.name]}
        for mode in modes
        if mode.name in missing
    ]
    wanted.enforce({"verdict": "" if available else "unavailable", "providers": results})
    run, subject = _subject(target, registry, options)
    exporter = registry.exporter(EXPORTER)
    with nullcontext() if run is None else locked(run.path, "zoo check --matrix"):
        with output.spinner(f"matrix of {subject.name}") as progress:

            def move(done: int, total: int) -> None:
                progress(f"{done:,} of {total:,} points", done / total)

            report = matrix(subject, exporter, available, move, full=options.full, quick=options.quick)
        report["unavailable"] = missing
        if run is not None:
            write_json(run.export_folder(exporter.name) / "matrix.json", report)
    if as_json:
        output.emit(report)
    else:
        _show(report)
    for name, reason in missing.items():
        click.echo(f"{name}: unavailable: {reason}", err=True)
    if fault := _fault(report):
        raise ParityError(f"{subject.name}: {fault}")


def _fault(report: Mapping[str, Any]) -> str:
    """Return why the cell is not proven, or an empty text if a proof passed and none failed."""
    counts, total = report["counts"], len(report["rows"])
    if counts["failed"]:
        return f"{counts['failed']} of {total} in the matrix failed"
    if counts["passed"]:
        return ""
    others = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    first = next((row for row in report["rows"] if row["status"] not in ("passed", "refused")), None)
    why = "" if first is None else f"; {describe(first)}: {first['reason']}"
    return f"0 of {total} in the matrix passed, so nothing is proven: {others or 'nothing ran'}{why}"


def _subject(target: Path | None, registry: Registry, options: MatrixOptions) -> tuple[Run | None, Subject]:
    """Return the cell to prove: that of a run, with the run and the options of its cell, or of a named architecture."""
    from zoo.cli.target import run_or_latest
    from zoo.matrix.points import FEATURES, HIDDEN_SIZE, Subject
    from zoo.run.run import Run
    from zoo.spec.spec import part_name

    changed = _overrides(options.overrides)
    sizes = {
        "features": FEATURES if options.features is None else options.features,
        "hidden_size": changed.get("hidden_size", HIDDEN_SIZE),
    }
    name = str(target)
    if target is None or Run(target).spec_file.is_file():
        run = run_or_latest(target)
        config = run.spec(registry).architecture
        layer = registry.architectures[part_name(config)].layer
        return run, Subject.of(part_name(config), layer, type(config), config.model_dump() | changed, **sizes)
    if name not in registry.architectures:
        close = get_close_matches(name, registry.architectures, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"they are {', '.join(sorted(registry.architectures))}"
        raise UsageError(f"{name}: is neither a run nor an architecture; {hint}")
    chosen = registry.architectures[name]
    return None, Subject.of(name, chosen.layer, chosen.config, {"name": name, **changed}, **sizes)


def _overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the options of the cell that --set changes.

    Raises:
        UsageError: if a field does not belong to the architecture, or the matrix sets it itself.
    """
    from zoo.spec.spec import read_overrides

    fields = read_overrides(overrides)
    if others := [part for part in fields if part != "architecture"]:
        raise UsageError(
            f"--set {others[0]}: the matrix takes fields of the architecture only; write architecture.FIELD=VALUE, "
            "such as architecture.forget_bias=2"
        )
    options: dict[str, Any] = fields.get("architecture", {})
    if varied := [field for field in ("name", "num_layers", "direction", "bias", "pooling") if field in options]:
        raise UsageError(f"--set architecture.{varied[0]}: the matrix sets this field itself; leave it out")
    return options


def _show(report: Mapping[str, Any]) -> None:
    """Print the counts, the largest error / budget by direction, lengths and shape, and a line for each failure."""
    kinds = {"full": "all settings", "quick": "a quick sample"}
    kind = next((text for name, text in kinds.items() if report[name]), "a sample with every pair of settings")
    click.echo(output.styled(f"matrix of {report['architecture']}: {kind}, {report['seconds']:.0f} s", bold=True))
    counts = [output.styled(f"{count:,} {status}", fg=COLOURS[status]) for status, count in report["counts"].items()]
    click.echo(f"{', '.join(counts)}; largest error that passed: {report['worst']:.2f} of its budget")
    for line in report["left_out"]:
        click.echo(f"not tried: {line}")
    judged = [row for row in report["rows"] if row["status"] in ("passed", "failed") and row["batch"] is not None]
    lengths = list(dict.fromkeys(row["lengths"] for row in judged))
    click.echo()
    show_table(
        ("error / budget, lengths:", *lengths),
        [
            (direction, *(_worst(judged, direction=direction, lengths=name) for name in lengths))
            for direction in dict.fromkeys(row["direction"] for row in judged)
        ],
    )
    shapes = sorted({(row["time"], row["batch"]) for row in judged})
    click.echo()
    show_table(
        ("error / budget, batch x steps:", *(f"{batch} x {time}" for time, batch in shapes)),
        [("", *(_worst(judged, time=time, batch=batch) for time, batch in shapes))],
    )
    for row in report["rows"]:
        if row["status"] == "failed":
            click.echo(f"{output.styled('failed', fg='red')}: {describe(row)}: {row['reason']}")


def _worst(rows: Sequence[Mapping[str, Any]], **fields: object) -> str:
    matching = [row["over_budget"] for row in rows if all(row[name] == value for name, value in fields.items())]
    return f"{max(matching):.2f}" if matching else "-"


def describe(row: Mapping[str, Any]) -> str:
    """Return the settings of a row as text."""
    layers = f"{row['layers']} layer{'s' if row['layers'] > 1 else ''}"
    bias = {True: ["bias"], False: ["no bias"], None: []}[row["bias"]]
    shape = [] if row["batch"] is None else [f"batch {row['batch']}", f"{row['time']} steps"]
    mode = [] if row["mode"] is None else [row["mode"]]
    settings = [f"states {row['states']}", f"lengths {row['lengths']}", row["weights"], f"opset {row['opset']}"]
    return ", ".join([row["direction"], layers, *bias, *settings, *shape, *mode])
