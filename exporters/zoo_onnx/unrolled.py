"""Lowering ``unrolled``: a cell's own step once for each step of a fixed number of steps, without a loop node."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from zoo_onnx.loop import Loop


def lower(loop: Loop, steps: int) -> ir.Value:
    """Add all steps of one direction and return the result of the direction."""
    build, states = loop.place.build, loop.starts
    by_time: dict[int, ir.Value] = {}
    for time in reversed(range(steps)) if loop.reverse else range(steps):
        name = f"{loop.name}/step_{time}"
        index = build.weight(f"{name}/index", np.array(time))
        x = [
            build.node("Gather", f"{name}/x_{number}", [value, index], {"axis": 0})
            for number, value in enumerate(loop.inputs)
        ]
        by_time[time], *states = loop.step(x, states, name, build.nodes)
    if loop.place.states.wanted:  # a copy, since the graph's output of a state is renamed
        parts = zip(loop.parts, states, strict=True)
        states = [build.node("Identity", f"{part.name}/final", [value]) for part, value in parts]
    if not loop.gives_outputs:
        return loop.finish(None, states)
    axis = build.integers(f"{loop.name}/outputs/axis", 0)
    outputs = [build.node("Unsqueeze", f"{loop.name}/output_{time}", [by_time[time], axis]) for time in range(steps)]
    return loop.finish(build.node("Concat", f"{loop.name}/outputs", outputs, {"axis": 0}), states)
