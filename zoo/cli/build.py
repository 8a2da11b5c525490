"""``zoo build``: train the model that a spec describes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import output
from zoo.cli.out import OutPath

if TYPE_CHECKING:
    import torch

    from zoo.jobs.build import Plan
    from zoo.library.progress import Silence
    from zoo.run.run import Run

_PARTS = {"train": "training", "validation": "validation", "test": "the test"}


@click.command("build")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override one field of the spec. Repeatable.")
@click.option("--out", type=OutPath(), help="Folder of the run. Default: runs/NAME.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …; auto takes a GPU if present.")
@click.option("--resume", is_flag=True, help="Resume the newest run of this name from its checkpoint.")
@click.option("--dry-run", is_flag=True, help="Validate spec and data and show the model; do not train.")
@output.common_options
def command(
    spec: Path, overrides: tuple[str, ...], out: Path | None, device: str, resume: bool, dry_run: bool, as_json: bool
) -> None:
    """Train the model that SPEC describes, evaluate it, and save the run.

    SPEC is a YAML file, or the name of a starter spec, such as bilstm: 'zoo list' lists them, 'zoo init' copies them.
    The run is saved in runs/NAME, or in runs/NAME-2 and so on if that exists. Under torchrun, training is
    data-parallel.
    """
    from zoo.jobs.build import describe
    from zoo.library.activity import screen
    from zoo.library.build import plan_of, train, warnings_of
    from zoo.library.progress import watch
    from zoo.progress import reporting_to
    from zoo.run.start import origin_sentences
    from zoo.spec.starter import resolve

    registry = output.usable_plugins()
    file = resolve(spec)
    if file != spec:
        output.note(f"{spec}: the starter spec {file}")
    with output.spinner("data") as progress, reporting_to(progress):
        plan = plan_of(file, overrides, registry, resume=resume)
    if plan.dataset.cache:
        output.note(f"the data are mapped into memory from {plan.dataset.cache}")
    for warning in warnings_of(plan):
        output.warn(warning)
    for sentence in origin_sentences(plan.start, plan.frozen, plan.vectors):
        output.note(sentence)
    if dry_run:
        description = describe(plan)
        if as_json:
            output.emit({"spec": plan.spec.to_dict(), **description})
        else:
            click.echo(plan.spec.to_yaml(), nl=False)
            _show_description(description)
        return

    def listener(run: Run, target: torch.device) -> Silence:
        for line in _data_lines(plan.dataset.description, plan.sizes):
            click.echo(line, err=True)
        click.echo(f"{run.path}: {plan.model.parameter_count:,} parameters, {target.type}", err=True)
        return watch(screen(), plan.spec.training.epochs, plan.steps, plan.metric)

    run, result = train(plan, registry, out, device, resume=resume, listener=listener, warn=output.warn)
    if not result:  # another process of the group writes the run
        return
    if as_json:
        output.emit({"run": str(run.path), **result})
        return
    _show_result(run.path, plan, result)


def _show_result(run: Path, plan: Plan, result: Mapping[str, Any]) -> None:
    test = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in result["test"].items())
    naive = "".join(
        f"; naive {name}: {plan.reported.replace('_', ' ')} {metrics[plan.reported]:.4g}"
        for name, metrics in result["baselines"].items()
    )
    click.echo(f"{run}: test {test} (epoch {result['best_epoch']}, {result['training_seconds']:.1f} s){naive}")
    click.echo(f"next: zoo export --onnx {shlex.quote(str(run))}", err=True)


def _show_description(description: dict[str, Any]) -> None:
    click.echo(f"\n# {description['parameters']:,} parameters")
    for part, shape in description["shapes"].items():
        click.echo(f"# {part:<16}{shape}")
    for line in _data_lines(description["data"], description["sizes"]):
        click.echo(f"# {line}")


def _data_lines(description: str, sizes: Mapping[str, int]) -> list[str]:
    """Return what was read and the size of each part, in lines."""
    counts = ", ".join(f"{count:,} for {_PARTS[part]}" for part, count in sizes.items())
    return wrap(f"{description} Sequences: {counts}.", 100)
