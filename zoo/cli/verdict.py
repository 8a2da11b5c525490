"""Options of the commands that prove a file, and the table of a proof."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import output
from zoo.errors import ParityError

if TYPE_CHECKING:
    from zoo.proof.prove import ProviderRequest

_PROVIDERS = click.Choice(["cpu", "cuda"])
provider_option = click.option(
    "--provider", "chosen", multiple=True, type=_PROVIDERS, help="Provider to prove on. Repeatable. Default: all."
)
require_option = click.option(
    "--require", "required", multiple=True, type=_PROVIDERS, help="Exit with 5 if it is unavailable. Repeatable."
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**64 - 1),
    help="Seed of the drawn shapes and inputs, to repeat a proof. Default: from the hash of the file.",
)
thorough_option = click.option(
    "--thorough", is_flag=True, help="Draw ten times as many shapes; takes several times as long."
)
COLOURS = {
    "passed": "green",
    "failed": "red",
    "ill-conditioned": "yellow",
    "inconclusive": "yellow",
    "unavailable": "cyan",
}
HEADINGS = (
    ("", "largest", "error /", "torch /", "rounding", "equal"),
    ("output", "error", "budget", "budget", "amplified", "labels"),
)
"""Two lines above the columns; ``zoo check --help`` explains them."""
LISTED = 10
"""Most differences of a structure that are printed; ``--json`` lists all."""
WIDTHS = (15, 9, 9, 9, 11, 8)
"""Least width of each column in characters, the gap of two spaces included; a wider cell widens its column."""


def show_reports(results: Sequence[tuple[Path, Mapping[str, Any]]], *, as_json: bool, bisected: bool = True) -> None:
    """Print the report of each proof, and raise unless all passed.

    Args:
        results: path and report of each file.
        as_json: print one JSON object: the report of the first file, with those of the others under ``further``.
        bisected: whether 'zoo bisect' can open the files, which are those of a run.

    Raises:
        ParityError: if a proof did not pass, with the reasons of all.
    """
    if as_json:
        first, *others = [{"path": str(path), **report} for path, report in results]
        output.emit({**first, "further": others} if others else first)
    else:
        for number, (path, report) in enumerate(results):
            click.echo("\n" if number else "", nl=False)
            _show(report, str(path))
    faults = [
        f"{path}: {report['verdict']}: {'; '.join(report['reasons'])}"
        for path, report in results
        if report["verdict"] != "passed"
    ]
    if faults:
        wrong = [path for path, report in results if bisected and _has_wrong_output(report)]
        hint = [f"'zoo bisect {shlex.quote(str(wrong[0]))}' names the first wrong node"] if wrong else []
        raise ParityError("; ".join([*faults, *hint]))


def _has_wrong_output(report: Mapping[str, Any]) -> bool:
    """Return whether an output failed on some provider, so that a bisection has something to find."""
    return any(output["status"] == "failed" for result in report["providers"] for output in result["outputs"])


def _show(report: Mapping[str, Any], path: str) -> None:
    """Print the verdict, a block for each provider, and in it a line for each output, in 80 columns."""
    from zoo.run.model_card import judged_steps_text

    limits = [limit for result in report["providers"] if (limit := judged_steps_text(result, report))]
    verdict = f"{report['verdict']} {limits[0]}" if limits and report["verdict"] == "passed" else report["verdict"]
    click.echo(output.styled(f"parity of {path}: {verdict}", bold=True))
    if report.get("lowering", "auto") != "auto":
        steps = f", for exactly {report['steps']} steps" if "steps" in report else ""
        click.echo(f"lowering: {report['lowering']}{steps}")
    if report["cases"]:  # a file that cannot be loaded has none
        click.echo(_inputs(report))
    for result in report["providers"]:
        gap = "\n" if result["outputs"] else ""
        click.echo(f"{gap}{result['name']:<15}{_coloured(result['status'])}  {_place(result)}")
        for number, line in enumerate(_table(result["outputs"])):
            click.echo(output.styled(line, dim=True) if number < len(HEADINGS) else line)
        for line in _observations(result):
            click.echo(f"  {line}")
    for line in (*_against_float32(report), *_structure(report), *_notes(report)):
        click.echo(line)


def _inputs(report: Mapping[str, Any]) -> str:
    """Return how many inputs of how many shapes were tried, and how to repeat them where the file did not pass."""
    cases = report["cases"]
    if "sizes" in cases[0]:  # those of a module, by the name of each free size
        shapes = {tuple(sorted(case["sizes"].items())) for case in cases}
        most = {name: max(case["sizes"].get(name, 0) for case in cases) for name in cases[0]["sizes"]}
        extent = "".join(f", {name} up to {size:,}" for name, size in most.items())
    else:
        shapes = {(case["batch"], case["time"], case.get("chunk"), *case.get("turns", ())) for case in cases}
        largest, longest = (max(case[name] for case in cases) for name in ("batch", "time"))
        extent = f", up to batch {largest} and {longest:,} steps"
    text = f"{len(cases)} inputs of {len(shapes)} shapes{extent}"
    if report["verdict"] in ("passed", "unavailable") or "seed" not in report:
        return text
    return f"{text}\nrepeat with --seed {report['seed']}{' --thorough' if report['thorough'] else ''}"


def _observations(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield further observations, a line each.

    On every provider: why no verdict is possible beyond some step, how many extreme inputs permit no verdict, and
    whether runs of one input differ. On CUDA also
    the difference from the CPU, TF32, copies between devices, and the placement of nodes.
    """
    if "beyond" in result:
        yield f"beyond {result['judged_steps']} steps {_coloured('ill-conditioned')}: {result['beyond']}"
    if extremes := max((values.get("extremes_not_judged", 0) for values in result["outputs"]), default=0):
        yield f"{extremes} of the extreme inputs permit no verdict, and are left out"
    repeats = result.get("repeats")
    if repeats and not repeats["identical"]:
        yield f"{repeats['runs']} runs of one input differ by up to {repeats['largest_difference']:.1e}"
    if result["provider"] == "cpu" or not result["outputs"]:
        return
    if "against_cpu" in result:
        yield f"largest difference from the CPU provider: {result['against_cpu']:.2g} of the float32 budget"
    if tf32 := result.get("tf32"):
        override = "" if tf32["override"] is None else f"; NVIDIA_TF32_OVERRIDE={tf32['override']}"
        use = f"detected: error {tf32['over_budget']:.3g} times the float32 budget" if tf32["seen"] else "not detected"
        yield f"TF32 {use}{override}"
    if copies := result.get("memcpy"):
        yield "copies between devices: " + ", ".join(f"{count['nodes']} at {count['steps']} steps" for count in copies)
    if result.get("elsewhere"):
        yield f"recurrent nodes on another provider: {len(result['elsewhere'])}, such as {result['elsewhere'][0]}"
    if result.get("unpredicted"):
        yield f"nodes not placed as predicted: {len(result['unpredicted'])}; --json lists them"


