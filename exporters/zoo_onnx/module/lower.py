"""Lowering of the private nodes of a traced module, by the lowerings that models have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import onnx_ir as ir

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths
from zoo_onnx.module.recording import DOMAIN, LAYER, TRIM, Call
from zoo_onnx.piece import PARAMETERS, CellPieces, Graft
from zoo_onnx.place import Place
from zoo_onnx.stack import cells_of_loops, lower_layer, operators_to_write
from zoo_onnx.states import States


@dataclass(frozen=True)
class _CalledPlace(Place):
    """One call of a layer of a module."""

    call: Call
    unique: str
    """Prefix of the names of its nodes."""

    @property
    def name(self) -> str:
        return self.unique

    @property
    def weights_name(self) -> str:
        return f"{self.call.path}/{self.layer.directed_cells[0].name}"

    @property
    def result_name(self) -> str:
        return f"{self.name}/outputs"


class _CalledStates(States):
    """Initial and final states of one call, (directions, batch, n) each.

    Args:
        place: name of the place.
        given: the initial states; empty for the cells' own.
        wanted: whether the final states are read.
    """

    def __init__(
        self,
        build: GraphBuilder,
        parts: Sequence[zoo.StatePart],
        x: ir.Value,
        place: str,
        given: Sequence[ir.Value],
        *,
        wanted: bool,
    ) -> None:
        super().__init__(build, parts, x, held=bool(given), batch_axis=1)
        self.place, self.given, self.wanted = place, given, wanted
        self.batch_name = f"{place}/batch"
        self.finals: list[ir.Value] = []
        self._by_part: dict[str, ir.Value] = {}

    def start(self, part: zoo.StatePart) -> ir.Value:
        if not self.given:
            return self._initial(part)
        index = self.build.weight(f"{self.place}/direction_{part.direction}", np.array(part.direction))
        value = self.given[self.of(part.layer, part.direction).index(part)]
        return self.build.node("Gather", f"{part.name}/initial", [value, index])

    def start_all(self, layer: int, directions: int, name: str) -> list[ir.Value]:
        return list(self.given) if self.given else super().start_all(layer, directions, name)

    def end(self, part: zoo.StatePart, value: ir.Value) -> None:
        self._by_part[part.name] = value

    def end_all(self, layer: int, directions: int, finals: Sequence[ir.Value]) -> None:  # noqa: ARG002
        self.finals = list(finals)

    def all_finals(self, layer: int, directions: int) -> list[ir.Value]:
        """Return each final state."""
        if not self.finals:
            rows = zip(*(self.of(layer, direction) for direction in range(directions)), strict=True)
            for index, parts in enumerate(rows):
                values = [self._by_part[part.name] for part in parts]
                self.finals.append(self.stacked(values, f"{self.place}/final_{index}"))
        return self.finals


def lower_calls(graph: ir.Graph, arguments: int, calls: Sequence[Call], opset: int, options: zoo.ExportOptions) -> None:
    """Replace the private nodes of a graph.

    Args:
        graph: as traced.
        arguments: number of its inputs; those after them have the number of steps of each trimmed sequence, and are
            removed.
        calls: the recorded calls.
        opset: version of ONNX's operators.
        options: lowering and target.
    """
    _Calls(graph, arguments, calls, opset, options).lower()


class _Calls:
    """The private nodes of a graph, and what they share."""

    def __init__(
        self, graph: ir.Graph, arguments: int, calls: Sequence[Call], opset: int, options: zoo.ExportOptions
    ) -> None:
        self.graph = graph
        self.longest = list(graph.inputs)[arguments:]
        del graph.inputs[arguments:]
        self.build = GraphBuilder(opset)
        self.graft = Graft(self.build)
        nodes = [node for node in graph if node.domain == DOMAIN]
        self.nodes = [node for node in nodes if node.op_type == LAYER]
        self.trims = [node for node in nodes if node.op_type == TRIM]
        self.order = [calls[node.attributes["call"].as_int()] for node in self.nodes]
        self.operators = {
            index: operators_to_write(index, call.layer, options, opset) for index, call in enumerate(self.order)
        }
        self._lengths: dict[tuple[ir.Value, str], Lengths] = {}

    def lower(self) -> None:
        """Replace all nodes, and name the weights after the module's parameters."""
        cells = self._cells()
        for index, node in enumerate(self.nodes):
            self._layer(index, node, cells)
        for node in self.trims:
            self._trim(node)
        for value in self.build.initializers:
            value.name = self._weight_name(str(value.name))
            self.graph.register_initializer(value)
        self.graph.sort()

    def _cells(self) -> dict[tuple[int, int], CellPieces]:
        """Return the nodes of all cells that become loops."""
        loops = [
            (index, direction)
            for index, call in enumerate(self.order)
            if not self.operators[index]
            for direction in range(len(call.layer.cells))
        ]
        if not loops:
            return {}
        return dict(cells_of_loops(zoo.Stack.of_layers([call.layer for call in self.order]), loops, self.build.opset))

    def _layer(self, index: int, node: ir.Node, cells: dict[tuple[int, int], CellPieces]) -> None:
        """Replace the node of a layer."""
        call = self.order[index]
        x, given_lengths, *given = (*node.inputs, None)[
            : max(2, len(node.inputs))
        ]  # a last input that is None is left out
        assert x is not None
        outputs, *finals = node.outputs
        states_wanted = any(_is_read(final) for final in finals)
        again = sum(other.layer is call.layer for other in self.order[:index])
        name = f"{call.path}/{call.layer.directed_cells[0].name}" + (f"/call_{again}" if again else "")
        lengths = None if given_lengths is None else self._lengths_of(given_lengths, x)
        parts = [replace(part, layer=index, name=f"{name}/{part.name}") for part in call.parts]
        initial = [value for value in given if value is not None]
        states = _CalledStates(self.build, parts, x, name, initial, wanted=states_wanted)
        wants: Literal["outputs", "states"] = "outputs" if _is_read(outputs) else "states"
        place = _CalledPlace(self.build, index, call.layer, x, lengths, states, wants, call, name)
        result = lower_layer(place, self.operators[index], cells, self.graft, None)
        if place.wants == "outputs":
            self._put(outputs, result)
        if states_wanted:
            for old, new in zip(finals, states.all_finals(index, len(call.layer.cells)), strict=True):
                self._put(old, new)
        self._remove(node)

    def _trim(self, node: ir.Node) -> None:
        """Replace the trim of a sequence, and the graph's input that has its number of steps."""
        x, given = node.inputs
        assert x is not None
        assert given is not None
        lengths, build = self._lengths_of(given, x), self.build
        name = f"{lengths.name}/trimmed_{node.attributes['index'].as_int()}"
        zero = build.integers(f"{lengths.name}/first", 0)
        self._put(node.outputs[0], build.node("Slice", name, [x, zero, lengths.longest, zero]))
        longest = self.longest[node.attributes["index"].as_int()]
        if longest.uses():
            limits = [build.weight(f"{name}/{number}", np.array(number)) for number in (0, 1)]
            count = build.node("Squeeze", f"{name}/count", [lengths.longest])
            longest.replace_all_uses_with(build.node("Range", f"{name}/steps", [limits[0], count, limits[1]]))
        self._remove(node)

    def _lengths_of(self, given: ir.Value, x: ir.Value) -> Lengths:
        """Return the lengths of sequences x (time, batch, n)."""
        steps = str(None if x.shape is None else x.shape[0])
        key = given, steps
        if key not in self._lengths:
            name = f"lengths_{len(self._lengths)}" if self._lengths else "lengths"
            self._lengths[key] = Lengths(self.build, given, x, time_axis=0, name=name)
        return self._lengths[key]

    def _put(self, old: ir.Value, new: ir.Value) -> None:
        """Let the readers of an output of a private node read another value."""
        new.type, new.shape = old.type, old.shape
        if old.is_graph_output():
            for index, output in enumerate(self.graph.outputs):
                if output is old:
                    self.graph.outputs[index] = new
        old.replace_all_uses_with(new)

    def _remove(self, node: ir.Node) -> None:
        """Put the nodes that were built in the place of a private node."""
        if self.build.nodes:
            self.graph.insert_before(node, self.build.nodes)
            self.build.nodes.clear()
        self.graph.remove(node, safe=True)

    def _weight_name(self, name: str) -> str:
        """Return the name of a weight in the module."""
        for index, call in enumerate(self.order):
            for direction, pattern in enumerate(call.parameters):
                prefix = f"{PARAMETERS}layers.{index}.cells.{direction}."
                if name.startswith(prefix):
                    return pattern.replace("*", name.removeprefix(prefix))
        return name


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()
