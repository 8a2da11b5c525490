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
    from zoo.jobs.build import Plan


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
    import torch

    from zoo.cli.progress import Silence, watch
    from zoo.jobs.build import build, choose_run, describe, pick_device, prepare
    from zoo.run.model_card import repeated_sentence
    from zoo.spec.faults import located
    from zoo.spec.spec import SpecReader, load_document
    from zoo.spec.starter import resolve
    from zoo.training.distributed import process_group
    from zoo.training.threads import threads_for

    registry = output.usable_plugins()
    reader = SpecReader.of(registry)
    file = resolve(spec)
    if file != spec:
        output.note(f"{spec}: the starter spec {file}")
    document = load_document(file, overrides)
    resolved = reader.validate(document)
    with located(document):
        plan = prepare(resolved, registry)
    if any(plan.dataset.repeated.values()):
        output.warn(f"{repeated_sentence(plan.dataset.repeated, plan.sizes)}: a model may have memorised them")
    if dry_run:
        description = describe(plan)
        if as_json:
            output.emit({"spec": resolved.to_dict(), **description})
        else:
            click.echo(resolved.to_yaml(), nl=False)
            _show_description(description)
        return
    if threads := threads_for(plan.model, resolved.training.batch_size):
        torch.set_num_threads(threads)
    with process_group() as group:
        target = pick_device(device)
        # One process alone reads the disk: the others could find the folder that it has just created.
        run = group.from_leader(lambda: choose_run(resolved, out, resume))
        listener = Silence()
        if group.leads:
            listener = watch(output.console(), resolved.training.epochs, plan.steps, plan.metric)
            click.echo(f"{run.path}: {plan.model.parameter_count:,} parameters, {target.type}", err=True)
        with listener:
            result = build(plan, run, registry, target, group, listener, output.warn)
        if not group.leads:
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
    for line in wrap(description["data"], 100):
        click.echo(f"# {line}")
