"""What the commands that prove a file have in common: their options, and how a proof looks on a terminal."""

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
    "--provider", "chosen", multiple=True, type=_PROVIDERS, help="Prove on this one. Repeatable; on all when left out."
)
require_option = click.option(
    "--require", "required", multiple=True, type=_PROVIDERS, help="Leave with 5 where it cannot run. Repeatable."
)
COLOURS = {
    "passed": "green",
    "failed": "red",
    "ill-conditioned": "yellow",
    "inconclusive": "yellow",
    "unavailable": "cyan",
}
HEADINGS = ("output", "error", "of budget", "torch", "amplified", "labels")
WIDTHS = (15, 8, 12, 8, 11, 9)
"""Of the columns, at least; a wider text makes its column wider, and there are two spaces before each."""


def tell(results: Sequence[tuple[Path, Mapping[str, Any]]], *, as_json: bool) -> None:
    """Show the report of each file, and raise unless every proof passed.

    As JSON there is one object: the report of the first file, and under ``further`` those of the others, if any.

    Raises:
        ParityError: with every reason.
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
        wrong = [path for path, report in results if any(_is_wrong(result) for result in report["providers"])]
        hint = [f"'zoo bisect {shlex.quote(str(wrong[0]))}' names the first wrong node"] if wrong else []
        raise ParityError("; ".join([*faults, *hint]))


def _is_wrong(result: Mapping[str, Any]) -> bool:
    """Whether numbers were judged and are wrong, so that there is something to look for."""
    return any(one["status"] == "failed" for one in result["outputs"])


def _show(report: Mapping[str, Any], path: str) -> None:
    """The verdict: a block for each provider, a line for each output; 80 columns wide."""
    from zoo.run.model_card import up_to

    limits = [limit for result in report["providers"] if (limit := up_to(result, report))]
    verdict = f"{report['verdict']} {limits[0]}" if limits and report["verdict"] == "passed" else report["verdict"]
    click.echo(output.styled(f"parity of {path}: {verdict}", bold=True))
    if report.get("lowering", "auto") != "auto":
        steps = f", for {report['steps']} steps and no other number of them" if "steps" in report else ""
        click.echo(f"lowering: {report['lowering']}{steps}")
    for result in report["providers"]:
        gap = "\n" if result["outputs"] else ""
        click.echo(f"{gap}{result['name']:<15}{_coloured(result['status'])}  {_place(result)}")
        for number, line in enumerate(_table(result["outputs"])):
            click.echo(line if number else output.styled(line, dim=True))
        for line in _besides(result):
            click.echo(f"  {line}")
    for line in _beside_float32(report):
        click.echo(line)


def _besides(result: Mapping[str, Any]) -> Iterator[str]:
    """What else was seen: why no verdict is possible beyond some step, whether it repeats itself, and on a provider
    beside the CPU placement, copies and TF32."""
    if "beyond" in result:
        yield f"beyond {result['judged_steps']} steps {_coloured('ill-conditioned')}: {result['beyond']}"
    repeats = result.get("repeats")
    if repeats and not repeats["identical"]:
        yield f"{repeats['runs']} runs of one input differ by {repeats['largest_difference']:.1e}"
    if result["provider"] == "cpu" or not result["outputs"]:
        return
    if "against_cpu" in result:
        yield f"apart from the CPU's answers: {result['against_cpu']:.2g} of float32's budget"
    if tf32 := result.get("tf32"):
        override = "" if tf32["override"] is None else f"; NVIDIA_TF32_OVERRIDE={tf32['override']}"
        times = f"used: {tf32['over_budget']:.3g} times float32's budget" if tf32["seen"] else "not seen"
        yield f"TF32 {times}{override}"
    if copies := result.get("memcpy"):
        yield "copies between devices: " + ", ".join(f"{one['nodes']} at {one['steps']} steps" for one in copies)
    if result.get("elsewhere"):
        yield f"recurrent nodes elsewhere: {len(result['elsewhere'])}, such as {result['elsewhere'][0]}"
    if result.get("unpredicted"):
        yield f"{len(result['unpredicted'])} nodes elsewhere than predicted; --json names them"


def _beside_float32(report: Mapping[str, Any]) -> Iterator[str]:
    """What a file of lower precision is worth, in lines."""
    found = report.get("against_float32")
    if found is None:
        return
    yield f"beside the float32 file: {found['verdict']}"
    if found["agreement"] is not None:
        yield f"  the same label in {found['agreement']:.2%} of the validation part"
    if "missing" in found:
        yield f"  answers are not compared: {found['missing']}"


def _table(outputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The heading and a line for each output, in columns; nothing where there is no output."""
    if not outputs:
        return
    rows = [HEADINGS, *map(_figures, outputs)]
    columns = zip(*rows, strict=True)
    gapped = [max(len(cell) + 2 for cell in column) for column in columns]
    name, *widths = map(max, gapped, WIDTHS)
    statuses = ["", *("" if one["status"] == "passed" else f"  {_coloured(one['status'])}" for one in outputs)]
    for (first, *others), status in zip(rows, statuses, strict=True):
        figures = "".join(cell.rjust(width) for cell, width in zip(others, widths, strict=True))
        yield f"  {first.ljust(name)}{figures}{status}"


def _figures(one: Mapping[str, Any]) -> tuple[str, ...]:
    """One output: largest error, in units of its budget, torch's own too, amplification, share of equal labels."""
    shares = [_share(one[name]) for name in ("over_budget", "torch_over_budget")]
    amplified = f"{one['amplification']:,.0f}" if one["amplification"] < 1e9 else f"{one['amplification']:.2e}"
    labels = "" if one["agreement"] is None else f"{one['agreement']:.0%}"
    return one["name"], f"{one['max_error']:.1e}", *shares, amplified, labels


def _share(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.2e}"


def _place(result: Mapping[str, Any]) -> str:
    """Where the nodes ran, or why none did."""
    if not result["outputs"]:
        return str(result["reason"])
    counts = [f"{count} on {name.removesuffix('ExecutionProvider')}" for name, count in result["nodes"].items()]
    limit = f"up to {result['judged_steps']} steps; " if "judged_steps" in result else ""
    return f"{limit}nodes: {', '.join(counts)}"


def _coloured(status: str) -> str:
    return output.styled(status, fg=COLOURS[status])


def wanted(chosen: Sequence[str], required: Sequence[str]) -> ProviderRequest:
    """The providers to prove on: those chosen and required, or all."""
    from zoo.proof.prove import MODES, ProviderRequest

    asked = tuple(dict.fromkeys((*chosen, *required)))
    return ProviderRequest(asked if chosen else tuple(MODES), asked, tuple(required))
