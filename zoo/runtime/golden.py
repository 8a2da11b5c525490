"""The golden input of an exported file and what it must give for it: whether a machine computes the same. NumPy only.

`zoo.proof.golden_oracle` works it out. What is written is the exact result and its sensitivity to rounding, and not
what some machine gave: so every machine is judged by the rule of `zoo.parity` alone.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from zoo.parity import PRECISIONS, WEIGHT_FORMATS, Array, Comparison, Expected, judge, with_weights

PRECISION = "precision"
"""Metadata entry with the weight format, a key of `zoo.parity.WEIGHT_FORMATS`; float32 where
there is none."""
_INPUT, _LENGTHS = "golden_input", "golden_lengths"


@dataclass(frozen=True)
class Golden:
    """An input, and what each output should be."""

    x: Array
    """(batch, time, features) float32, or (batch, time) tokens int64."""
    lengths: Array | None
    """(batch,) int64, where the model takes lengths."""
    expected: Mapping[str, Expected]
    """By the name of the output: at float32, or for a file of lower precision as `golden_precision` says."""

    def to_metadata(self) -> dict[str, str]:
        """Text for a file's metadata: each array as the base64 of a ``.npy`` file; two an output."""
        arrays = {_INPUT: self.x} | ({} if self.lengths is None else {_LENGTHS: self.lengths})
        for name, one in self.expected.items():
            arrays |= {f"golden_{name}": one.exact, f"golden_{name}_sensitivity": one.sensitivity}
        return {name: _encode(array) for name, array in arrays.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], outputs: Sequence[str]) -> Self:
        """What `to_metadata` gave.

        Args:
            metadata: of a file.
            outputs: the names of the file's outputs; those that are states have no golden value.

        Raises:
            ValueError: where it is missing or damaged.
        """
        try:
            precision = golden_precision(metadata.get(PRECISION, "float32"))
            arrays = {
                name: [_decode(metadata[key]) for key in (f"golden_{name}", f"golden_{name}_sensitivity")]
                for name in outputs
            }
            expected = {name: _expected(exact, moves, precision) for name, (exact, moves) in arrays.items()}
            lengths = _decode(metadata[_LENGTHS]) if _LENGTHS in metadata else None
            return cls(_decode(metadata[_INPUT]), lengths, expected)
        except (KeyError, OSError, EOFError, MemoryError) as error:
            raise ValueError(f"{error!r}") from error

    def compare(self, found: Mapping[str, Array], precision: str) -> Mapping[str, Comparison]:
        """Each output judged; the arguments and the rule are those of `fault`."""
        ratio = PRECISIONS[precision].unit_roundoff / PRECISIONS["float32"].unit_roundoff
        wanted = {
            name: replace(one, sensitivity=one.sensitivity * ratio, precision=precision)
            if one.precision == "float32"
            else one
            for name, one in self.expected.items()
        }
        return judge(wanted, found)

    def fault(self, found: Mapping[str, Array], precision: str) -> str | None:
        """Which output is further from the exact one than a correct program's of a precision may be; None if none is.

        The sensitivity is that of float32. It grows in proportion to the unit roundoff as long as the disturbances are
        small (to first order), which is how that of another precision is had from it; how near that comes is shown in
        tests/proof/test_golden.py. Where the model amplifies noise so much that no verdict is possible, none is given.
        The sensitivity of a file of lower precision is taken as it is.

        Args:
            found: each output by name.
            precision: what the file was run in, ``float32`` or ``tf32``.
        """
        failed = ((name, one) for name, one in self.compare(found, precision).items() if one.status == "failed")
        return next((f"{name}: {one.reason}" for name, one in failed), None)


def golden_precision(kept: str) -> str:
    """The precision at which the golden output of a file is judged whose weights are ``kept`` in something.

    With lower ones it is the coarser arithmetic, TF32, wherever the file runs: what that adds to the roundings of the
    weights cannot be had by scaling.

    Raises:
        ValueError: where that is not known.
    """
    if kept != "float32" and kept not in WEIGHT_FORMATS:
        raise ValueError(f"unknown precision {kept!r}")
    return kept if kept == "float32" else with_weights("tf32", kept)


def _expected(exact: Array, sensitivity: Array, precision: str) -> Expected:
    steps = exact.shape[1] if exact.ndim > 1 else 1
    if exact.dtype != np.float64 or sensitivity.dtype != np.float64 or sensitivity.shape not in ((1,), (steps,)):
        raise ValueError(f"{exact.dtype} {exact.shape} with {sensitivity.dtype} {sensitivity.shape}")
    return Expected(exact, sensitivity, precision)


def _encode(array: Array) -> str:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def _decode(text: str) -> Array:
    array: Array = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
    return array
