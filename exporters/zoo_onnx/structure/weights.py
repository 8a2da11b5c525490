"""Comparison of the initialisers of two files: by bits, or within a unit in the last place of what torch computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, TensorProto, numpy_helper

from zoo_onnx.piece import COMPUTED
from zoo_onnx.structure.form import Digest, tensor_digest
from zoo_onnx.structure.nodes import FRESH, number_difference

UNITS = 1
"""Units in the last place by which a weight may differ that was computed in float64 and rounded once: another machine
may sum in another order, which moves the float64 result by far less than a unit of float32, but across the middle
between two numbers of float32."""


def weight_digests(file: GraphProto, fresh: GraphProto) -> tuple[dict[str, Digest], dict[str, Digest]]:
    """Return the hash of each initialiser of a file and of a fresh export, by name.

    A weight of the file that is within `UNITS` of a computed weight of the fresh export gets the hash of that one. The
    fresh export decides which weights are computed, never the file.
    """
    actual, expected = ({tensor.name: tensor_digest(tensor) for tensor in graph.initializer} for graph in (file, fresh))
    missing = set(expected.values()) - set(actual.values())
    computed = [t for t in fresh.initializer if t.doc_string == COMPUTED and expected[t.name] in missing]
    for tensor in computed:
        for other in file.initializer:
            if actual[other.name] not in expected.values() and _is_close(other, tensor):
                actual[other.name] = expected[tensor.name]
    return actual, expected


def _is_close(tensor: TensorProto, fresh: TensorProto) -> bool:
    if (tensor.data_type, tuple(tensor.dims)) != (fresh.data_type, tuple(fresh.dims)):
        return False
    return units_apart(numpy_helper.to_array(tensor), numpy_helper.to_array(fresh)) <= UNITS


def units_apart(array: NDArray[Any], other: NDArray[Any]) -> int:
    """Return the largest distance of two arrays of one type and shape, in units in the last place; of integers in 1."""
    first, second = _ordered(array), _ordered(other)
    return int(np.abs(first - second).max(initial=0))


def _ordered(array: NDArray[Any]) -> NDArray[np.int64]:
    """Return integers in the order of the numbers, neighbouring for neighbouring numbers; 0 and -0 are both 0."""
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    bits = array.view(f"i{array.dtype.itemsize}").astype(np.int64)
    least: int = -(2 ** (8 * array.dtype.itemsize - 1))
    return np.where(bits < 0, least - bits, bits)


def weight_differences(
    file: GraphProto,
    fresh: GraphProto,
    digests: tuple[Mapping[str, Digest], Mapping[str, Digest]],
    made_up: Callable[[str], bool],
) -> Iterator[tuple[TensorProto, str]]:
    """Yield each initialiser that differs, and how.

    Initialisers of one name are compared with each other. Those that are in one file alone differ unless the other file
    has one with the same content.

    Args:
        file: the main graph of the file.
        fresh: that of the fresh export.
        digests: the hash of each initialiser of both, by name; see `weight_digests`.
        made_up: decides whether a library made a name up, so that nothing follows from an equal name.
    """
    actual, expected = digests
    tensors = {tensor.name: tensor for tensor in fresh.initializer}
    paired = {name for name in actual.keys() & expected.keys() if not made_up(name)}
    for tensor in file.initializer:
        if tensor.name in paired and actual[tensor.name] != expected[tensor.name]:
            yield tensor, _difference(tensor, tensors[tensor.name])
    alone = Counter(actual[tensor.name] for tensor in file.initializer if tensor.name not in paired)
    fresh_alone = Counter(expected[tensor.name] for tensor in fresh.initializer if tensor.name not in paired)
    for graph, digest_of, surplus, what in (
        (file, actual, alone - fresh_alone, "is not in a fresh export"),
        (fresh, expected, fresh_alone - alone, f"is missing, {FRESH} it"),
    ):
        for tensor in graph.initializer:
            if tensor.name not in paired and surplus[digest_of[tensor.name]] > 0:
                surplus[digest_of[tensor.name]] -= 1
                yield tensor, what


def _difference(tensor: TensorProto, fresh: TensorProto) -> str:
    """Return the difference of two tensors with different hashes."""
    what = number_difference("", numpy_helper.to_array(tensor), numpy_helper.to_array(fresh)).lstrip()
    return what or "differs in bits that compare as equal: the sign of a zero, or those of a NaN"
