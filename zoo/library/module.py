"""``zoo.export_module`` and ``zoo.prove_module``: any torch.nn.Module, exported and proven."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.exporting.exporter import Exporter, ExportOptions, Lowering
from zoo.jobs import module as work
from zoo.library.activity import activity, screen
from zoo.library.arguments import extent_of, require_choice, wanted_providers
from zoo.library.results import Proof
from zoo.plugins.registry import load_registry
from zoo.proof.cases import Extent
from zoo.proof.prove import ProviderRequest

Args = Tensor | tuple[Any, ...] | list[tuple[Any, ...]]
"""Example arguments of ``forward``: a tuple, a single tensor, or a list of several examples, each a tuple."""


def export_module(
    module: nn.Module,
    args: Args,
    path: str | PathLike[str],
    *,
    fixed: Mapping[str, Collection[int]] | None = None,
    providers: Iterable[str] = (),
    opset: int | None = None,
    lowering: Lowering = "auto",
    seed: int | None = None,
    thorough: bool = False,
    progress: bool = False,
) -> Proof:
    """Export any module with recurrent layers inside, and put the file in place once its proof has passed.

    Batch and time are free: the file takes any number of sequences and steps, not only those of the example.

    Args:
        module: any module in inference mode (``eval()``); it is copied, and not changed.
        args: example arguments of its ``forward``; see `Args`. Inputs of the proof are drawn like them: numbers in
            their range, integers within their range, masks and lengths as such. The first example is traced.
        path: the file to write; its suffix, such as ``.onnx``, chooses the exporter.
        fixed: axes that keep the size of the example, by the name of the argument.
        providers: where to prove, ``cpu`` and ``cuda``; every one that can run here when empty.
        opset: version of the operators; by default the exporter's.
        lowering: ``auto``, ``native`` or ``scan``.
        seed: of the drawn shapes and inputs; by default it follows from the file's content.
        thorough: whether to draw ten times as many shapes.
        progress: whether to show the current step.

    Returns:
        The proof. After a verdict other than ``passed`` its path is in the folder ``rejected`` beside ``path``, and an
        older file at ``path`` stays. The report is beside the file, ``NAME.parity.json``.

    Raises:
        ExportError: a part of the module cannot be expressed; the message names the line and a remedy.
        UsageError: an argument is invalid, or the module is in training mode, random, or has side effects; or a file
            that is no intact export of a module would be replaced.
        ProviderUnavailable: none of the providers can run here.
        PluginError: no plugin writes files of this suffix.
        RunError: the file cannot be written, or was changed during its proof.
    """
    path = Path(path)
    registry = load_registry()
    require_choice("lowering", lowering, get_args(Lowering))
    wanted, extent = _asked(providers, seed, thorough)
    exporter: Exporter = work.exporter_of(path, registry)
    options = ExportOptions(opset=opset, lowering=lowering)
    with activity(screen() if progress else None) as report:
        placed, content = work.export_module(
            module, _examples(args), path, exporter, options, fixed or {}, wanted, extent, report
        )
    return Proof(placed, content["verdict"], content)


def prove_module(
    module: nn.Module,
    path: str | PathLike[str],
    args: Args,
    *,
    providers: Iterable[str] = (),
    seed: int | None = None,
    thorough: bool = False,
    progress: bool = False,
) -> Proof:
    """Prove that a file computes what a module computes, whichever exporter wrote it; nothing is written.

    Args:
        module: any module in inference mode (``eval()``); it is copied, and not changed.
        path: an ONNX file whose inputs are the tensors of ``args`` in the order of ``forward``.
        args: example arguments of its ``forward``; see `export_module`.
        providers: where to prove, ``cpu`` and ``cuda``; every one that can run here when empty.
        seed: of the drawn shapes and inputs; by default it follows from the file's content.
        thorough: whether to draw ten times as many shapes.
        progress: whether to show the current step.

    Returns:
        The proof. Shapes between those tried are not covered.

    Raises:
        UsageError: an argument is invalid, or the module is in training mode, random, or has side effects.
        ProviderUnavailable: none of the providers can run here.
        RunError: the file cannot be read.
    """
    wanted, extent = _asked(providers, seed, thorough)
    with activity(screen() if progress else None) as report:
        content = work.prove_file(module, _examples(args), Path(path), wanted, extent, report)
    return Proof(Path(path), content["verdict"], content)


def _examples(args: Args) -> list[tuple[Any, ...]]:
    """Return the examples, each a tuple of arguments."""
    if isinstance(args, Tensor):
        return [(args,)]
    if isinstance(args, tuple):
        return [args]
    if isinstance(args, list) and args and all(isinstance(each, tuple) for each in args):
        return args
    raise UsageError(f"args: expected a tuple of arguments, a tensor or a list of tuples, got a {type(args).__name__}")


def _asked(providers: Iterable[str], seed: int | None, thorough: bool) -> tuple[ProviderRequest, Extent]:
    """Return the providers to prove on, of which those that are chosen must run, and how many inputs to draw."""
    chosen = tuple(providers)
    return wanted_providers(chosen, chosen), extent_of(seed, thorough)
