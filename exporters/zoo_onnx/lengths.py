"""The valid steps of each sequence, inside a graph. Nodes are made only for what is asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import onnx_ir as ir

from zoo_onnx.builder import GraphBuilder


class Lengths:
    """The graph's input ``lengths`` and what follows from it.

    Args:
        value: (batch,) int64.
        x: the graph's input (batch, time, …), which has the time to compare with.
    """

    def __init__(self, build: GraphBuilder, value: ir.Value, x: ir.Value) -> None:
        self.build, self.value, self.x = build, value, x

    @cached_property
    def as_int32(self) -> ir.Value:
        """(batch,) int32, as the recurrent operators want it."""
        return self.build.node("Cast", "lengths/int32", [self.value], {"to": int(ir.DataType.INT32)})

    @cached_property
    def as_column(self) -> ir.Value:
        """(batch, 1) float32."""
        build = self.build
        floating = build.node("Cast", "lengths/float", [self.value], {"to": int(ir.DataType.FLOAT)})
        return build.node("Unsqueeze", "lengths/column", [floating, build.integers("lengths/column/axis", 1)])

    @cached_property
    def mask(self) -> ir.Value:
        """(batch, time), true where a step belongs to its sequence."""
        build = self.build
        time = build.node("Shape", "lengths/time", [self.x], {"start": 1, "end": 2})
        count = build.node("Squeeze", "lengths/time/scalar", [time])
        bounds = [build.weight(f"lengths/{name}", np.array(number)) for name, number in (("zero", 0), ("one", 1))]
        steps = build.node("Range", "lengths/steps", [bounds[0], count, bounds[1]])
        column = build.node("Unsqueeze", "lengths/limits", [self.value, build.integers("lengths/limits/axis", 1)])
        return build.node("Less", "lengths/mask", [steps, column])

    @cached_property
    def steps_mask(self) -> ir.Value:
        """(time, batch, 1), true where a step belongs to its sequence."""
        build = self.build
        turned = build.node("Transpose", "lengths/mask/transpose", [self.mask], {"perm": [1, 0]})
        return build.node("Unsqueeze", "lengths/mask/by_step", [turned, build.integers("lengths/mask/by_step/axis", 2)])

    def zero_beyond(self, value: ir.Value, name: str, *, time_major: bool = False) -> ir.Value:
        """(batch, time, n), or time first -> the same, exactly 0 beyond each length."""
        build = self.build
        mask = self.steps_mask
        if not time_major:
            mask = build.node("Unsqueeze", f"{name}/mask", [self.mask, build.integers(f"{name}/mask/axis", 2)])
        return build.node("Where", name, [mask, value, build.weight(f"{name}/zero", np.array(0, np.float32))])

    def lowest_beyond(self, value: ir.Value, name: str) -> ir.Value:
        """(time, batch, n) -> the same, minus infinity beyond each length."""
        lowest = self.build.weight(f"{name}/lowest", np.array(-np.inf, np.float32))
        return self.build.node("Where", name, [self.steps_mask, value, lowest])

    def at_last_step(self, value: ir.Value, name: str) -> ir.Value:
        """(time, batch, n) -> (batch, n), at each sequence's last valid step."""
        build = self.build
        one = build.integers(f"{name}/one", 1)
        last = build.node("Sub", f"{name}/last", [self.value, one])
        index = build.node("Unsqueeze", f"{name}/index", [last, one])
        turned = build.node("Transpose", f"{name}/transpose", [value], {"perm": [1, 0, 2]})
        return build.node("GatherND", name, [turned, index], {"batch_dims": 1})
