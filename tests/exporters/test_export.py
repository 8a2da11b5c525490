"""The ONNX file: its content at every opset, for every architecture; and models that cannot be exported."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from importlib.metadata import version as installed_version
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

import zoo
from tests.support.builders import DIRECTIONS, KINDS
from tests.support.command import run_zoo
from tests.support.models import CLASSES, FEATURES, draw, make_model, write
from tests.support.runs import build_exported_run
from zoo.parity import Array, judge
from zoo.plugins.registry import load_registry
from zoo.proof.oracle import Oracle
from zoo.run.run import Run
from zoo.runtime.session import OnnxSession
from zoo_onnx.opset import DEFAULT, OLDEST, newest

OPSETS = range(OLDEST, newest() + 1)
POOLINGS = ("last", "mean", "max", "last_step")
IR_VERSIONS = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13, 26: 13}
"""IR version of each opset, from the table of released versions in onnx's docs/Versioning.md."""


def assert_agrees(model: zoo.Model, path: Path, x: Array) -> None:
    """Check that the file agrees with the model, by the rule of parity."""
    with torch.inference_mode():
        names = list(model.outputs(torch.from_numpy(x)))
    outputs = OnnxSession(path).run(x)
    assert list(outputs) == names
    for name, verdict in judge(Oracle(model).expect(x), outputs).items():
        assert verdict.status == "passed", f"{name}: {verdict.reason}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a trained and exported run: a biLSTM of two layers with dropout."""
    settings = ("architecture.num_layers=2", "architecture.dropout=0.25")
    return build_exported_run(tmp_path_factory.mktemp("runs"), "bilstm", *settings)


# --- opsets ---------------------------------------------------------------------------------------------------------


def test_opsets_reach_from_17_to_what_this_runtime_takes() -> None:
    assert OLDEST == 17
    assert OLDEST < DEFAULT <= newest() <= onnx.defs.onnx_opset_version()


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", ["lstm", "gru_after"])
def test_every_opset_gives_the_same(opset: int, pooling: str, kind: str, tmp_path: Path) -> None:
    model = make_model(kind, direction="bidirectional", num_layers=2, pooling=pooling)
    path = write(model, tmp_path, opset)
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    assert [(entry.domain, entry.version) for entry in file.opset_import] == [("", opset)]
    assert file.ir_version == IR_VERSIONS[opset]
    x = draw(3, 11)
    actual, expected = OnnxSession(path).run(x), OnnxSession(write(model, tmp_path)).run(x)
    assert all(np.array_equal(actual[name], expected[name]) for name in expected)  # the kernels are the same


def test_default_opset(tmp_path: Path) -> None:
    assert onnx.load(write(make_model("lstm"), tmp_path)).opset_import[0].version == DEFAULT


@pytest.mark.parametrize("opset", [OLDEST - 1, newest() + 1, 0, -3, 10**9, "twenty", 20.5])
def test_bad_opsets(run: Path, opset: object) -> None:
    before = (run / "onnx" / "model.onnx").read_bytes()
    outcome = run_zoo("export", run, "--onnx", "--opset", opset)
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    if isinstance(opset, int):
        expected = f"error: opset {opset}: must be between 17 and {newest()}, the newest that this ONNX Runtime takes\n"
        assert outcome.stderr == expected
    assert (run / "onnx" / "model.onnx").read_bytes() == before
    assert not (run / "onnx" / "rejected").exists()


# --- the graph ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "operator"), [("rnn_relu", "RNN"), ("lstm", "LSTM"), ("gru_after", "GRU")])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("implementation", ["fused", "cell"])
def test_one_node_a_layer(
    kind: str, operator: str, direction: zoo.Direction, implementation: str, tmp_path: Path
) -> None:
    """Both directions are one node, for any number of steps and any implementation."""
    model = make_model(kind, hidden_size=5, direction=direction, num_layers=3, implementation=implementation)
    file = onnx.load(write(model, tmp_path, lowering="native"))
    nodes = [node for node in file.graph.node if node.op_type in ("RNN", "LSTM", "GRU", "Scan", "Loop")]
    assert [(node.op_type, node.name) for node in nodes] == [
        (operator, f"layer_{index}/{operator.lower()}") for index in range(3)
    ]
    shapes = {tensor.name: tuple(tensor.dims) for tensor in file.graph.initializer}
    halves, gates = (2 if direction == "bidirectional" else 1), {"RNN": 1, "LSTM": 4, "GRU": 3}[operator]
    for index, node in enumerate(nodes):
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        assert attributes.pop("direction") == direction.encode()
        assert attributes.pop("hidden_size") == 5
        assert attributes.pop("linear_before_reset", 1) == 1
        assert attributes.pop("activations", [b"Relu"] * halves) == [b"Relu"] * halves
        assert not attributes  # above all no layout, which CUDA refuses, and no clip, in which runtimes differ
        width = FEATURES if index == 0 else halves * 5
        assert shapes[node.input[1]] == (halves, gates * 5, width)
        assert shapes[node.input[2]] == (halves, gates * 5, 5)
        assert shapes[node.input[3]] == (halves, 2 * gates * 5)


