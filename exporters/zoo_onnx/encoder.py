"""Lowering of the encoder: from the user's numbers or tokens to the feature vectors of the first layer."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

import zoo
from zoo_onnx.builder import EXACT, GraphBuilder, unsupported

SUPPORTED = "a zoo.Normaliser, Embedding, OneHot or TableEncoder"


def encoder_input(encoder: nn.Module, steps: int | None) -> ir.Value:
    """Return the graph's input ``x``, (batch, time, features) or (batch, time); steps are free if None."""
    time = steps or "time"
    if isinstance(encoder, zoo.Normaliser | zoo.TableEncoder):
        features = encoder.features if isinstance(encoder, zoo.TableEncoder) else encoder.output_size
        shape = ir.Shape(["batch", time, features])
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
    if isinstance(encoder, zoo.Embedding | zoo.OneHot):
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["batch", time]))
    raise unsupported("encoder", encoder, SUPPORTED)


class Encoding:
    """The encoder in the graph: its feature vectors, and the groups of the sequences.

    Args:
        build: builder of the graph.
        encoder: the model's encoder.
        x: the graph's input, numbers (batch, time, raw features) or tokens (batch, time).
    """

    def __init__(
        self,
        build: GraphBuilder,
        encoder: zoo.Normaliser | zoo.Embedding | zoo.OneHot | zoo.TableEncoder,
        x: ir.Value,
    ) -> None:
        self.build, self.encoder, self.x = build, encoder, x

    def vectors(self) -> ir.Value:
        """Add the nodes of the encoder and return the feature vectors, (batch, time, features)."""
        if isinstance(self.encoder, zoo.TableEncoder):
            return self._of_a_table(self.encoder)
        if isinstance(self.encoder, zoo.Normaliser):
            return _normalised(self.build, self.encoder, self.x, None)
        return _looked_up(self.build, self.encoder, self.x, "encoder")

    def _of_a_table(self, encoder: zoo.TableEncoder) -> ir.Value:
        """Return the scaled numbers, followed by the vector of each category."""
        build, parts = self.build, []
        if encoder.numbers is not None:
            numbers = _columns(build, self.x, encoder.number_places, "encoder/numbers")
            group = self.groups if encoder.numbers.grouped else None
            parts.append(_normalised(build, encoder.numbers, numbers, group))
        for number, (vector, feature) in enumerate(zip(encoder.vectors, encoder.category_places.tolist(), strict=True)):
            name, place = (
                f"encoder/feature_{feature}",
                build.weight(f"encoder/feature_{feature}/place", np.array(number)),
            )
            ids = build.node("Gather", f"{name}/ids", [self._ids, place], {"axis": 2})
            assert isinstance(vector, zoo.Embedding | zoo.OneHot)
            parts.append(_looked_up(build, vector, ids, name))
        return parts[0] if len(parts) == 1 else build.node("Concat", "encoder/vectors", parts, {"axis": -1})

    @cached_property
    def _ids(self) -> ir.Value:
        """Ids of all categories, (batch, time, categories) int64; all but whole numbers from 0 are a runtime error.

        A Gather counts negative indices from the end, and a Cast truncates, so such numbers are mapped to the largest
        integer.
        """
        assert isinstance(self.encoder, zoo.TableEncoder)
        build, integer = self.build, {"to": int(ir.DataType.INT64)}
        given = _columns(build, self.x, self.encoder.category_places, "encoder/categories")
        positive = build.node("Abs", "encoder/categories/positive", [given])
        whole = build.node("Cast", "encoder/categories/whole", [positive], integer)
        again = build.node("Cast", "encoder/categories/again", [whole], {"to": int(ir.DataType.FLOAT)})
        valid = build.node("Equal", "encoder/categories/valid", [again, given])
        nowhere = build.weight("encoder/categories/nowhere", np.array(np.iinfo(np.int64).max))
        return build.node("Where", "encoder/categories/ids", [valid, whole, nowhere])

    @cached_property
    def groups(self) -> ir.Value:
        """Id of the group of each sequence, (batch, 1) int64, that of its first step."""
        assert isinstance(self.encoder, zoo.TableEncoder)
        assert self.encoder.group is not None
        place = self.encoder.category_places.tolist().index(self.encoder.group)
        build = self.build
        ids = build.node("Gather", "group/ids", [self._ids, build.weight("group/place", np.array(place))], {"axis": 2})
        return build.node("Gather", "group/first", [ids, build.integers("group/step", 0)], {"axis": 1})


def by_group(build: GraphBuilder, table: torch.Tensor, group: ir.Value | None, name: str) -> ir.Value:
    """Return a vector (n,), or the rows of a table (groups + 1, n) for ``group``, (batch,) or (batch, 1)."""
    if group is None:
        return build.weight(name, table.numpy())
    return build.node("Gather", f"{name}/of_group", [build.weight(name, table.numpy(), EXACT), group])


def _normalised(build: GraphBuilder, encoder: zoo.Normaliser, x: ir.Value, group: ir.Value | None) -> ir.Value:
    """Return numbers (batch, time, n) less their mean, divided by their standard deviation."""
    mean, std = (
        by_group(build, table, group, f"encoder/{name}")
        for name, table in (("mean", encoder.mean), ("std", encoder.std))
    )
    return build.node("Div", "encoder/divide_by_std", [build.node("Sub", "encoder/subtract_mean", [x, mean]), std])


def _looked_up(build: GraphBuilder, encoder: zoo.Embedding | zoo.OneHot, ids: ir.Value, name: str) -> ir.Value:
    """Return the vectors of ids (batch, time), (batch, time, n)."""
    if isinstance(encoder, zoo.Embedding):
        table = encoder.table.weight.detach().numpy()
        return build.node("Gather", f"{name}/embedding", [build.weight(f"{name}/table", table), ids])
    # Gather in the unit matrix, since ONNX's OneHot accepts a token that is out of range.
    return build.node("Gather", f"{name}/one_hot", [build.weight(f"{name}/table", encoder.table.numpy()), ids])


def _columns(build: GraphBuilder, x: ir.Value, places: torch.Tensor, name: str) -> ir.Value:
    """Return some of the features of x, (batch, time, n)."""
    return build.node("Gather", name, [x, build.weight(f"{name}/places", places.numpy())], {"axis": 2})
