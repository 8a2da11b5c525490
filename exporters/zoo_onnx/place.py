"""Argument of every lowering: one recurrent layer, its input, lengths and states in the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths
from zoo_onnx.states import States


@dataclass(frozen=True)
class Place:
    """One layer and its position in the graph."""

    build: GraphBuilder
    index: int
    layer: zoo.Layer
    x: ir.Value
    """Input of the layer, (time, batch, features)."""
    lengths: Lengths | None
    states: States
    wants: Literal["outputs", "last", "states"]
    """Result of the layer: the outputs of all steps, or the output of each direction at the last step that it reads.

    Shapes (time, batch, directions * features) and (batch, directions * features). With ``states`` the final states
    alone are needed, and there is no result.
    """

    @property
    def name(self) -> str:
        """Prefix of the names of the layer's nodes."""
        return f"layer_{self.index}/{self.layer.directed_cells[0].name}"

    @property
    def weights_name(self) -> str:
        """Prefix of the names of the operator's weights."""
        return self.name

    @property
    def result_name(self) -> str:
        """Name of the node that gives the result of the layer."""
        return "pooling/last" if self.wants == "last" else f"layer_{self.index}/outputs"

    @property
    def directions(self) -> list[tuple[zoo.Cell, bool, str]]:
        """Cell, whether it reads from the end, and the prefix of its nodes, for each direction."""
        cells = self.layer.directed_cells
        if len(cells) == 2:
            return [(cells[0], False, f"{self.name}/forward"), (cells[1], True, f"{self.name}/reverse")]
        return [(cells[0], self.layer.direction == "reverse", self.name)]

    def concatenate(self, values: list[ir.Value]) -> ir.Value:
        """Concatenate the results of the directions along the features."""
        if len(values) == 1:
            return values[0]
        return self.build.node("Concat", self.result_name, values, {"axis": -1})
