"""The valid steps of each sequence, inside a graph. Nodes are made only for what is asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import onnx_ir as ir

from zoo_onnx.builder import GraphBuilder


class Lengths:
    """The graph's input ``lengths`` and what follows from it.

    A length below 1 or above the time ends in an error of the runtime: all that follows is made of `last`, which is
    looked up by an index that is out of range then.

    Args:
        given: (batch,) int64.
        x: the graph's input (batch, time, …), which has the time to compare with.
    """

    def __init__(self, build: GraphBuilder, given: ir.Value, x: ir.Value) -> None:
        self.build, self.given, self.x = build, given, x

    @cached_property
    def _steps(self) -> ir.Value:
        """(time,): 0, 1, …"""
        build = self.build
        time = build.node("Shape", "lengths/time", [self.x], {"start": 1, "end": 2})
        count = build.node("Squeeze", "lengths/time/scalar", [time])
        zero = build.weight("lengths/zero", np.array(0))
        return build.node("Range", "lengths/steps", [zero, count, self._one])

    @cached_property
    def _one(self) -> ir.Value:
        return self.build.weight("lengths/one", np.array(1))

    @cached_property
    def last(self) -> ir.Value:
        """(batch,) int64, the last valid step of each sequence; an error of the runtime for a bad length.

        A Gather takes negative indices for places from the end, so what is below 1 becomes the largest index.
        """
        build = self.build
        below = build.node("Less", "lengths/below_1", [self.given, self._one])
        before = build.node("Sub", "lengths/less_1", [self.given, self._one])
        nowhere = build.weight("lengths/nowhere", np.array(np.iinfo(np.int64).max))
        index = build.node("Where", "lengths/index", [below, nowhere, before])
        return build.node("Gather", "lengths/from_1_to_time", [self._steps, index])

    @cached_property
    def value(self) -> ir.Value:
        """(batch,) int64, each from 1 to the time."""
        return self.build.node("Add", "lengths/checked", [self.last, self._one])

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
        column = build.node("Unsqueeze", "lengths/limits", [self.last, build.integers("lengths/limits/axis", 1)])
        return build.node("LessOrEqual", "lengths/mask", [self._steps, column])

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
        index = build.node("Unsqueeze", f"{name}/index", [self.last, build.integers(f"{name}/index/axis", 1)])
        turned = build.node("Transpose", f"{name}/transpose", [value], {"perm": [1, 0, 2]})
        return build.node("GatherND", name, [turned, index], {"batch_dims": 1})
