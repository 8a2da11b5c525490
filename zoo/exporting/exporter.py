"""Contract of an exporter: how a model becomes a file of some format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from zoo.errors import ExportError
from zoo.exporting.dissection import Difference, Dissection
from zoo.exporting.module import ModuleSignature
from zoo.nn.model import Model


@dataclass(frozen=True)
class GraphSummary:
    """Description of an exported file, as `zoo inspect` shows it."""

    facts: dict[str, str]
    """Format, versions, size and the like, in the order in which to show them."""
    inputs: dict[str, str]
    """Type and shape of each input, by name."""
    outputs: dict[str, str]
    """Type and shape of each output, by name."""
    nodes: list[tuple[str, str, str]]
    """Name, operator and a note of each node, in execution order; the note may be empty."""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PredictedNode:
    """A node of a file and the provider that is predicted to run it when a provider other than the CPU is requested."""

    name: str
    operator: str
    provider: Literal["cuda", "cpu", "refused", "unknown"]
    """Predicted provider. Refused: no session can be created from the file there. Unknown: not measured."""
    reason: str = ""
    """Reason why it is not the requested provider."""
    source: str = ""
    """Web address of the source of that reason."""
    loop: str = ""
    """Name of the node whose body contains it; empty for a node of the main graph."""


Precision = Literal["float32", "float16", "bfloat16", "int8"]
"""Format of the weights of products in a file.

States are float32 in any of them, and so is all arithmetic but the products of int8.
"""
SHORT: Mapping[Precision, str] = {"float16": "fp16", "bfloat16": "bf16", "int8": "int8"}
"""Short name of each lower precision, in commands and in the names of files."""

Lowering = Literal["auto", "native", "scan", "unrolled"]
"""How a layer becomes part of a graph.

- ``native``: one operator that equals the cell over time, such as LSTM. Only cells that name an operator have it.
- ``scan``: the cell's own step as the body of a loop over time. Any cell has it.
- ``unrolled``: the cell's own step once for every step of a fixed number of steps.
- ``auto``: the fastest lowering that a cell has, as measured; see exporters/README.md.
"""


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export."""

    opset: int | None = None
    """Version of the format's operators; None for the exporter's default."""
    lowering: Lowering = "auto"
    target: Literal["cpu", "cuda"] = "cpu"
    """Provider that ``auto`` optimises for. The file runs on any."""
    steps: int | None = None
    """Exact number of steps that an unrolled graph takes; None with any other lowering."""
    states: bool = False
    """Whether the initial states are inputs and the final states outputs, named as in `zoo.Model.state_parts`."""
    streaming: bool = False
    """Whether the graph takes sequences in chunks, with the states as inputs and outputs.

    All sequences of a chunk have its length. The model must be forward only, and score every step or the last one.
    """
    precision: Precision = "float32"


class Exporter(ABC):
    """Writer and reader of one file format."""

    name: ClassVar[str]
    """Option of ``zoo export``, ``--NAME``; also the name of the run's folder that contains the file."""
    suffix: ClassVar[str]
    """File suffix, with its dot."""

    @abstractmethod
    def export(self, model: Model, path: Path, metadata: Mapping[str, str], options: ExportOptions) -> None:
        """Write a model to a file and check that the file is valid in its format.

        Args:
            model: float32, on the CPU, in inference mode.
            path: the file to write; its folder exists.
            metadata: the metadata to store in the file, text by name.
            options: lowering, precision and the like.

        Raises:
            ExportError: if a part of the model cannot be expressed (the message names it and the reason), or if a
                lower precision saves nothing.
            UsageError: if the options request something that the format lacks, such as an unknown opset.
        """

    def export_module(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        path: Path,
        metadata: Mapping[str, str],
        options: ExportOptions,
        fixed: Mapping[str, Collection[int]] | None = None,
    ) -> ModuleSignature:
        """Write any module to a file and check that the file is valid in its format; the default raises.

        Args:
            module: in inference mode.
            args: example arguments of its ``forward``; their sizes are no limits, but a size of 0 or 1 stays as it is.
            path: the file to write; its folder exists.
            metadata: the metadata to store in the file, text by name.
            options: opset, lowering and target; the other options are for models.
            fixed: axes that keep the size of the example, by the name of the argument.

        Returns:
            The names, dtypes and shapes of the file's inputs and outputs.

        Raises:
            ExportError: if a part of the module cannot be expressed; the message names the line and a remedy.
            UsageError: if the arguments or options do not fit.
        """
        del args, metadata, options, fixed  # for subclasses
        raise ExportError(f"{path}: the exporter {self.name!r} cannot export the module {type(module).__name__}")

    @abstractmethod
    def annotate(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Add metadata to a file that `export` wrote.

        Args:
            path: the file to change.
            metadata: text by name.
        """

    @abstractmethod
    def faults(self, path: Path) -> list[str]:
        """Return the faults of a file as a file, one line each; none for a file as `export` wrote it.

        Args:
            path: the file to check.
        """

    @abstractmethod
    def inspect(self, path: Path) -> GraphSummary:
        """Return a description of a file.

        Args:
            path: the file to describe.
        """

    def dissect(self, path: Path) -> Dissection:
        """Open a file for `zoo bisect`; the default raises, since an exporter need not support it.

        Args:
            path: the file to open.

        Raises:
            ExportError: if the exporter does not support it.
        """
        raise ExportError(f"{path}: the exporter {self.name!r} has no dissect(), so zoo bisect cannot open its files")

    def placement(self, path: Path) -> list[PredictedNode]:  # noqa: ARG002  (for subclasses)
        """Predict where each node of a file would run on CUDA, without a GPU; the default, no prediction, is empty.

        Args:
            path: the file to predict for.
        """
        return []

    def differences(self, path: Path, fresh: Path) -> list[Difference] | None:  # noqa: ARG002  (for subclasses)
        """Return everything in which a file differs from a fresh export, metadata aside; empty where nothing does.

        Names that a library makes up, inside traced steps, and the order of nodes are no differences. Everything else
        is: operators, attributes, wiring, declared types and shapes, inputs, outputs, every bit of the weights.

        Args:
            path: the file to compare.
            fresh: a file of the same model that was exported just now with the same options.

        Returns:
            The differences; None where the exporter cannot compare files, which is the default.
        """
        return None
