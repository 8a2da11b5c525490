"""From a cell to a Scan body, step 3 of 4: a loop over time, shared by Scan and unrolled steps (next: scan.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

import zoo
from zoo_onnx.gates import Biased, Body, Origin, Part, Parts, simplify
from zoo_onnx.kernels import wider_type
from zoo_onnx.piece import CellPieces, Graft, short_name
from zoo_onnx.place import Place
from zoo_onnx.states import state_type


@dataclass(eq=False)
class Loop:
    """One direction of a layer as a loop over time, without the node of the loop itself."""

    place: Place
    graft: Graft
    cell: CellPieces
    reverse: bool
    """Whether the loop reads from the last step to the first."""
    name: str
    """Prefix of the names of its nodes."""
    parts: list[zoo.StatePart]
    body: Body = field(init=False)
    inputs: list[ir.Value] = field(init=False)
    """Values of which the body reads one step at a time, (time, batch, n); with lengths, their mask is the last one."""
    starts: list[ir.Value] = field(init=False)
    """Initial states, (batch, n)."""

    def __post_init__(self) -> None:
        self.body = simplify(self.cell.step)
        self._splits: dict[Parts, list[ir.Value]] = {}
        (self._projected,) = self.graft.put(self.cell.project, [self.place.x], f"{self.name}/project")
        self.inputs = [self._input(origin) for origin in self.body.origins]
        if self.place.lengths is not None:
            self.inputs.append(self.place.lengths.steps_mask)
        self.starts = [self.place.states.start(part) for part in self.parts]
        self._where_types = [self._where_type(part) for part in self.parts]

    @property
    def gives_outputs(self) -> bool:
        """Whether the outputs of all steps are needed, not only the final states."""
        return self.place.wants == "outputs" or (self.place.wants == "last" and self.output_state is None)

    @property
    def output_state(self) -> int | None:
        """Index of the state tensor that is also the output, if any."""
        output, *after = self.cell.step.outputs
        return next((index for index, value in enumerate(after) if value is output), None)

    def step(self, x: list[ir.Value], before: list[ir.Value], name: str, nodes: list[ir.Node]) -> list[ir.Value]:
        """Append the nodes of one step and return its output and the new states.

        Beyond the length of a sequence its states are unchanged. Outputs are set to zero outside, in `finish`.

        Args:
            x: one step of each of the loop's inputs, (batch, n).
            before: the states before the step, (batch, n).
            name: prefix of the names of the nodes.
            nodes: the list that receives the nodes.
        """
        lengths = self.place.lengths
        mask = x.pop() if lengths is not None else None
        output, *after = self.graft.put(self.body.piece, [*x, *before], name, nodes)
        if mask is None:
            return [output, *after]
        states = zip(self.parts, self._where_types, after, before, strict=True)
        return [
            output,
            *(
                _where(mask, new, old, f"{name}/{part.name}/kept", nodes, state_type(part).dtype, wider)
                for part, wider, new, old in states
            ),
        ]

    def _where_type(self, part: zoo.StatePart) -> ir.DataType | None:
        """Return the wider type for a Where of two states, or None if ONNX Runtime has a kernel for their own type."""
        if self.place.lengths is None:
            return None
        mask = ir.Value(name="mask", type=ir.TensorType(ir.DataType.BOOL))
        both = [ir.Value(name=name, type=state_type(part)) for name in ("new", "old")]
        wider = wider_type(ir.node("Where", [mask, *both]), self.place.build.opset)
        return None if wider is None else wider[1]

    def finish(self, outputs: ir.Value | None, finals: list[ir.Value]) -> ir.Value:
        """Make the final states outputs if they are held, and return the result of the direction.

        Args:
            outputs: the outputs of all steps, (time, batch, n); None if a final state is the result.
            finals: the final states, (batch, n).
        """
        place, build = self.place, self.place.build
        for part, final in zip(self.parts, finals, strict=True):
            place.states.end(part, final)
        if outputs is None:
            return finals[self.output_state or 0]
        if place.wants == "outputs":
            if place.lengths is None:
                return outputs
            return place.lengths.zero_beyond(outputs, f"{self.name}/within_lengths", time_major=True)
        if place.lengths is not None and not self.reverse:
            return place.lengths.at_last_step(outputs, f"{self.name}/last")
        # The last step that is read; a reverse loop ends with the first step, whatever the lengths.
        index = build.weight(f"{self.name}/last/index", np.array(0 if self.reverse else -1))
        return build.node("Gather", f"{self.name}/last", [outputs, index], {"axis": 0})

    def _input(self, origin: Origin) -> ir.Value:
        """Return an input of the body, computed in the main graph."""
        if isinstance(origin, Biased):
            return self._with_bias(self._input(origin.of), self.graft.constant(origin.bias, f"{self.name}/project"))
        if isinstance(origin, Part):
            return self._split(origin.of)[origin.index]
        return self._projected

    def _with_bias(self, value: ir.Value, bias: ir.Value) -> ir.Value:
        """Add a bias to an input; if `project` ends with a bias of its own, add the sum of both."""
        build, producer = self.place.build, value.producer()
        name = f"{self.name}/project/with/{short_name(bias)}"
        if value is self._projected and producer is not None and producer.op_type == "Add":
            own = next((addend for addend in producer.inputs if addend in build.initializers), None)
            product = next((addend for addend in producer.inputs if addend is not own), None)
            if own is not None and own.shape is not None and len(own.shape) == 1:
                # The sum of both biases first, since an addition to every step is a pass over all of them.
                return build.node("Add", name, [product, build.node("Add", f"{name}/both", [own, bias])])
        return build.node("Add", name, [value, bias])

    def _split(self, parts: Parts) -> list[ir.Value]:
        """Return the parts of a split input; the Split is added to the main graph once."""
        if parts not in self._splits:
            build, name = self.place.build, f"{self.name}/project/split_{len(self._splits)}"
            sizes = build.integers(f"{name}/sizes", *parts.sizes)
            names = [f"{name}:{index}" for index in range(len(parts.sizes))]
            outputs = build.node_with_outputs("Split", name, [self._input(parts.of), sizes], names, {"axis": 2})
            self._splits[parts] = list(outputs)
        return self._splits[parts]


def _where(
    mask: ir.Value,
    new: ir.Value,
    old: ir.Value,
    name: str,
    nodes: list[ir.Node],
    kind: ir.DataType,
    wider: ir.DataType | None,
) -> ir.Value:
    """Append a Where: the new value where the mask is true, else the old one; computed in a wider type if given."""

    def add(operator: str, suffix: str, inputs: list[ir.Value], **attributes: int) -> ir.Value:
        value = ir.Value(name=f"{name}{suffix}")
        nodes.append(ir.node(operator, inputs, attributes, outputs=[value], name=value.name))
        return value

    if wider is None:
        return add("Where", "", [mask, new, old])
    both = [add("Cast", f"/{which}", [value], to=int(wider)) for which, value in (("new", new), ("old", old))]
    return add("Cast", "", [add("Where", "/wider", [mask, *both])], to=int(kind))