def _against_float32(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the comparison of a lower-precision file with the float32 file, in lines."""
    comparison = report.get("against_float32")
    if comparison is None:
        return
    yield f"compared with the float32 file: {comparison['verdict']}"
    if comparison["agreement"] is not None:
        yield f"  equal labels in {comparison['agreement']:.2%} of the validation part"
    if "missing" in comparison:
        yield f"  predictions are not compared: {comparison['missing']}"


def _structure(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the result of the comparison with a fresh export, in lines; nothing for a file that was just exported."""
    structure = report.get("structure")
    if structure is None:
        return
    if structure["compared"]:
        count = len(structure["differences"])
        places = f"differs in {count} place{'' if count == 1 else 's'} from" if count else "equal to"
        yield f"structure: {places} a fresh export of the run"
        for difference in structure["differences"][:LISTED]:
            yield f"  {difference['node']}: {difference['what']}"
    for note in structure["notes"]:
        yield f"structure: {note}"


def _notes(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the remarks of the proof of a module, such as axes that a file fixes, in lines."""
    for note in report.get("notes", ()):
        yield f"note: {note}"


def _table(outputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the heading in two lines and a line for each output, in columns; nothing where there is no output."""
    if not outputs:
        return
    rows = [*HEADINGS, *map(_cells, outputs)]
    name, *widths = (
        max(least, *(len(cell) + 2 for cell in column)) for least, *column in zip(WIDTHS, *rows, strict=True)
    )
    statuses = ("" if values["status"] == "passed" else f"  {_coloured(values['status'])}" for values in outputs)
    for (first, *others), status in zip(rows, [*("" for _ in HEADINGS), *statuses], strict=True):
        figures = "".join(cell.rjust(width) for cell, width in zip(others, widths, strict=True))
        yield f"  {first.ljust(name)}{figures}{status}"


def _cells(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of one output, in the order of `HEADINGS`."""
    shares = [_share(values[name]) for name in ("over_budget", "torch_over_budget")]
    amplification = values["amplification"]
    amplified = f"{amplification:,.0f}" if amplification < 1e9 else f"{amplification:.2e}"
    labels = "" if values["agreement"] is None else f"{values['agreement']:.0%}"
    return values["name"], f"{values['max_error']:.1e}", *shares, amplified, labels


def _share(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.2e}"


def _place(result: Mapping[str, Any]) -> str:
    """Return how many nodes ran on each provider, or why none ran."""
    if not result["outputs"]:
        return str(result["reason"])
    limit = f"up to {result['judged_steps']} steps; " if "judged_steps" in result else ""
    return f"{limit}nodes: {output.node_counts(result['nodes'])}"


def _coloured(status: str) -> str:
    return output.styled(status, fg=COLOURS[status])


def wanted(chosen: Sequence[str], required: Sequence[str]) -> ProviderRequest:
    """Return the providers to prove on: those chosen and those required, or all where none is chosen."""
    from zoo.proof.prove import MODES, ProviderRequest

    named = tuple(dict.fromkeys((*chosen, *required)))
    return ProviderRequest(named if chosen else tuple(MODES), named, tuple(required))
