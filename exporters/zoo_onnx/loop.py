"""What the lowerings from a cell's own step have in common: all that stands outside the loop over time."""

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
    """One direction of a layer as a loop over time.

    Args:
        graft: puts the cell's nodes into the graph.
        cell: the cell's nodes.
        reverse: whether time runs from the end.
        name: what stands before the names of the nodes.
        parts: the cell's state.
    """

    place: Place
    graft: Graft
    cell: CellPieces
    reverse: bool
    name: str
    parts: list[zoo.StatePart]
    body: Body = field(init=False)
    inputs: list[ir.Value] = field(init=False)
    """What the body gets a step of each time, (time, batch, n); where there are lengths their mask is the last."""
    starts: list[ir.Value] = field(init=False)
    """The states before the first step, (batch, n)."""

    def __post_init__(self) -> None:
        self.body = simplify(self.cell.step)
        self._known: dict[Parts, list[ir.Value]] = {}
        (self._projected,) = self.graft.put(self.cell.project, [self.place.x], f"{self.name}/project")
        self.inputs = [self._made(origin) for origin in self.body.origins]
        if self.place.lengths is not None:
            self.inputs.append(self.place.lengths.steps_mask)
        self.starts = [self.place.states.start(part) for part in self.parts]
        self._kept_in = [self._type_to_choose_in(part) for part in self.parts]

    @property
    def gives_outputs(self) -> bool:
        """Whether the outputs of all steps are needed, rather than the final state alone."""
        return self.place.wants == "outputs" or self.output_state is None

    @property
    def output_state(self) -> int | None:
        """The part of the state that is the output too, if any."""
        output, *after = self.cell.step.outputs
        return next((index for index, value in enumerate(after) if value is output), None)

    def step(self, x: list[ir.Value], before: list[ir.Value], name: str, nodes: list[ir.Node]) -> list[ir.Value]:
        """Put one step into ``nodes``: what comes in at this step and the state before it -> output, and the state.

        The state of a sequence that has ended stays what it was; outputs are set to zero outside, all at once.
        """
        lengths = self.place.lengths
        mask = x.pop() if lengths is not None else None
        output, *after = self.graft.put(self.body.piece, [*x, *before], name, nodes)
        if mask is None:
            return [output, *after]
        kept = []
        for part, wider, new, old in zip(self.parts, self._kept_in, after, before, strict=True):
            kept.append(_chosen(mask, new, old, f"{name}/{part.name}/kept", nodes, state_type(part).dtype, wider))
        return [output, *kept]

    def _type_to_choose_in(self, part: zoo.StatePart) -> ir.DataType | None:
        """The type in which ONNX Runtime can choose between two states, where it cannot in their own."""
        if self.place.lengths is None:
            return None
        mask = ir.Value(name="mask", type=ir.TensorType(ir.DataType.BOOL))
        both = [ir.Value(name=name, type=state_type(part)) for name in ("new", "old")]
        node = ir.node("Where", [mask, *both], outputs=[ir.Value(name="kept")])
        wider = wider_type(node, self.place.build.opset)
        return None if wider is None else wider[1]

    def finish(self, outputs: ir.Value | None, finals: list[ir.Value]) -> ir.Value:
        """Hand the final states out, and give what the graph goes on with."""
        place, build = self.place, self.place.build
        for part, final in zip(self.parts, finals, strict=True):
            place.states.end(part, final)
        if outputs is None:
            assert self.output_state is not None
            return finals[self.output_state]
        if place.wants == "outputs":
            return (
                outputs
                if place.lengths is None
                else place.lengths.zero_beyond(outputs, f"{self.name}/within_lengths", time_major=True)
            )
        if place.lengths is not None and not self.reverse:
            return place.lengths.at_last_step(outputs, f"{self.name}/last")
        # The last step that is read; from the end that is the first one in time, whatever the lengths.
        index = build.weight(f"{self.name}/last/index", np.array(0 if self.reverse else -1))
        return build.node("Gather", f"{self.name}/last", [outputs, index], {"axis": 0})

    def _made(self, origin: Origin) -> ir.Value:
        """An input of the body, made in the main graph."""
        if isinstance(origin, Biased):
            return self._with_bias(self._made(origin.of), self.graft.constant(origin.bias, f"{self.name}/project"))
        if isinstance(origin, Part):
            return self._split(origin.of)[origin.index]
        return self._projected

    def _with_bias(self, value: ir.Value, bias: ir.Value) -> ir.Value:
        build, producer = self.place.build, value.producer()
        name = f"{self.name}/project/with/{short_name(bias)}"
        if value is self._projected and producer is not None and producer.op_type == "Add":
            own = next((one for one in producer.inputs if one in build.initializers), None)
            product = next((one for one in producer.inputs if one is not own), None)
            if own is not None and own.shape is not None and len(own.shape) == 1:
                # Both biases in one go: adding to every step costs a pass over all of them.
                return build.node("Add", name, [product, build.node("Add", f"{name}/both", [own, bias])])
        return build.node("Add", name, [value, bias])

    def _split(self, parts: Parts) -> list[ir.Value]:
        if parts not in self._known:
            build, name = self.place.build, f"{self.name}/project/split_{len(self._known)}"
            sizes = build.integers(f"{name}/sizes", *parts.sizes)
            names = [f"{name}:{number}" for number in range(len(parts.sizes))]
            made = build.node_with_outputs("Split", name, [self._made(parts.of), sizes], names, {"axis": 2})
            self._known[parts] = list(made)
        return self._known[parts]


def _chosen(
    mask: ir.Value,
    new: ir.Value,
    old: ir.Value,
    name: str,
    nodes: list[ir.Node],
    kind: ir.DataType,
    wider: ir.DataType | None,
) -> ir.Value:
    """The new value where the mask is true, elsewhere the old one, as nodes; chosen in a wider type if there is one."""

    def made(operator: str, suffix: str, inputs: list[ir.Value], **attributes: int) -> ir.Value:
        value = ir.Value(name=f"{name}{suffix}")
        nodes.append(ir.node(operator, inputs, attributes, outputs=[value], name=value.name))
        return value

    if wider is None:
        return made("Where", "", [mask, new, old])
    both = [made("Cast", f"/{which}", [value], to=int(wider)) for which, value in (("new", new), ("old", old))]
    return made("Cast", "", [made("Where", "/wider", [mask, *both])], to=int(kind))
