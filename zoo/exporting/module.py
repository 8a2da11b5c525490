"""What an exported module takes and gives: names, dtypes, and the sizes that are free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TensorSignature:
    """One input or output of an exported module."""

    name: str
    """Name in the file. An input has the name of the argument of ``forward``; its parts are numbered."""
    dtype: str
    """Type of its numbers, as torch and NumPy write it: ``float32``, ``int64``, ``bool``."""
    shape: tuple[int | str, ...]
    """Sizes of the axes. A name stands for a free size; axes of one name always have one size. In an output an
    expression of names, such as ``(time//2)``, may stand for a size."""


@dataclass(frozen=True)
class ModuleSignature:
    """Inputs and outputs of an exported module, in the order of ``forward``."""

    inputs: tuple[TensorSignature, ...]
    """Tensors of the arguments; other arguments are constants of the file."""
    outputs: tuple[TensorSignature, ...]
    """Tensors of the result."""
    ranges: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    """Smallest and largest value of each free size; None for no largest. Smaller values may work too: torch leaves out
    those at which a size inside the module would be 0 or 1."""
    conditions: tuple[str, ...] = ()
    """Equations that must hold for the free sizes, such as ``Eq(Mod(time,2),0)`` where pairs of steps are merged."""
