"""Lengths of the sequences in a graph, and the masks and indices that follow. Nodes are added on first use."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import onnx_ir as ir

from zoo_onnx.builder import GraphBuilder


class Lengths:
    """The graph's input ``lengths`` and the values derived from it.

    A length below 1 or above the number of steps makes ONNX Runtime fail: every derived value depends on `last`, a
    Gather whose index is then out of range.

    Args:
        build: builder of the graph.
        given: the input, (batch,) int64.
        x: the graph's input (batch, time, …), or another value with the time, for the number of steps.
        time_axis: axis of the time in x.
        name: prefix of the names of all nodes.
    """

    def __init__(
        self, build: GraphBuilder, given: ir.Value, x: ir.Value, *, time_axis: int = 1, name: str = "lengths"
    ) -> None:
        self.build, self.given, self.x = build, given, x
        self._time_axis, self.name = time_axis, name

    @cached_property
    def _steps(self) -> ir.Value:
        """Indices 0, 1, … of the steps, (time,) int64."""
        build, axes = self.build, {"start": self._time_axis, "end": self._time_axis + 1}
        time = build.node("Shape", f"{self.name}/time", [self.x], axes)
        count = build.node("Squeeze", f"{self.name}/time/scalar", [time])
        zero = build.weight(f"{self.name}/zero", np.array(0))
        return build.node("Range", f"{self.name}/steps", [zero, count, self._one])

    @cached_property
    def _one(self) -> ir.Value:
        return self.build.weight(f"{self.name}/one", np.array(1))

    @cached_property
    def last(self) -> ir.Value:
        """Index of the last valid step of each sequence, (batch,) int64; a bad length is a runtime error.

        A Gather counts negative indices from the end, so a length below 1 is mapped to the largest integer.
        """
        build = self.build
        below = build.node("Less", f"{self.name}/below_1", [self.given, self._one])
        before = build.node("Sub", f"{self.name}/less_1", [self.given, self._one])
        out_of_range = build.weight(f"{self.name}/nowhere", np.array(np.iinfo(np.int64).max))
        index = build.node("Where", f"{self.name}/index", [below, out_of_range, before])
        return build.node("Gather", f"{self.name}/from_1_to_time", [self._steps, index])

    @cached_property
    def value(self) -> ir.Value:
        """Checked lengths, from 1 to the number of steps, (batch,) int64."""
        return self.build.node("Add", f"{self.name}/checked", [self.last, self._one])

    @cached_property
    def longest(self) -> ir.Value:
        """The largest length, (1,) int64."""
        axis = self.build.integers(f"{self.name}/longest/axis", 0)
        return self.build.node("ReduceMax", f"{self.name}/longest", [self.value, axis], {"keepdims": 1})

    @cached_property
    def as_int32(self) -> ir.Value:
        """Checked lengths in the type that the recurrent operators require, (batch,) int32."""
        return self.build.node("Cast", f"{self.name}/int32", [self.value], {"to": int(ir.DataType.INT32)})

    @cached_property
    def as_column(self) -> ir.Value:
        """Checked lengths, (batch, 1) float32."""
        build = self.build
        floating = build.node("Cast", f"{self.name}/float", [self.value], {"to": int(ir.DataType.FLOAT)})
        return build.node("Unsqueeze", f"{self.name}/column", [floating, build.integers(f"{self.name}/column/axis", 1)])

    @cached_property
    def mask(self) -> ir.Value:
        """Mask of the valid steps, (batch, time)."""
        build = self.build
        column = build.node(
            "Unsqueeze", f"{self.name}/limits", [self.last, build.integers(f"{self.name}/limits/axis", 1)]
        )
        return build.node("LessOrEqual", f"{self.name}/mask", [self._steps, column])

    @cached_property
    def steps_mask(self) -> ir.Value:
        """Mask of the valid steps, (time, batch, 1)."""
        build = self.build
        transposed = build.node("Transpose", f"{self.name}/mask/transpose", [self.mask], {"perm": [1, 0]})
        return build.node(
            "Unsqueeze", f"{self.name}/mask/by_step", [transposed, build.integers(f"{self.name}/mask/by_step/axis", 2)]
        )

    def zero_beyond(self, value: ir.Value, name: str, *, time_major: bool = False) -> ir.Value:
        """Return (batch, time, n), or with the time first, set to exactly 0 beyond each length."""
        build = self.build
        mask = self.steps_mask
        if not time_major:
            mask = build.node("Unsqueeze", f"{name}/mask", [self.mask, build.integers(f"{name}/mask/axis", 2)])
        return build.node("Where", name, [mask, value, build.weight(f"{name}/zero", np.array(0, np.float32))])

    def lowest_beyond(self, value: ir.Value, name: str) -> ir.Value:
        """Return (time, batch, n) set to minus infinity beyond each length."""
        lowest = self.build.weight(f"{name}/lowest", np.array(-np.inf, np.float32))
        return self.build.node("Where", name, [self.steps_mask, value, lowest])

    def at_last_step(self, value: ir.Value, name: str) -> ir.Value:
        """Return the last valid step of each sequence, (batch, n), of (time, batch, n)."""
        build = self.build
        index = build.node("Unsqueeze", f"{name}/index", [self.last, build.integers(f"{name}/index/axis", 1)])
        transposed = build.node("Transpose", f"{name}/transpose", [value], {"perm": [1, 0, 2]})
        return build.node("GatherND", name, [transposed, index], {"batch_dims": 1})
