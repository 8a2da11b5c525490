"""Export and proof of a module of the user's own code, for ``zoo export`` and ``zoo check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.cli import output
from zoo.cli.out import OutPath
from zoo.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from zoo.exporting.exporter import Exporter, ExportOptions
    from zoo.proof.cases import Extent
    from zoo.proof.prove import ProviderRequest

_example_option = click.option(
    "--example",
    "examples",
    multiple=True,
    type=click.Path(path_type=Path),
    help="For a module: .npz file with an array for each argument of forward, or .npy file. Repeatable.",
)
_weights_option = click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="For a module: file with its state_dict(), .safetensors or .pt. Default: the weights that it is made with.",
)
_out_option = click.option(
    "--out",
    type=OutPath(dir_okay=False),
    help="For a module: file to write. Default: its name with the format's suffix, here.",
)
_fixed_option = click.option(
    "--fixed",
    multiple=True,
    metavar="ARGUMENT:AXIS",
    help="For a module: axis that keeps the size of the example, such as x:1. Repeatable.",
)


def source_options(function: output.F) -> output.F:
    """Add the options that give a module its weights and examples."""
    return _example_option(_weights_option(function))


def export_options(function: output.F) -> output.F:
    """Add the options of the export of a module."""
    return source_options(_out_option(_fixed_option(function)))


FOR_A_RUN = "is for a run; a module of your own code has the inputs and outputs of its forward; leave it out"
FOR_A_MODULE = "is for a module of your own code, such as models:make_model; name the module, or leave it out"


@dataclass(frozen=True)
class Source:
    """A module of the user's own code as the command line gives it."""

    reference: str
    weights: Path | None
    examples: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The last name of the reference."""
        return self.reference.rpartition(":")[2].rpartition(".")[2]

    def require_example(self) -> None:
        """Raise a `UsageError` without an example."""
        if not self.examples:
            raise UsageError(
                f"{self.reference}: a module needs --example FILE: a .npz file with an array for each argument of "
                "forward, as numpy.savez(FILE, x=..., lengths=...) writes it"
            )


def refuse(options: Sequence[str], reason: str) -> None:
    """Raise a `UsageError` if an option was given that another choice excludes.

    Args:
        options: flags, such as ``--states``.
        reason: what the options are for, and what to do.
    """
    context = click.get_current_context()
    names = {parameter.opts[0]: str(parameter.name) for parameter in context.command.params}
    for option in options:
        if context.get_parameter_source(names[option]) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{option}: {reason}")


def export_module(
    source: Source,
    exporter: Exporter,
    out: Path | None,
    fixed: Sequence[str],
    options: ExportOptions,
    wanted: ProviderRequest,
    extent: Extent,
) -> tuple[Path, dict[str, Any]]:
    """Export a module of the user's own code and prove the file.

    Returns:
        The path of the file and the report of its proof.
    """
    from zoo.cli.module_reference import user_code
    from zoo.jobs import module as job

    source.require_example()
    if options.lowering == "unrolled":
        raise UsageError("--lowering unrolled: is for a run; a module has free steps; choose auto, native or scan")
    axes = _axes(fixed)
    path = out or Path(source.name + exporter.suffix)
    if path.suffix != exporter.suffix:
        raise UsageError(f"--out {path}: expected a name that ends in {exporter.suffix}")
    job.require_replaceable(path)
    with user_code():
        module, examples = _load(source, proof_alone=False)
        with output.spinner(f"exporting {source.reference}") as progress:
            return job.export_module(module, examples, path, exporter, options, axes, wanted, extent, progress)


def check_module(path: Path, source: Source, wanted: ProviderRequest, extent: Extent) -> dict[str, Any]:
    """Prove a file, of any exporter, against a module of the user's own code; return the report."""
    from zoo.cli.module_reference import user_code
    from zoo.jobs import module as job

    source.require_example()
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; name the file to prove")
    with user_code():
        module, examples = _load(source, proof_alone=True)
        with output.spinner(f"checking {path}") as progress:
            return job.prove_file(module, examples, path, wanted, extent, progress)


def _load(source: Source, *, proof_alone: bool) -> tuple[nn.Module, list[tuple[Any, ...]]]:
    """Return the module with its weights, and the examples of its arguments."""
    import torch

    from zoo.cli.module_reference import load_reference
    from zoo.jobs.example import read_example
    from zoo.run.tensor_file import load_weights

    made = load_reference(source.reference)
    if source.weights is not None:
        load_weights(made.module, source.weights)
    elif made.has_random_weights():
        reason = f"{source.reference}: gives other weights at each call"
        if proof_alone:
            raise UsageError(f"{reason}, so no file can agree with it; give those of the file with --weights")
        output.warn(f"{reason}, and these random ones are exported; give trained ones with --weights")
    examples = [read_example(made.module, path) for path in source.examples]
    wide = any(value.dtype == torch.float64 for example in examples for value in example if torch.is_tensor(value))
    if wide and not any(value.dtype == torch.float64 for value in made.module.state_dict().values()):
        output.warn(
            f"{', '.join(map(str, source.examples))}: has numbers in float64, and the module's weights are not; if "
            "forward does not convert them, save them with astype('float32')"
        )
    return made.module, examples


def _axes(fixed: Sequence[str]) -> Mapping[str, set[int]]:
    """Return the axes that keep their size, by argument."""
    axes: dict[str, set[int]] = {}
    for text in fixed:
        name, _, axis = text.rpartition(":")
        if not name or not axis.isdecimal():
            raise UsageError(f"--fixed {text}: expected ARGUMENT:AXIS with an axis from 0, such as x:1")
        axes.setdefault(name, set()).add(int(axis))
    return axes
