"""HTML page of a run: gathers everything it shows and renders the template ``page.html``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from zoo.errors import ZooError
from zoo.exporting.exporter import GraphSummary
from zoo.files import write_atomically
from zoo.plots.heat import plot_grids
from zoo.plots.parity import Panel, plot_parity
from zoo.plots.twin import GROUND
from zoo.plugins.registry import Registry
from zoo.proof.outcomes import overall
from zoo.report.matrix import grids, not_passed
from zoo.report.pictures import Album, Picture
from zoo.report.placement import Drawing, drawings
from zoo.report.proofs import Line, Proof, Table, lines, panels, read_object, read_proofs, tables
from zoo.report.speed import latency_pictures, latency_tables, not_measured, precision_table, read_bench, worth_it
from zoo.run.lock import locked
from zoo.run.model_card import baseline_sentence, figure, sequence_sentence
from zoo.run.run import Run

PAGE = "report.html"
PICTURES = "report"
"""Name of the folder of the pictures."""
MOST_PROOFS = 8
"""Proofs that get a picture; more would make the page large."""


@dataclass(frozen=True)
class Missing:
    """Section of the page without content, and the command that makes it."""

    section: str
    what: str
    """A sentence about what is missing."""
    command: str


@dataclass(frozen=True)
class Report:
    """Files and conclusions of a written report."""

    path: Path
    pictures: Sequence[Path]
    verdict: str | None
    """Verdict over all proofs; None without a proof."""
    missing: Sequence[Missing]


@dataclass(frozen=True)
class _Proven:
    """Proof as the page shows it."""

    proof: Proof
    lines: Sequence[Line]
    picture: Picture | None
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    unread: str
    """Why the file could not be read, so that the drawings show only nodes that ran; empty if it was read."""


def write_report(run: Run, registry: Registry, path: Path | None, progress: Callable[[str], None]) -> Report:
    """Write the HTML page of a finished run, and its pictures into the folder ``report`` of the run.

    Args:
        run: the run.
        registry: the usable plugins.
        path: the file of the page; None for ``report.html`` in the run.
        progress: called with the name of each stage.

    Raises:
        RunError: if the run is not finished, one of its files is damaged, or another process works on the run.
    """
    config = run.config()
    with locked(run.path, "zoo report"):
        return _write(run, config, registry, path, progress)


def _write(
    run: Run, config: Mapping[str, Any], registry: Registry, path: Path | None, progress: Callable[[str], None]
) -> Report:
    """Write the page and the pictures; see `write_report`."""
    album = Album(run.path / PICTURES)
    progress("proofs")
    proofs = [_proven(proof, registry, album) for proof in read_proofs(run)]
    progress("pictures")
    matrix = _matrix(run, album)
    bench = _bench(run, album)
    precision = precision_table([proven.proof for proven in proofs])
    missing = _missing(run, proofs=bool(proofs), matrix=bool(matrix), precision=bool(precision), bench=bool(bench))
    verdict = overall([proven.proof.report["verdict"] for proven in proofs]) if proofs else None
    values = {
        "config": config,
        "result": _result(config),
        "results": _results(config),
        "classes": _classes(config.get("classes", [])),
        "summary": baseline_sentence(config),
        "sequences": sequence_sentence(config, _fixed_steps([proven.proof for proven in proofs])),
        "proofs": proofs,
        "matrix": matrix,
        "precision": precision,
        "worth": worth_it([proven.proof for proven in proofs]),
        "bench": bench,
        "learning": _learning(run, config, album),
        "missing": {section.section: section for section in missing},
        "commands": _commands(run),
        "made": datetime.now(UTC),
        "dark_ground": GROUND,
        "style": files("zoo.report").joinpath("page.css").read_text(encoding="utf-8"),
    }
    progress("page")
    environment = Environment(
        loader=PackageLoader("zoo.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = path or run.path / PAGE
    write_atomically(page, environment.get_template("page.html").render(values))
    return Report(page, album.files, verdict, missing)


def _fixed_steps(proofs: Sequence[Proof]) -> dict[str, int]:
    """Return the number of steps that each unrolled file takes, by the name of the file."""
    return {proof.name: proof.report["steps"] for proof in proofs if "steps" in proof.report}


def _result(config: Mapping[str, Any]) -> str:
    """Return the test result by the metric that chose the weights, with those of the naive predictors."""
    metric = config["metric"] if config["metric"] in config["test"] else next(iter(config["test"]))
    naive = [f"{name} {values[metric]:.4g}" for name, values in config["baselines"].items()]
    beside = f" (naive: {', '.join(naive)})" if naive else ""
    return f"Test {metric.replace('_', ' ')} {config['test'][metric]:.4g}{beside}"


def _results(config: Mapping[str, Any]) -> Table:
    naive = config["baselines"]
    rows = [
        (
            metric.replace("_", " "),
            *(figure(part, metric) for part in (config["test"], *naive.values(), config["validation"])),
        )
        for metric in config["test"]
    ]
    headings = ("metric", "test", *(f"naive: {name}, test" for name in naive), "validation")
    return Table("The model and naive predictors", headings, rows)


def _classes(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    """Return the table of the classes of the test part; None without rows, as in runs of older versions."""
    columns = ("precision", "recall", "f1")
    cells = [(row["label"], *(figure(row, column) for column in columns), f"{row['support']:,}") for row in rows]
    headings = ("class", "precision", "recall", "F1", "sequences or steps")
    return Table("Each class of the test part", headings, cells) if cells else None


def _proven(proof: Proof, registry: Registry, album: Album) -> _Proven:
    summary, unread = _summary(proof, registry)
    return _Proven(proof, lines(proof), _parity(proof, album), tables(proof), drawings(proof, summary), unread)


def _summary(proof: Proof, registry: Registry) -> tuple[GraphSummary | None, str]:
    """Return the contents of the file, or None and why it cannot be read."""
    if not proof.file.is_file():
        return None, f"{proof.name} no longer exists"
    if proof.exporter not in registry.exporters:
        return None, f"no installed plugin reads the files of {proof.exporter}"
    try:
        return registry.exporter(proof.exporter).inspect(proof.file), ""
    except ZooError as error:
        return None, str(error)


def _parity(proof: Proof, album: Album) -> Picture | None:
    drawn = panels(proof)
    if not drawn or sum(file.name.startswith("parity-") for file in album.files) >= 2 * MOST_PROOFS:
        return None
    alt = f"Error and budget against steps for {proof.name}. " + " ".join(_figures(panel) for panel in drawn)
    kinds = dict.fromkeys("at each step of the longest input" if panel.of_steps else "of each input" for panel in drawn)
    caption = f"{proof.name}: error and budget {', or '.join(kinds)}."
    return album.draw(f"parity-{proof.key}", partial(plot_parity, drawn), alt, caption)


def _figures(panel: Panel) -> str:
    ranges = [
        f"{course.provider}: errors up to {max(course.errors):.1e}, budgets from {min(course.budgets):.1e} to "
        f"{max(course.budgets):.1e}"
        for course in panel.courses
    ]
    return f"{panel.output}: {'; '.join(ranges)}."


def _matrix(run: Run, album: Album) -> Mapping[str, Any] | None:
    """Return the first matrix in the folder of an exporter, with its picture and its table."""
    paths = sorted(run.path.glob("*/matrix.json"))
    if not paths:
        return None
    values = read_object(paths[0], "zoo check --matrix")
    counts = {status: count for status, count in values["counts"].items() if count}
    summary = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    worst = f"largest error that passed: {values['worst']:.2f} of its budget"
    alt = f"Heat map of {sum(counts.values()):,} proofs: {summary}; {worst}."
    caption = (
        "Each cell shows the worst of its combinations: the largest error in units of its budget. "
        "F failed, I ill-conditioned, N inconclusive, R refused by the exporter; an empty cell was not tried."
    )
    picture = album.draw("matrix", partial(plot_grids, grids(values["rows"])), alt, caption)
    return {**values, "summary": summary, "picture": picture, "table": not_passed(values["rows"])}


def _bench(run: Run, album: Album) -> Mapping[str, Any] | None:
    file = run.path / "bench.json"
    if not file.is_file():
        return None
    result = read_bench(read_object(file, "zoo bench"))
    return {
        "pictures": latency_pictures(result, album),
        "tables": latency_tables(result),
        "notes": not_measured(result),
        "threads": result.threads,
        "machine": result.machine,
        "drawn": len(result.blocks),
    }


def _learning(run: Run, config: Mapping[str, Any], album: Album) -> list[Picture]:
    """Return the pictures that the build drew: learning curves, and confusion matrix or predictions."""
    history = [json.loads(line) for line in run.metrics_file.read_text(encoding="utf-8").splitlines()]
    first, last, best, metric = history[0], history[-1], config["best_epoch"], config["metric"].replace("_", " ")
    curves = (
        f"Learning curves over {len(history)} epochs: training loss from {first['train_loss']:.4g} to "
        f"{last['train_loss']:.4g}, validation loss from {first['validation']['loss']:.4g} to "
        f"{last['validation']['loss']:.4g}; the best {metric} in epoch {best}."
    )
    results = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in config["test"].items())
    taken = (
        album.take(run.curves_file, curves, f"Learning curves; the weights are those of epoch {best}."),
        album.take(run.confusion_file, f"Confusion matrix of the test part: {results}.", "Confusion matrix."),
        album.take(run.predictions_file, f"Predictions and targets of the test part: {results}.", "Predictions."),
    )
    return [picture for picture in taken if picture is not None]


def _missing(run: Run, **present: bool) -> list[Missing]:
    """Return the sections that are not present, each with the command that makes it."""
    place = shlex.quote(str(run.path))
    sections = (
        Missing("proofs", "The run has not been exported and proven yet.", f"zoo export --onnx {place}"),
        Missing("matrix", "The matrix of this architecture has not been computed.", f"zoo check --matrix {place}"),
        Missing(
            "precision", "No file of lower precision has been exported.", f"zoo export --onnx --precision fp16 {place}"
        ),
        Missing("bench", "Latency has not been measured.", f"zoo bench {place}"),
    )
    return [section for section in sections if not present[section.section]]


def _commands(run: Run) -> str:
    place = shlex.quote(str(run.path))
    return f"zoo build {shlex.quote(str(run.spec_file))}\nzoo export --onnx\nzoo report {place}"
