"""Latency and lower precision on the page, from the measurements that other commands left in the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from zoo.jobs.bench import Bench, Block, File, LeftOut, Row
from zoo.plots.latency import plot_block
from zoo.report.pictures import Album, Picture
from zoo.report.proofs import Proof, Table, share
from zoo.run.model_card import kilobytes
from zoo.timing import Ratio, duration

MOST_BLOCKS = 6
"""Pictures of latency on a page; the tables contain every measurement."""


def read_bench(values: Mapping[str, Any]) -> Bench:
    """Return the result of ``zoo bench`` from the values of bench.json."""
    blocks = [
        Block(**{**block, "rows": [Row(**{**row, "ratio": Ratio(**row["ratio"])}) for row in block["rows"]]})
        for block in values["blocks"]
    ]
    files = [File(**file) for file in values["files"]]
    left_out = [LeftOut(**candidate) for candidate in values["left_out"]]
    rest = {name: values[name] for name in ("run", "threads", "warmup", "unavailable", "machine", "versions")}
    return Bench(blocks=blocks, files=files, left_out=left_out, **rest)


def latency_pictures(result: Bench, album: Album) -> list[Picture]:
    """Draw one picture for each provider, batch and number of steps, narrow enough for a phone."""
    pictures = []
    for block in result.blocks[:MOST_BLOCKS]:
        name = f"latency-{block.provider}-batch-{block.batch}-{block.time}-steps"
        medians = "; ".join(
            f"{row.name} {duration(row.p50)}" + (f", {row.ratio.median:.3g} times the first" if index else "")
            for index, row in enumerate(block.rows)
        )
        caption = f"{_input(block)}, {block.rounds} rounds."
        pictures.append(album.draw(name, partial(plot_block, block), f"Median latency of a batch: {medians}.", caption))
    return pictures


def latency_tables(result: Bench) -> list[Table]:
    """Return a table of all measurements for each provider, batch and number of steps."""
    headings = ("candidate", "median", "95th percentile", "sequences a second", "steps a second", "times the first")
    return [Table(_input(block), headings, latency_rows(block)) for block in result.blocks]


def _input(block: Block) -> str:
    return f"{block.provider}, batch {block.batch}, {block.time} steps"


def latency_rows(block: Block) -> list[tuple[str, ...]]:
    """Return the cells of each candidate: name, median, 95th percentile, throughputs, ratio to the first candidate."""
    return [
        (
            row.name,
            duration(row.p50),
            duration(row.p95),
            f"{row.sequences_per_second:,.0f}",
            f"{row.steps_per_second:,.0f}",
            str(row.ratio) if index else "1",
        )
        for index, row in enumerate(block.rows)
    ]


def not_measured(result: Bench) -> list[str]:
    """Return a line for each provider and each candidate that was not measured, with the reason."""
    unavailable = [f"{name}: unavailable: {reason}" for name, reason in result.unavailable.items()]
    return [*unavailable, *(f"{candidate.name}: left out: {candidate.reason}" for candidate in result.left_out)]


def precision_table(proofs: Sequence[Proof]) -> Table | None:
    """Return the table of lower-precision files in units of the float32 file, or None where there is no such file."""
    lower = [proof for proof in proofs if "precision" in proof.report]
    if not lower:
        return None
    measured = [proof.report["against_float32"] for proof in lower if "against_float32" in proof.report]
    inputs = list(dict.fromkeys(_timed_input(latency) for values in measured for latency in values["latency"]))
    metrics: Mapping[str, float] = next((values["metrics"]["float32"] for values in measured if values["metrics"]), {})
    headings = [
        *("file", "precision", "proof", "largest error", "size"),
        *(f"time: {name}" for name in inputs),
        *(metric.replace("_", " ") for metric in metrics),
        "equal labels",
    ]
    float32 = [
        *("float32", "float32", "", "", "1"),
        *("1" for _ in inputs),
        *(f"{value:.4g}" for value in metrics.values()),
        "",
    ]
    rows = [float32, *(_precision(proof, inputs, metrics) for proof in lower)]
    return Table("Size and time in units of those of the float32 file", headings, rows)


def _timed_input(latency: Mapping[str, Any]) -> str:
    return f"{latency['provider']}, batch {latency['batch']}, {latency['time']} steps"


def worth_it(proofs: Sequence[Proof]) -> list[tuple[str, str]]:
    """Return (file name, conclusion) for each lower-precision file, from its measurements."""
    conclusions = []
    for proof in proofs:
        measured = proof.report.get("against_float32")
        if measured is not None:
            conclusions.append((proof.name, measured["verdict"]))
            if "missing" in measured:
                conclusions.append((proof.name, f"predictions are not compared: {measured['missing']}"))
        elif "precision" in proof.report:
            conclusions.append((proof.name, "not compared with the float32 file"))
    return conclusions


def _precision(proof: Proof, inputs: Sequence[str], metrics: Iterable[str]) -> list[str]:
    report = proof.report
    measured = report.get("against_float32", {})
    outputs = [output for result in proof.ran for output in result["outputs"]]
    worst = max(outputs, key=lambda output: output["over_budget"] or 0.0, default=None)
    times = {
        _timed_input(latency): f"{latency['ratio']:.2f} ({latency['low']:.2f} to {latency['high']:.2f})"
        for latency in measured.get("latency", ())
    }
    values = (measured.get("metrics") or {}).get("this", {})
    agreement = measured.get("agreement")
    return [
        proof.name,
        str(report["precision"]),
        str(report["verdict"]),
        "" if worst is None or not worst["over_budget"] else share(worst),
        f"{measured['size_ratio']:.2f} ({kilobytes(measured['size'])})" if measured else "",
        *(times.get(name, "") for name in inputs),
        *(f"{values[metric]:.4g}" if metric in values else "" for metric in metrics),
        "" if agreement is None else f"{agreement:.2%}",
    ]
