"""Contract of a dissection: access to the inner values of an exported file, in terms of the model, for `zoo bisect`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

ValueKind = Literal["encoded", "state", "output", "outputs", "pooled", "scores", "named"]
"""Kind of a value of a model, in the order in which a model computes them.

- ``encoded``: the input of the first layer.
- ``state``: one state tensor of one direction of a layer after each step; constant beyond a sequence's length.
- ``output``: the output of one direction of a layer at each step.
- ``outputs``: the output of a layer: all directions concatenated, zero beyond each length.
- ``pooled``: the vector that represents the sequence.
- ``scores``: the output of the head.
- ``named``: an output of the model, identified by its name.
"""


@dataclass(frozen=True)
class ModelValue:
    """A value that a model computes between its input and its outputs."""

    kind: ValueKind
    layer: int = 0
    direction: int = 0
    """Index of the layer's cell, for ``state`` and ``output``: 0, or 1 for the second direction of two."""
    part: int = 0
    """Index of the tensor in the state, for ``state``."""
    name: str = ""
    """Name of the output, for ``named``."""


@dataclass(frozen=True)
class Probe:
    """A value of a model and its location in a file."""

    value: ModelValue
    output: str
    """Name of the output of the copy that gives the value."""
    node: str
    """Name of the node that computes it."""
    operator: str
    time_major: bool = False
    """Whether its shape in the file is (time, batch, …) rather than (batch, …)."""
    slot: int | None = None
    """Index in the second axis, where the file keeps all directions in one tensor: (time, directions, batch, n)."""


@dataclass(frozen=True)
class Difference:
    """A part of a file that differs from the same part of a fresh export of the same model."""

    node: str
    """Name of the node, or of the input, output, weight or other part where it is no node."""
    operator: str
    """Operator of the node; empty for a part that is no node."""
    what: str
    """Description of the difference, on one line."""
    scan: str | None = None
    """Name of the loop over time whose body contains the node; None for a node of the main graph."""
    traced: bool = False
    """Whether a library traced the node from a cell's code, so that another version of it may write other nodes."""


class Dissection(ABC):
    """Access to the inner values of one file: further outputs, nodes between two values, an extracted subgraph."""

    @abstractmethod
    def probes(self, to: Path) -> list[Probe]:
        """Write a copy of the file with further outputs and return the model's value that each of them gives.

        Values that one node computes together, such as the tensors of a state, are listed in the order in which the
        file computes them. Values that an altered file lacks are left out.

        Args:
            to: the path of the copy.
        """

    @abstractmethod
    def differences(self, fresh: Path, bad: Probe, good: Collection[Probe]) -> list[Difference]:
        """Return the nodes between correct values and a wrong one that differ from a fresh export, in execution order.

        Args:
            fresh: a file of the same model, exported with the same options.
            bad: the wrong value.
            good: the correct values; the nodes that lead to them are not compared.
        """

    def wrong_products(self, bad: Probe, good: Collection[Probe]) -> list[Difference]:  # noqa: ARG002  (for subclasses)
        """Return the nodes between correct values and a wrong one whose integer products this machine gets wrong.

        Such a product has one exact result, whatever the file, so a wrong one is due to the CPU's arithmetic. The
        differences state the actual and the exact number. The default, for a format without integer products, is none.

        Args:
            bad: the wrong value.
            good: the correct values.
        """
        return []

    @abstractmethod
    def cut(self, bad: Probe, good: Collection[Probe], values: Mapping[str, NDArray[Any]], to: Path) -> Sequence[str]:
        """Write the nodes between correct values and a wrong one as a file of its own, whose output is the wrong value.

        Args:
            bad: the wrong value.
            good: the correct values.
            values: the arrays of the file's inputs and of the correct values, by the name of their output in the copy.
            to: the path of the file to write.

        Returns:
            The names of the inputs that the new file takes, each a key of ``values``.
        """
