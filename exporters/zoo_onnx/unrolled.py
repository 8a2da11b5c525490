"""The lowering ``unrolled``: a cell's own step once for each step of a fixed number of them, without a loop."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from zoo_onnx.loop import Loop


def lower(loop: Loop, steps: int) -> ir.Value:
    """The steps one after the other, and what the graph goes on with."""
    build, states = loop.place.build, loop.starts
    found: dict[int, ir.Value] = {}
    for time in reversed(range(steps)) if loop.reverse else range(steps):
        name = f"{loop.name}/step_{time}"
        index = build.weight(f"{name}/index", np.array(time))
        x = [
            build.node("Gather", f"{name}/x_{number}", [value, index], {"axis": 0})
            for number, value in enumerate(loop.inputs)
        ]
        found[time], *states = loop.step(x, states, name, build.nodes)
    finals = [_own(loop, value, f"{part.name}/final") for part, value in zip(loop.parts, states, strict=True)]
    if not loop.gives_outputs:
        return loop.finish(None, finals)
    axis = build.integers(f"{loop.name}/outputs/axis", 0)
    outputs = [build.node("Unsqueeze", f"{loop.name}/output_{time}", [found[time], axis]) for time in range(steps)]
    return loop.finish(build.node("Concat", f"{loop.name}/outputs", outputs, {"axis": 0}), finals)


def _own(loop: Loop, value: ir.Value, name: str) -> ir.Value:
    """A value that may be called anything: one that a caller is to hold must not be another thing as well."""
    return loop.place.build.node("Identity", name, [value]) if loop.place.states.held else value