def test_gru_reset_is_an_attribute(tmp_path: Path) -> None:
    for kind, expected in (("gru_after", 1), ("gru_before", 0)):
        (node,) = [node for node in onnx.load(write(make_model(kind), tmp_path)).graph.node if node.op_type == "GRU"]
        assert {"linear_before_reset": expected}.items() <= {a.name: a.i for a in node.attribute}.items()


def test_names_are_readable(run: Path) -> None:
    graph = onnx.load(run / "onnx" / "model.onnx").graph
    assert graph.name == "bilstm"
    assert [node.name for node in graph.node] == [
        "encoder/subtract_mean",
        "encoder/divide_by_std",
        "to_time_major",
        "layer_0/lstm",
        "layer_0/outputs/transpose",
        "layer_0/outputs",
        "layer_1/lstm",
        "pooling/last/transpose",
        "pooling/last",
        "head/linear",
        "readout/softmax",
    ]
    assert {"encoder/mean", "layer_1/lstm/W", "head/weight"} <= {tensor.name for tensor in graph.initializer}
    assert not any(node.op_type == "Dropout" for node in graph.node)


def test_inputs_and_outputs(run: Path) -> None:
    """Names and shapes of x, logits and probabilities; batch and time are free, and named."""
    graph = onnx.load(run / "onnx" / "model.onnx").graph

    def shapes(values: object) -> dict[str, list[str | int]]:
        return {
            value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            for value in values  # type: ignore[attr-defined]
        }

    assert shapes(graph.input) == {"x": ["batch", "time", 8]}
    assert shapes(graph.output) == {"logits": ["batch", 10], "probabilities": ["batch", 10]}
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {TensorProto.FLOAT}


def test_a_hundred_exports_in_one_process_are_all_free(tmp_path: Path) -> None:
    """With torch.onnx a later export in the same process may freeze the number of steps."""
    kinds = list(KINDS)
    for number in range(100):
        model = make_model(
            kinds[number % len(kinds)], seed=number, hidden_size=4, direction=DIRECTIONS[number % len(DIRECTIONS)]
        )
        session = OnnxSession(write(model, tmp_path, lowering="native" if number % 10 else "scan"), threads=1)
        for batch, time in ((2, 3), (1, 17)):
            x = draw(batch, time, seed=number)
            with torch.inference_mode():
                expected = model.outputs(torch.from_numpy(x))["logits"].numpy()
            actual = session.run(x)["logits"]
            assert actual.shape == (batch, CLASSES)
            # Not a proof (see test_matrix.py): the error of a frozen or wrong graph is far larger than this.
            assert np.abs(actual - expected).max() < 1e-3


# --- agreement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 11)])
def test_pooling(pooling: str, direction: str, layers: int, batch: int, time: int, tmp_path: Path) -> None:
    model = make_model("gru_after", direction=direction, num_layers=layers, pooling=pooling)
    assert_agrees(model, write(model, tmp_path), draw(batch, time))


def test_dropout_is_not_exported(tmp_path: Path) -> None:
    """Dropout is left out even of a model in training mode."""
    model = make_model("lstm", num_layers=3, dropout=0.5)
    path = write(model.train(), tmp_path)
    assert not any(node.op_type == "Dropout" for node in onnx.load(path).graph.node)
    assert_agrees(model.eval(), path, draw(3, 11))


@pytest.mark.parametrize("kind", KINDS)
def test_head_without_bias(kind: str, tmp_path: Path) -> None:
    model = make_model(kind, bias=False)
    model.head = nn.Linear(model.stack.output_size, CLASSES, bias=False)
    assert_agrees(model, write(model, tmp_path), draw(3, 11))


# --- metadata -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def metadata(run: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(run / "onnx" / "model.onnx").metadata_props}


def test_metadata_describes_the_model(run: Path, metadata: dict[str, str]) -> None:
    spec, task, _ = Run(run).load(load_registry())
    assert metadata["name"] == spec.name == "bilstm"
    assert json.loads(metadata["spec"]) == spec.to_dict()
    signature = zoo.Signature.from_dict(json.loads(metadata["signature"]))
    assert signature == task.signature
    assert signature.labels == tuple("0123456789")
    assert metadata["opset"] == str(DEFAULT)


def test_metadata_names_versions(metadata: dict[str, str]) -> None:
    versions = json.loads(metadata["versions"])
    assert {"python", "torch", "onnx", "onnx-ir", "numpy", "recurrent-zoo"} <= versions.keys()
    assert versions["torch"] == installed_version("torch")
    assert metadata["zoo_version"] == zoo.__version__


def test_metadata_holds_the_verdict(metadata: dict[str, str]) -> None:
    parity = json.loads(metadata["parity"])
    assert parity["verdict"] == "passed"
    assert parity["providers"] == {"cpu": "passed"}
    assert 0 < parity["over_budget"] <= 1


def decode(text: str) -> Array:
    array: Array = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
    return array


