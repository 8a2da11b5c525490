"""Checks of an ONNX file from its bytes: seal, other files, custom operators, and arbitrary or damaged bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper

import zoo
from tests.support.files import foreign_file
from tests.support.models import make_model, write
from zoo.runtime.onnx_contents import contents_fault, onnx_fault
from zoo.runtime.onnx_seal import seal_fault, seal_onnx
from zoo.runtime.protobuf import MalformedError, fields, write_bytes


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An exported file."""
    return write(make_model("lstm"), tmp_path_factory.mktemp("file")).read_bytes()


# --- the wire format ------------------------------------------------------------------------------------------------


@given(st.integers(1, 2**29 - 1), st.binary(max_size=300))
def test_written_fields_are_read(number: int, value: bytes) -> None:
    (field,) = fields(memoryview(write_bytes(number, value)))
    assert (field.number, bytes(field.value)) == (number, value)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1))
def test_numbers_are_read_as_protobuf_writes_them(version: int, axis: int) -> None:
    message = onnx.AttributeProto(i=version).SerializeToString()
    assert [field.value for field in fields(memoryview(message))] == [version % 2**64]  # two's complement
    message = onnx.TensorShapeProto.Dimension(dim_value=axis).SerializeToString()
    assert [field.value for field in fields(memoryview(message))] == [axis]


@given(st.binary(max_size=200))
@example(b"\x0b\x0c")
@example(b"\xff" * 11)
@example(b"\x00\x00")
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    """No other error occurs, and no field extends past the end."""
    try:
        parts = list(fields(memoryview(message)))
    except MalformedError:
        return
    assert sum(len(field.value) for field in parts if isinstance(field.value, memoryview)) < max(len(message), 1)


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_as_a_file(message: bytes) -> None:
    """Protobuf reads some of them, for example no bytes at all, as an empty model."""
    fault = onnx_fault(message)
    assert fault is not None
    assert "\n" not in fault


@given(st.data())
def test_any_part_of_a_file(content: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(content) - 1))
    assert onnx_fault(content[:end]) is not None


def test_too_deeply_nested_parts() -> None:
    """A graph in an attribute of a node of a graph, 200 times, written by the field numbers of onnx.proto."""
    graph = b""
    for _ in range(200):
        graph = write_bytes(1, write_bytes(5, write_bytes(6, graph)))
    fault = contents_fault(write_bytes(7, graph))
    assert fault == (
        "is not an ONNX file, or only a part of one (it is nested more than 100 times); export the run again"
    )


# --- the seal -------------------------------------------------------------------------------------------------------


def test_an_exported_file_is_whole(content: bytes) -> None:
    assert onnx_fault(content) is None
    assert content[-64:] == hashlib.sha256(content[:-76]).hexdigest().encode()


