"""One recurrent layer and its place in the graph: what every lowering of it is given."""

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
    """One layer in the graph."""

    build: GraphBuilder
    index: int
    layer: zoo.Layer
    x: ir.Value
    """(time, batch, features)"""
    lengths: Lengths | None
    states: States
    wants: Literal["outputs", "last"]
    """What the graph goes on with: the outputs of all steps, (time, batch, features of all directions side by side), or
    what each direction gives at the last step that it reads, (batch, the same)."""

    @property
    def name(self) -> str:
        """Before the names of its nodes."""
        return f"layer_{self.index}/{self.layer.directed_cells[0].name}"

    @property
    def result_name(self) -> str:
        """Of what the graph goes on with."""
        return "pooling/last" if self.wants == "last" else f"layer_{self.index}/outputs"

    @property
    def directions(self) -> list[tuple[zoo.Cell, bool, str]]:
        """For each direction its cell, whether it reads from the end, and what stands before its nodes."""
        cells = self.layer.directed_cells
        if len(cells) == 2:
            return [(cells[0], False, f"{self.name}/forward"), (cells[1], True, f"{self.name}/reverse")]
        return [(cells[0], self.layer.direction == "reverse", self.name)]

    def side_by_side(self, values: list[ir.Value]) -> ir.Value:
        """What the directions give, in one."""
        if len(values) == 1:
            return values[0]
        return self.build.node("Concat", self.result_name, values, {"axis": -1})
