"""The contract of an exporter: how a model becomes a file of some format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from zoo.errors import ExportError
from zoo.exporting.dissection import Dissection
from zoo.nn.model import Model


@dataclass(frozen=True)
class GraphSummary:
    """An exported file in words."""

    facts: dict[str, str]
    """Format, versions, size and the like, in the order in which to show them."""
    inputs: dict[str, str]
    """Name -> type and shape."""
    outputs: dict[str, str]
    nodes: list[tuple[str, str, str]]
    """(name, operator, what is worth knowing of it), in order of execution."""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PredictedNode:
    """A node of a file, and where it is going to run where a provider other than the CPU is asked for."""

    name: str
    operator: str
    provider: Literal["cuda", "cpu", "refused", "unknown"]
    """Refused: the file does not start there at all. Unknown: nobody has looked."""
    reason: str = ""
    """Why it is not the provider that was asked for."""
    source: str = ""
    """Where that is written, an address."""
    loop: str = ""
    """The node whose body it is in; empty for one of the main graph."""


Precision = Literal["float32", "float16", "bfloat16", "int8"]
"""What a file keeps the weights of its products in. States, and all that is computed but for products in int8, are
float32 in any."""
SHORT: Mapping[Precision, str] = {"float16": "fp16", "bfloat16": "bf16", "int8": "int8"}
"""What the lower precisions are called in commands and in the names of files."""

Lowering = Literal["auto", "native", "scan", "unrolled"]
"""How a layer becomes part of a graph.

- ``native``: one operator that equals the cell over time, such as LSTM. Only cells that name one have it.
- ``scan``: the cell's own step as the body of a loop over time. Any cell has it.
- ``unrolled``: the cell's own step once for every step of a fixed number of steps.
- ``auto``: whichever is the fastest that a cell has, as measured; see exporters/README.md.
"""


@dataclass(frozen=True)
class ExportOptions:
    """What a file is to be like."""

    opset: int | None = None
    """The version of the format's operators; None for the exporter's own choice."""
    lowering: Lowering = "auto"
    target: Literal["cpu", "cuda"] = "cpu"
    """The provider that ``auto`` chooses for. The file runs on any."""
    steps: int | None = None
    """How many steps an unrolled graph takes, no more and no fewer; None with any other lowering."""
    states: bool = False
    """Whether the states before the first step are inputs, and those after the last one outputs, by the names of
    `zoo.Model.state_parts`."""
    streaming: bool = False
    """Whether it takes a chunk and gives its answers, with the states going in and out. All sequences of a chunk have
    its length; the model runs forward only, and scores every step or the last one."""
    precision: Precision = "float32"


class Exporter(ABC):
    """Writes a model in one format."""

    name: ClassVar[str]
    """``zoo export --NAME``; also the folder of the run that holds the file."""
    suffix: ClassVar[str]
    """The file's ending, with its dot."""

    @abstractmethod
    def export(self, model: Model, path: Path, metadata: Mapping[str, str], options: ExportOptions) -> None:
        """Write ``model`` to ``path`` and check the file for what the format demands.

        Args:
            model: float32, on the CPU, in the mode of inference.
            path: the file to write; its folder exists.
            metadata: what the file is to say of itself, text by name.
            options: what the file is to be like.

        Raises:
            ExportError: naming the part that cannot be expressed and why, or that a lower precision saves nothing.
            UsageError: where the options ask for what the format does not have, such as an unknown opset.
        """

    @abstractmethod
    def annotate(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Add metadata to a file that `export` wrote."""

    @abstractmethod
    def faults(self, path: Path) -> list[str]:
        """What is wrong with the file as a file: one line for each fault, none for a file as `export` wrote it."""

    @abstractmethod
    def inspect(self, path: Path) -> GraphSummary:
        """The file in words."""

    def dissect(self, path: Path) -> Dissection:
        """Open up a file for `zoo bisect`. An exporter need not be able to.

        Raises:
            ExportError: where it is not.
        """
        raise ExportError(f"{path}: the exporter {self.name!r} has no dissect(), so its files cannot be looked into")

    def placement(self, path: Path) -> list[PredictedNode]:  # noqa: ARG002  (for those who know)
        """Where each node of a file would run on CUDA, told without a GPU. An exporter need not know: then none."""
        return []