@given(st.data())
def test_any_flipped_bit(content: bytes, data: st.DataObject) -> None:
    altered = bytearray(content)
    altered[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert onnx_fault(bytes(altered)) is not None


def test_the_faults_of_an_altered_and_an_unsealed_file(content: bytes) -> None:
    position = content.index(b"layer_0/lstm/W")
    altered = content[:position] + b"L" + content[position + 1 :]
    assert onnx_fault(altered) == (
        "was altered since it was exported: its hash does not match; take the original file, or export the run again"
    )
    assert onnx_fault(content[:-76]) == (
        "carries no seal, so Recurrent Zoo did not write it, or an older version did; export the run again"
    )


def test_metadata_are_added_without_parsing_the_rest(content: bytes) -> None:
    """The unchanged bytes, the entry and the seal, any number of times; onnx reads one seal."""
    once = seal_onnx(content, {"note": "ü" * 200})
    twice = seal_onnx(once, {"more": ""})
    assert once.startswith(content[:-76])
    assert twice.startswith(once[:-76])
    assert seal_fault(twice) is None
    file = onnx.load_from_string(twice)
    onnx.checker.check_model(file, full_check=True)  # which rejects duplicate keys
    metadata = {entry.key: entry.value for entry in file.metadata_props}
    assert (metadata["note"], metadata["more"], list(metadata)[-1]) == ("ü" * 200, "", "sha256")


# --- other files and libraries --------------------------------------------------------------------------------------


EXTERNAL = (
    "keeps the weight 'w' in another file, which is not read; export it into one file, as "
    "torch.onnx.export does with external_data=False"
)


def external(name: str = "w", location: str = "../../w.bin") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.append(onnx.StringStringEntryProto(key="location", value=location))
    return tensor


def marked_only(name: str) -> TensorProto:
    tensor = external(name)
    del tensor.external_data[:]
    return tensor


def placed_only(name: str) -> TensorProto:
    tensor = external(name)
    tensor.data_location = TensorProto.DEFAULT
    return tensor


def custom() -> NodeProto:
    return helper.make_node("Mine", ["x"], ["y"], domain="my.ops")


def as_weight(file: ModelProto, tensor: TensorProto) -> None:
    file.graph.initializer.append(tensor)


def as_sparse_weight(file: ModelProto, tensor: TensorProto) -> None:
    file.graph.sparse_initializer.add(values=tensor)


def as_sparse_indices(file: ModelProto, tensor: TensorProto) -> None:
    file.graph.sparse_initializer.add(indices=tensor)


def as_constant(file: ModelProto, tensor: TensorProto) -> None:
    file.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def as_an_element_of_a_list(file: ModelProto, tensor: TensorProto) -> None:
    file.graph.node.append(helper.make_node("Strange", [], ["c"], values=[tensor]))


def in_a_body(file: ModelProto, tensor: TensorProto) -> None:
    body = helper.make_graph([], "body", [], [], [tensor])
    inner = helper.make_graph([helper.make_node("If", ["c"], ["d"], then_branch=body)], "outer", [], [])
    file.graph.node.append(helper.make_node("Several", ["c"], ["d"], bodies=[inner]))


def in_a_function(file: ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    file.functions.append(helper.make_function("mine", "F", [], ["c"], [node], []))


def in_a_function_default(file: ModelProto, tensor: TensorProto) -> None:
    attribute = helper.make_attribute("a", tensor)
    file.functions.append(helper.make_function("mine", "F", [], [], [], [], attribute_protos=[attribute]))


def in_the_training(file: ModelProto, tensor: TensorProto) -> None:
    file.training_info.add().algorithm.initializer.append(tensor)


@pytest.mark.parametrize("tensor", [external("w"), marked_only("w"), placed_only("w")], ids=["both", "mark", "place"])
@pytest.mark.parametrize(
    "put",
    [
        as_weight,
        as_sparse_weight,
        as_sparse_indices,
        as_constant,
        as_an_element_of_a_list,
        in_a_body,
        in_a_function,
        in_a_function_default,
        in_the_training,
    ],
)
def test_weights_in_another_file(
    put: Callable[[ModelProto, TensorProto], None], tensor: TensorProto, content: bytes
) -> None:
    """Wherever a file may have a tensor, even with a valid seal."""
    file = onnx.load_from_string(content)
    put(file, tensor)
    assert onnx_fault(seal_onnx(file.SerializeToString(), {})) == EXTERNAL


def test_a_custom_operator(content: bytes) -> None:
    """In the graph, in a body, in a function."""
    graph, body, function = (onnx.load_from_string(content) for _ in range(3))
    graph.graph.node.append(custom())
    inner = helper.make_graph([custom()], "body", [], [])
    body.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner))
    function.functions.append(helper.make_function("mine", "F", ["x"], ["y"], [custom()], []))
    for file in (graph, body, function):
        assert contents_fault(file.SerializeToString()) == (
            "has the operator my.ops.Mine, which only a library of custom operators provides, and none is loaded; "
            "export the run again"
        )


def test_operators_that_need_no_library(content: bytes) -> None:
    """Operators of ONNX Runtime, and functions that the file defines."""
    file = onnx.load_from_string(content)
    file.graph.node.append(helper.make_node("DynamicQuantizeLSTM", ["x"], ["y"], domain="com.microsoft"))
    file.functions.append(
        helper.make_function("my.ops", "Mine", ["x"], ["y"], [helper.make_node("Relu", "x", "y")], [])
    )
    file.graph.node.append(custom())
    assert contents_fault(file.SerializeToString()) is None


def test_a_valid_file_of_another_program(tmp_path: Path) -> None:
    content = foreign_file(tmp_path / "a.onnx").read_bytes()
    assert contents_fault(content) is None
    assert onnx_fault(content) is not None
    assert zoo.onnx_fault is onnx_fault
