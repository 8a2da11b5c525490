"""What the page says of latency and of lower precision: measurements that other commands left in the run."""

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
"""Pictures of latency; the tables have every measurement."""


def read_bench(values: Mapping[str, Any]) -> Bench:
    """What ``zoo bench`` wrote, from the JSON."""
    blocks = [
        Block(**{**block, "rows": [Row(**{**row, "ratio": Ratio(**row["ratio"])}) for row in block["rows"]]})
        for block in values["blocks"]
    ]
    files = [File(**one) for one in values["files"]]
    left_out = [LeftOut(**one) for one in values["left_out"]]
    rest = {name: values[name] for name in ("run", "threads", "warmup", "unavailable", "machine", "versions")}
    return Bench(blocks=blocks, files=files, left_out=left_out, **rest)


def latency_pictures(result: Bench, album: Album) -> list[Picture]:
    """One for each provider, batch and time, so that each can be read on a phone."""
    pictures = []
    for block in result.blocks[:MOST_BLOCKS]:
        name = f"latency-{block.provider}-batch-{block.batch}-{block.time}-steps"
        medians = "; ".join(_told(row, first=row is block.rows[0]) for row in block.rows)
        caption = f"{block.provider}, batch {block.batch}, {block.time} steps, {block.rounds} rounds."
        pictures.append(album.draw(name, partial(plot_block, block), f"Median latency of a batch: {medians}.", caption))
    return pictures


def _told(row: Row, *, first: bool) -> str:
    return f"{row.name} {duration(row.p50)}" + ("" if first else f", {row.ratio.median:.3g} times the first")


def latency_tables(result: Bench) -> list[Table]:
    """Every measurement in figures."""
    headings = ("candidate", "median", "95th percentile", "sequences a second", "steps a second", "times the first")
    return [
        Table(
            f"{block.provider}, batch {block.batch}, {block.time} steps",
            headings,
            [
                (
                    row.name,
                    duration(row.p50),
                    duration(row.p95),
                    f"{row.sequences_per_second:,.0f}",
                    f"{row.steps_per_second:,.0f}",
                    "1" if row is block.rows[0] else str(row.ratio),
                )
                for row in block.rows
            ],
        )
        for block in result.blocks
    ]


def not_measured(result: Bench) -> list[str]:
    """What was left out, and why."""
    lacking = [f"{name}: unavailable: {reason}" for name, reason in result.unavailable.items()]
    return [*lacking, *(f"{one.name}: left out: {one.reason}" for one in result.left_out)]


def precision_table(proofs: Sequence[Proof]) -> Table | None:
    """Files of lower precision against float32; None where there is none."""
    lower = [proof for proof in proofs if "precision" in proof.report]
    if not lower:
        return None
    measured = [proof.report["against_float32"] for proof in lower if "against_float32" in proof.report]
    places = list(dict.fromkeys(_place(one) for found in measured for one in found["latency"]))
    full: Mapping[str, float] = next((found["metrics"]["float32"] for found in measured if found["metrics"]), {})
    headings = [
        *("file", "precision", "proof", "largest error", "size"),
        *(f"time: {place}" for place in places),
        *(metric.replace("_", " ") for metric in full),
        "same answers",
    ]
    plain = [
        "float32",
        "float32",
        "",
        "",
        "1",
        *("1" for _ in places),
        *(f"{value:.4g}" for value in full.values()),
        "",
    ]
    return Table(
        "Sizes and times in units of the float32 file's",
        headings,
        [plain, *(_precision(one, places, full) for one in lower)],
    )


def _place(one: Mapping[str, Any]) -> str:
    return f"{one['provider']}, batch {one['batch']}, {one['time']} steps"


def worth_it(proofs: Sequence[Proof]) -> list[tuple[str, str]]:
    """What the measurements say of each file of lower precision, by the file's name."""
    told = []
    for proof in proofs:
        found = proof.report.get("against_float32")
        if found is not None:
            told.append((proof.name, found["verdict"]))
            if "missing" in found:
                told.append((proof.name, f"answers are not compared: {found['missing']}"))
        elif "precision" in proof.report:
            told.append((proof.name, "not measured beside the float32 file"))
    return told


def _precision(proof: Proof, places: Sequence[str], metrics: Iterable[str]) -> list[str]:
    report = proof.report
    found = report.get("against_float32", {})
    outputs = [one for result in proof.ran for one in result["outputs"]]
    worst = max(outputs, key=lambda one: one["over_budget"] or 0.0, default=None)
    times = {
        _place(one): f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for one in found.get("latency", ())
    }
    own = (found.get("metrics") or {}).get("this", {})
    agreement = found.get("agreement")
    return [
        proof.name,
        str(report["precision"]),
        str(report["verdict"]),
        "" if worst is None or not worst["over_budget"] else share(worst),
        f"{found['size_ratio']:.2f} ({kilobytes(found['size'])})" if found else "",
        *(times.get(place, "") for place in places),
        *(f"{own[metric]:.4g}" if metric in own else "" for metric in metrics),
        "" if agreement is None else f"{agreement:.2%}",
    ]
