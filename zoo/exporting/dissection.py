"""What `zoo bisect` asks of an exporter: to see inside a file that it wrote, in the words of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

ValueKind = Literal["encoded", "state", "output", "outputs", "pooled", "scores", "named"]
"""Which value of a model, in the order in which a model makes them.

- ``encoded``: what the first layer reads.
- ``state``: a part of the state of one direction of a layer after each step, kept where a sequence has ended.
- ``output``: what one direction of a layer gives at each step.
- ``outputs``: what a layer gives to the next one: all directions side by side, zero beyond each length.
- ``pooled``: the vector that stands for the sequence.
- ``scores``: what the head makes of it.
- ``named``: an output of the model, by its name.
"""


@dataclass(frozen=True)
class ModelValue:
    """A value that a model makes on its way from its input to its outputs."""

    kind: ValueKind
    layer: int = 0
    direction: int = 0
    """The layer's cell, for ``state`` and ``output``: 0, or 1 for the second direction of a bidirectional one."""
    part: int = 0
    """The place in the state, for ``state``."""
    name: str = ""
    """For ``named``."""


@dataclass(frozen=True)
class Probe:
    """A value of a model and where a file has it."""

    value: ModelValue
    output: str
    """What gives it, in the copy of the file."""
    node: str
    """The node that makes it."""
    operator: str
    time_major: bool = False
    """(time, batch, …) in the file; else (batch, …)."""
    slot: int | None = None
    """Its place in the second axis, where the file has several directions in one: (time, directions, batch, n)."""


@dataclass(frozen=True)
class Difference:
    """A node that is not as a fresh export of the same model has it."""

    node: str
    operator: str
    what: str
    """How it differs, in words, on one line."""
    scan: str | None = None
    """The loop over time in whose body it stands; None for a node of the graph itself."""


class Dissection(ABC):
    """A file opened up: further outputs, the nodes between two values, and a piece cut out."""

    @abstractmethod
    def probes(self, to: Path) -> list[Probe]:
        """Write a copy with further outputs to ``to`` and say which values of the model they are.

        Values that the file makes in one go, as the parts of a state, come in the order in which it makes them; what a
        faulty file lacks is left out.
        """

    @abstractmethod
    def differences(self, fresh: Path, bad: Probe, good: Collection[Probe]) -> list[Difference]:
        """The nodes on the way from good values to a bad one that a fresh export has otherwise, in order of execution.

        Args:
            fresh: the same model, exported with the same options.
            bad: a value that is wrong.
            good: values that are right, so that what leads to them is no suspect.
        """

    def wrong_products(self, bad: Probe, good: Collection[Probe]) -> list[Difference]:  # noqa: ARG002  (for those who can)
        """The nodes on the way from good values to a bad one whose products in integers this machine gets wrong.

        Such products have one right result whatever the file, so that here it is the CPU's arithmetic that differs,
        and what it gives in place of the exact result. A format without such products has none.
        """
        return []

    @abstractmethod
    def cut(self, bad: Probe, good: Collection[Probe], values: Mapping[str, NDArray[Any]], to: Path) -> Sequence[str]:
        """Write the nodes between good values and a bad one as a file that runs by itself, whose output is the bad one.

        Args:
            values: what the copy gave for each good value, by the name of its output, and the inputs of the file.
            to: the file to write.

        Returns:
            The names of the inputs that it takes, each one of ``values``.
        """
