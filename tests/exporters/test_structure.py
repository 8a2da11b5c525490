"""Structure of ONNX files: a file equals a fresh export whatever its values are called, and every change is named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.exporters.structure_changes import (
    CHANGES,
    FORWARD,
    SUBJECTS,
    TRACED,
    body,
    changed,
    content,
    flip,
    load,
    set_weight,
    weight,
)
from zoo_onnx import OnnxExporter
from zoo_onnx.piece import COMPUTED
from zoo_onnx.structure import differences
from zoo_onnx.structure.weights import units_apart

# --- equal files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS)
def test_two_exports_are_equal(subject: str, tmp_path: Path) -> None:
    again = SUBJECTS[subject](tmp_path)
    other = tmp_path / "other.onnx"
    other.write_bytes(content(subject))
    assert OnnxExporter().differences(other, again) == []


def rename(graph: GraphProto, names: dict[str, str], numbers: count[int], *, main: bool) -> None:
    """Give every value and node of a graph and its bodies a new name, but the inputs and outputs of the main graph."""
    kept = {value.name for value in (*graph.input, *graph.output)} if main else set[str]()
    names = {**names, **{name: name for name in kept}}
    inner = [value.name for value in (*graph.input, *graph.initializer)]
    for name in (*inner, *(name for node in graph.node for name in node.output if name)):
        if name not in kept:
            names[name] = f"v{next(numbers)}"
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = names[value.name]
    for node in graph.node:
        node.name = f"n{next(numbers)}"
        node.input[:] = [names[name] if name else "" for name in node.input]
        node.output[:] = [names[name] if name else "" for name in node.output]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                rename(attribute.g, names, numbers, main=False)


def shuffle(graph: GraphProto, data: st.DataObject) -> None:
    """Bring the nodes of a graph into another order in which each follows those that it reads."""
    nodes, makers = list(graph.node), {name for node in graph.node for name in node.output}
    ordered: list[NodeProto] = []
    while nodes:
        made = {name for node in ordered for name in node.output}
        ready = [node for node in nodes if makers.intersection(_reads(node)) <= made]
        node = data.draw(st.sampled_from(ready))
        nodes.remove(node)
        ordered.append(node)
    kept = [NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(kept)


def _reads(node: NodeProto) -> set[str]:
    inner = [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    return {*node.input, *(name for graph in inner for each in graph.node for name in _reads(each))}


@settings(max_examples=10, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("subject", SUBJECTS)
def test_names_and_order_have_no_effect(subject: str, data: st.DataObject) -> None:
    model = load(subject)
    shuffle(model.graph, data)
    weights = data.draw(st.permutations(list(model.graph.initializer)))
    kept = [TensorProto.FromString(tensor.SerializeToString()) for tensor in weights]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    rename(model.graph, {}, count(), main=True)
    onnx.checker.check_model(model, full_check=True)
    assert differences(model, load(subject)) == []


def test_the_encoding_of_a_weight_has_no_effect() -> None:
    def rewrite(model: ModelProto) -> None:
        tensor = weight(model, "head/bias")
        numbers = numpy_helper.to_array(tensor).tolist()
        tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, tensor.dims, numbers))
        assert not tensor.raw_data
        del model.graph.value_info[:]  # they repeat the types of the weights, and older versions of onnx-ir have none
        model.producer_version = "0.0.1"  # in the metadata too, where it is compared with the record

    assert changed("native", rewrite) == []


# --- every kind of difference ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named(name: str) -> None:
    subject, change, node, what = CHANGES[name]
    result = changed(subject, change)
    matching = [each for each in result if each.node == node and each.what.startswith(what)]
    assert matching, result
    assert {each.traced for each in result} == {name in TRACED}
    assert not [each for each in result if "\n" in each.what]


def test_a_change_names_nothing_else() -> None:
    """Parts that depend on what was changed do not differ themselves."""
    for name in ("operator", "wiring", "weight", "in a body: operator", "traced: number", "traced: weight"):
        subject, change, _, _ = CHANGES[name]
        assert len(changed(subject, change)) == 1, name


def test_equal_steps_under_other_names_are_no_difference() -> None:
    """Where another part differs, steps that a library has only named in another way are not listed."""

    def change(model: ModelProto) -> None:
        flip(weight(model, "encoder/mean"), 0)  # each value depends on it
        rename(body(model, FORWARD), {name: name for name in outer(model)}, count(), main=False)
        for node in model.graph.node:
            if node.name.startswith(f"{FORWARD}/project/val"):
                node.name = f"{FORWARD}/project/other"

    def outer(model: ModelProto) -> set[str]:
        values = {name for node in model.graph.node for name in node.output}
        return values | {tensor.name for tensor in model.graph.initializer}

    assert [each.node for each in changed("traced", change)] == ["encoder/mean"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("subject", ["native", "equations", "traced"])
def test_no_change_goes_unreported(subject: str, data: st.DataObject) -> None:
    """Any node with another operator or input, and any bit of any weight."""
    model = load(subject)
    graphs = [model.graph, *(a.g for node in model.graph.node for a in node.attribute if a.name == "body")]
    graph = data.draw(st.sampled_from(graphs))
    kind = data.draw(st.sampled_from(["operator", "input", "bit", "attribute"]))
    if kind == "bit":
        tensor = data.draw(st.sampled_from(list(model.graph.initializer)))
        raw = bytearray(tensor.raw_data)
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        tensor.raw_data = bytes(raw)
    else:
        node = data.draw(st.sampled_from(list(graph.node)))
        if kind == "operator":
            node.op_type += "X"
        elif kind == "attribute":
            node.attribute.append(helper.make_attribute("further", data.draw(st.integers(0, 9))))
        else:
            index = data.draw(st.integers(0, len(node.input) - 1))
            node.input[index] = f"{node.input[index]}X"
    assert differences(model, load(subject))


# --- weights that torch computes ------------------------------------------------------------------------------------


def _moved(units: int) -> Callable[[ModelProto], None]:
    """Move one number of a computed weight by units in the last place."""

    def move(model: ModelProto) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.doc_string == COMPUTED)
        array = numpy_helper.to_array(tensor).copy()
        array.reshape(-1).view(np.int32)[3] += units
        set_weight(tensor, array)

    return move


def test_a_computed_weight_may_differ_by_one_unit_in_the_last_place() -> None:
    assert changed("computed", _moved(1)) == changed("computed", _moved(-1)) == []
    (difference,) = changed("computed", _moved(2))
    assert difference.what.startswith("differs in 1 of ")
    assert not difference.traced


def test_a_file_cannot_declare_a_weight_as_computed() -> None:
    def change(model: ModelProto) -> None:
        tensor = weight(model, "head/weight")
        tensor.doc_string = COMPUTED
        raw = np.frombuffer(tensor.raw_data, np.int32).copy()
        raw[0] += 1
        tensor.raw_data = raw.tobytes()

    (difference,) = changed("computed", change)
    assert difference.node == "head/weight"


def test_units_in_the_last_place() -> None:
    numbers = np.array([1, 0, -1], np.float32)
    assert units_apart(numbers, np.nextafter(numbers, np.float32(2))) == 1
    assert units_apart(np.array([0.0], np.float32), np.array([-0.0], np.float32)) == 0
    smallest = np.array([np.nextafter(np.float32(0), np.float32(1))])
    assert units_apart(smallest, -smallest) == 2
    assert units_apart(np.array([3], np.uint8), np.array([5], np.uint8)) == 2
    assert units_apart(np.array([1], np.float16), np.array([1 + 2**-10], np.float16)) == 1