def test_golden_input_gives_golden_output(run: Path, metadata: dict[str, str]) -> None:
    """Golden outputs equal the oracle's to the bit, and the file's by the rule of parity; the input is data."""
    _, _, model = Run(run).load(load_registry())
    x = decode(metadata["golden_input"])
    assert x.shape == (2, 8, 8)
    assert x.dtype == np.float32
    assert np.array_equal(x, x.round())  # the digits' grey values
    for name, expected in Oracle(model).expect(x).items():
        assert np.array_equal(decode(metadata[f"golden_{name}"]), expected.exact)
        assert np.array_equal(decode(metadata[f"golden_{name}_sensitivity"]), expected.sensitivity)
    actual = OnnxSession(run / "onnx" / "model.onnx").run(x)
    assert list(actual) == ["logits", "probabilities"]
    assert {verdict.status for verdict in judge(Oracle(model).expect(x), actual).values()} == {"passed"}


def test_the_seal_is_the_hash_of_all_before_it(run: Path, metadata: dict[str, str]) -> None:
    content = (run / "onnx" / "model.onnx").read_bytes()
    digest = hashlib.sha256(content[:-76]).hexdigest()
    assert content[-76:] == b"\x72\x4a\x0a\x06sha256\x12\x40" + digest.encode()
    assert metadata["sha256"] == digest


def test_export_is_reproducible(run: Path) -> None:
    before = (run / "onnx" / "model.onnx").read_bytes()
    assert run_zoo("export", run, "--onnx", "--provider", "cpu").exit_code == 0
    assert (run / "onnx" / "model.onnx").read_bytes() == before


# --- what cannot be exported ----------------------------------------------------------------------------------------


SUPPORTED_HEADS = "use a torch.nn.Linear, or a Sequential of Linear, ReLU, Tanh and Dropout"


class StrangeCell(zoo.Cell):
    """A cell that equals no operator."""

    name = "strange"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, state_sizes=(config.hidden_size,), output_size=config.hidden_size)
        self.weight = nn.Linear(input_size, config.hidden_size)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h = torch.sin(self.weight(x)) + state[0]
        return h, (h,)


class MisshapenCell(StrangeCell):
    """A cell whose operator has weights of the wrong shape."""

    def operator(self) -> zoo.Operator:
        return zoo.Operator("RNN", "i", self.weight.weight, self.weight.weight[:, :1])


def with_cell(cell: type[StrangeCell]) -> zoo.Model:
    model = make_model("lstm", hidden_size=5)
    layer = model.layers()[0]
    layer.cells[0] = cell(FEATURES, zoo.CellConfig(hidden_size=5))
    layer.fused = False
    return model


def with_part(**parts: nn.Module) -> zoo.Model:
    model = make_model("lstm")
    for name, part in parts.items():
        setattr(model, name, part)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            with_part(encoder=nn.Identity()),
            "encoder: Identity cannot be exported; use a zoo.Normaliser, Embedding, OneHot or TableEncoder",
        ),
        (with_part(head=nn.Sequential()), f"head: Sequential cannot be exported; {SUPPORTED_HEADS}"),
        (with_part(head=nn.Identity()), f"head: Identity cannot be exported; {SUPPORTED_HEADS}"),
        (
            with_part(head=nn.Sequential(nn.Linear(5, 5), nn.GELU(), nn.Linear(5, CLASSES))),
            f"head: GELU cannot be exported; {SUPPORTED_HEADS}",
        ),
        (
            with_part(readout=nn.Softmax(1)),
            "readout: Softmax cannot be exported; use a zoo.SoftmaxReadout, SigmoidReadout, MultilabelReadout, "
            "RescaleReadout or one of its kinds",
        ),
    ],
    ids=["encoder", "empty head", "head", "part of the head", "readout"],
)
def test_unsupported_parts(model: zoo.Model, message: str, tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError) as caught:
        write(model, tmp_path)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_native_without_an_operator(tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError) as caught:
        write(with_cell(StrangeCell), tmp_path, lowering="native")
    assert str(caught.value) == (
        "layer 0: the cell 'strange' names no ONNX operator that it equals, so it has no lowering 'native'; "
        "use 'scan' or 'auto'"
    )
    assert not list(tmp_path.iterdir())


def test_an_operator_of_the_wrong_shape(tmp_path: Path) -> None:
    with pytest.raises(
        zoo.ExportError, match=r"^the model does not make a valid graph: \[ShapeInferenceError\]"
    ) as caught:
        write(with_cell(MisshapenCell), tmp_path, lowering="native")
    assert "\n" not in str(caught.value)


def test_a_failure_while_writing_leaves_the_old_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run / "onnx"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fail(_: object, path: Path) -> None:
        path.write_bytes(before["model.onnx"][:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zoo_onnx.file.ir.save", fail)
    outcome = run_zoo("export", run, "--onnx")
    assert outcome.exit_code == 1
    assert re.fullmatch(r"error: .*No space left on device.*\n", outcome.stderr)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
