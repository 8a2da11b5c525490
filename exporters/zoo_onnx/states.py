"""The states of the layers as inputs and outputs of a graph that is fed chunk by chunk."""

from __future__ import annotations

import json
from typing import Any

import onnx_ir as ir

from zoo_onnx.builder import GraphBuilder

FLOAT = ir.TensorType(ir.DataType.FLOAT)
KEY = "states"
"""The entry of the metadata that tells what a caller has to carry from chunk to chunk."""


class States:
    """What comes in before a chunk and goes out after it, by layer and part: ``state_0_h``, ``next_state_0_h``, …

    The names of the parts are those of the operators' specification. Outside they are (batch, n); the operators want
    the directions first.
    """

    def __init__(self, build: GraphBuilder) -> None:
        self.build = build
        self.inputs: list[ir.Value] = []
        self.outputs: list[ir.Value] = []
        self._contract: list[dict[str, Any]] = []

    def enter(self, layer: int, part: str, size: int) -> ir.Value:
        """The state before the chunk, (1, batch, n)."""
        name = f"state_{layer}_{part}"
        value = ir.Value(name=name, type=FLOAT, shape=ir.Shape(["batch", size]))
        self.inputs.append(value)
        names = {"input": name, "output": f"next_{name}"}
        self._contract.append({**names, "shape": ["batch", size], "dtype": "float32", "initial": 0})
        axis = self.build.integers(f"{name}/axis", 0)
        return self.build.node("Unsqueeze", f"{name}/with_direction", [value, axis])

    def leave(self, layer: int, part: str, size: int, final: ir.Value) -> None:
        """The state after the chunk, given as (1, batch, n)."""
        name = f"next_state_{layer}_{part}"
        axis = self.build.integers(f"{name}/axis", 0)
        value = self.build.node("Squeeze", f"{name}/without_direction", [final, axis], output=name)
        value.type, value.shape = FLOAT, ir.Shape(["batch", size])
        self.outputs.append(value)

    @property
    def contract(self) -> str:
        """For the metadata: what to carry over, as JSON."""
        return json.dumps(self._contract)
