"""The contract of an exporter: how a model becomes a file of some format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from zoo.model import Model


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


class Exporter(ABC):
    """Writes a model in one format."""

    name: ClassVar[str]
    """``zoo export --NAME``; also the folder of the run that holds the file."""
    suffix: ClassVar[str]
    """The file's ending, with its dot."""

    @abstractmethod
    def export(
        self, model: Model, path: Path, metadata: Mapping[str, str], opset: int | None, *, streaming: bool = False
    ) -> None:
        """Write ``model`` to ``path`` and check the file for what the format demands.

        Args:
            model: float32, on the CPU, in the mode of inference.
            path: the file to write; its folder exists.
            metadata: what the file is to say of itself, text by name.
            opset: the version of the format's operators; None for the exporter's own choice.
            streaming: write what takes a chunk and gives its answers, with the layers' states going in and out; the
                model then runs forward only, and scores every step or the last one.

        Raises:
            ExportError: naming the part that cannot be expressed and why.
            UsageError: where there is no such ``opset``.
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
