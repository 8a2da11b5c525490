"""Golden input of an exported file and its exact outputs, which show whether a machine computes the model correctly.

`zoo.proof.golden_oracle` computes them. The file stores the exact outputs and their sensitivity to rounding, not the
outputs of some machine, so that `zoo.parity` judges every machine by the same rule. Needs NumPy only.
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
"""Metadata entry with the format of the weights, a key of `zoo.parity.WEIGHT_FORMATS`; float32 where it is absent."""
_INPUT, _LENGTHS = "golden_input", "golden_lengths"


@dataclass(frozen=True)
class Golden:
    """Golden input and the expected outputs."""

    x: Array
    """(batch, time, features) float32, or (batch, time) tokens int64."""
    lengths: Array | None
    """(batch,) int64; None where the model takes no lengths."""
    expected: Mapping[str, Expected]
    """Expected output by name, at the precision that `golden_precision` gives for the file."""

    def to_metadata(self) -> dict[str, str]:
        """Return metadata entries: the input, and two arrays for each output, each as a ``.npy`` file in base64."""
        arrays = {_INPUT: self.x} | ({} if self.lengths is None else {_LENGTHS: self.lengths})
        for name, output in self.expected.items():
            arrays |= {f"golden_{name}": output.exact, f"golden_{name}_sensitivity": output.sensitivity}
        return {name: _encode(array) for name, array in arrays.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], outputs: Sequence[str]) -> Self:
        """Read the entries that `to_metadata` wrote.

        Args:
            metadata: metadata of a file, text by name.
            outputs: names of the file's outputs except states, which have no golden value.

        Raises:
            ValueError: if an entry is missing or damaged, or the weight format is unknown.
        """
        try:
            precision = golden_precision(metadata.get(PRECISION, "float32"))
            arrays = {
                name: [_decode(metadata[key]) for key in (f"golden_{name}", f"golden_{name}_sensitivity")]
                for name in outputs
            }
            expected = {name: _expected(exact, sensitivity, precision) for name, (exact, sensitivity) in arrays.items()}
            lengths = _decode(metadata[_LENGTHS]) if _LENGTHS in metadata else None
            return cls(_decode(metadata[_INPUT]), lengths, expected)
        except (KeyError, OSError, EOFError, MemoryError) as error:
            raise ValueError(f"{error!r}") from error

    def compare(self, actual: Mapping[str, Array], precision: str) -> Mapping[str, Comparison]:
        """Judge the outputs of a machine for the golden input by the rule of `zoo.parity`.

        The stored sensitivity of a file with float32 weights is that of float32. To first order in the disturbances it
        is proportional to the unit roundoff, so it is scaled to the given precision; tests/proof/test_golden.py
        measures the deviation. The sensitivity of a file with coarser weights is used unscaled.

        Args:
            actual: output by name.
            precision: arithmetic of the run, ``float32`` or ``tf32``.

        Returns:
            The verdict on each output, by name.
        """
        ratio = PRECISIONS[precision].unit_roundoff / PRECISIONS["float32"].unit_roundoff
        expected = {
            name: replace(output, sensitivity=output.sensitivity * ratio, precision=precision)
            if output.precision == "float32"
            else output
            for name, output in self.expected.items()
        }
        return judge(expected, actual)

    def fault(self, actual: Mapping[str, Array], precision: str) -> str | None:
        """Return the name of the first failed output and the reason, or None if no output failed.

        An ill-conditioned output is no fault. The arguments are those of `compare`.
        """
        return first_failure(self.compare(actual, precision))


def first_failure(comparisons: Mapping[str, Comparison]) -> str | None:
    """Return the name of the first failed output and the reason, or None if no output failed."""
    failed = (f"{name}: {output.reason}" for name, output in comparisons.items() if output.status == "failed")
    return next(failed, None)


def golden_precision(weights: str) -> str:
    """Return the precision by which the golden output of a file is judged, a key of `zoo.parity.ALL_PRECISIONS`.

    For weights coarser than float32 the arithmetic is always TF32, the coarser one, also on a provider that computes
    in float32: its contribution on top of the rounding of the weights cannot be obtained by scaling.

    Args:
        weights: format of the weights, float32 or a key of `zoo.parity.WEIGHT_FORMATS`.

    Raises:
        ValueError: if the format is unknown.
    """
    if weights != "float32" and weights not in WEIGHT_FORMATS:
        raise ValueError(f"unknown precision {weights!r}")
    return weights if weights == "float32" else with_weights("tf32", weights)


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
