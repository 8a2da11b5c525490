"""Modules of many shapes, exported and compared with their exact results at sizes that were not traced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.cells.learned_start import LearnedStartCell
from tests.exporters.module_nets import NETS, Attention, Towers
from tests.exporters.modules import SHAPES, assert_agrees, export
from tests.exporters.typed_cells import TYPED_CELLS
from tests.support.builders import config_type, layer_type
from tests.support.models import make_model


@pytest.mark.parametrize("name", NETS)
def test_a_module_agrees_at_every_size(name: str, tmp_path: Path) -> None:
    case = NETS[name]
    torch.manual_seed(0)
    net, path = case.net().eval(), tmp_path / "net.onnx"
    export(net, case.args(*SHAPES[0]), path)
    nodes = [node.op_type for node in onnx.load(path).graph.node]
    assert sorted(node for node in nodes if node in ("LSTM", "GRU", "RNN", "Scan")) == case.operators.split()
    for shape in SHAPES:
        assert_agrees(net, path, case.args(*shape))


def test_two_exports_in_one_process(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Both are right, equal files come from equal modules, and nothing is printed."""
    torch.manual_seed(0)
    first, second = Attention().eval(), Attention().eval()
    files = [tmp_path / f"{number}.onnx" for number in range(3)]
    args = NETS["attention"].args(*SHAPES[0])
    for net, path in zip((first, second, first), files, strict=True):
        export(net, args, path)
    for net, path in zip((first, second), files, strict=False):
        assert_agrees(net, path, NETS["attention"].args(2, 9))
    assert files[0].read_bytes() == files[2].read_bytes()
    assert capfd.readouterr() == ("", "")


def test_the_signature_names_what_is_free(tmp_path: Path) -> None:
    case = NETS["policy"]
    signature = export(case.net().eval(), case.args(3, 7), tmp_path / "net.onnx")
    assert [(item.name, item.dtype, item.shape) for item in signature.inputs] == [
        ("observation", "float32", ("time", "batch", 6)),
        ("state_0", "float32", (2, "batch", 8)),
        ("state_1", "float32", (2, "batch", 8)),
    ]
    assert [(item.name, item.shape) for item in signature.outputs] == [
        ("logits", ("time", "batch", 2)),
        ("value", ("time", "batch")),
        ("next_0", (2, "batch", 8)),
        ("next_1", (2, "batch", 8)),
    ]
    assert signature.ranges == {"batch": (1, None), "time": (1, None)}
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [value.name for value in graph.input] == [item.name for item in signature.inputs]
    assert [value.name for value in graph.output] == [item.name for item in signature.outputs]


def test_sizes_of_other_names(tmp_path: Path) -> None:
    case = NETS["packed_attention"]
    signature = export(case.net().eval(), case.args(3, 7), tmp_path / "net.onnx")
    assert [item.shape for item in signature.outputs] == [
        ("batch", 16), (2, "batch", 8), ("batch", "longest", 16), ("batch",)
    ]  # fmt: skip
    signature = export(Towers().eval(), NETS["towers"].args(3, 7), tmp_path / "net.onnx")
    assert [item.shape for item in signature.inputs] == [("batch", "time"), ("batch", "time_2")]
    image = export(NETS["crnn"].net().eval(), NETS["crnn"].args(3, 7), tmp_path / "net.onnx").inputs[0]
    assert image.shape == ("batch", 1, 8, "time")


def test_even_numbers_of_steps_are_a_condition(tmp_path: Path) -> None:
    case = NETS["pyramid"]
    signature = export(case.net().eval(), case.args(3, 7), tmp_path / "net.onnx")
    assert signature.inputs[0].shape == ("batch", "time", 6)
    assert any("time//2" in condition for condition in signature.conditions)


def test_weights_are_stored_once_under_the_names_of_parameters(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(Towers().eval(), NETS["towers"].args(3, 7), path)
    weights = [value.name for value in onnx.load(path).graph.initializer]
    assert {"embedding.weight", "rnn.l0/gru/W", "rnn.l0/gru/R", "rnn.l0/gru/B"} <= set(weights)
    assert len(weights) == len(set(weights))
    export(NETS["summed"].net().eval(), NETS["summed"].args(3, 7), path)
    weights = [value.name for value in onnx.load(path).graph.initializer]
    expected = {"rnn.weight_ih_l0_reverse", "rnn.weight_hh_l0", "projected.weight_hr_l0", "projected.bias_hh_l0"}
    assert expected <= set(weights)


def test_the_file_has_no_paths_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(Attention().eval(), NETS["attention"].args(3, 7), path)
    assert str(Path(__file__).parent).encode() not in path.read_bytes()


@pytest.mark.parametrize("lowering", ["native", "scan"])
def test_lowerings(lowering: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    net, case = Attention().eval(), NETS["attention"]
    export(net, case.args(3, 7), path, lowering=lowering)
    operators = {node.op_type for node in onnx.load(path).graph.node}
    assert ("Scan" in operators, "LSTM" in operators) == (lowering == "scan", lowering == "native")
    assert_agrees(net, path, case.args(2, 9))


@pytest.mark.parametrize("opset", [18, 23])
def test_opsets(opset: int, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    net, case = NETS["packed_attention"].net().eval(), NETS["packed_attention"]
    export(net, case.args(3, 7), path, opset=opset)
    assert onnx.load(path).opset_import[0].version == opset
    assert_agrees(net, path, case.args(2, 9))


class Unbatched(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(6, 8, 2, bidirectional=True)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self.rnn(x, (h, c))
        return outputs, state


def test_a_sequence_without_a_batch(tmp_path: Path) -> None:
    net, path = Unbatched().eval(), tmp_path / "net.onnx"
    signature = export(net, (torch.randn(7, 6), torch.randn(4, 8), torch.randn(4, 8)), path)
    assert signature.inputs[0].shape == ("time", 6)
    for steps in (1, 5, 200):
        assert_agrees(net, path, (torch.randn(steps, 6), torch.randn(4, 8), torch.randn(4, 8)))


class SubclassedLSTM(nn.LSTM):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return torch.relu(super().forward(x)[0])


def test_a_subclass_and_a_layer_alone(tmp_path: Path) -> None:
    net, path = SubclassedLSTM(6, 8, batch_first=True).eval(), tmp_path / "net.onnx"
    export(net, (torch.randn(3, 7, 6),), path)
    assert_agrees(net, path, (torch.randn(2, 9, 6),))
    assert {"l0/lstm/W"} <= {value.name for value in onnx.load(path).graph.initializer}


class DirectedLayer(nn.Module):
    """A `zoo.Layer` of any cell in both directions, read twice, the second time from the first one's states."""

    def __init__(self, cell: type[zoo.Cell]) -> None:
        super().__init__()
        config = config_type(cell).model_validate({"hidden_size": 4, "direction": "bidirectional"})
        self.layer = layer_type(cell)(3, config)

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        first = self.layer(x, lengths)
        second = self.layer(x, None, first.states)
        return first.outputs, first.last, second.last, second.states


@pytest.mark.parametrize("cell", [LearnedStartCell, TYPED_CELLS["bool"]], ids=["learned_start", "flag"])
def test_a_layer_of_any_cell(cell: type[zoo.Cell], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, path = DirectedLayer(cell).eval(), tmp_path / "net.onnx"
    export(net, (torch.randn(7, 3, 3), torch.tensor([2, 7, 3])), path)
    assert_agrees(net, path, (torch.randn(9, 2, 3), torch.tensor([4, 1])))


@pytest.mark.parametrize("pooling", ["max", "last_step"])
def test_a_model_of_the_zoo_is_a_module(pooling: str, tmp_path: Path) -> None:
    net, path = make_model("lstm", pooling=pooling, takes_lengths=True), tmp_path / "net.onnx"
    export(net, (torch.randn(3, 7, 8), torch.tensor([2, 7, 3])), path)
    assert_agrees(net, path, (torch.randn(2, 9, 8), torch.tensor([4, 1])))


def test_the_module_is_unchanged(tmp_path: Path) -> None:
    net = NETS["packed_attention"].net().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    kinds = [type(part) for part in net.modules()]
    function = torch.nn.utils.rnn.pack_padded_sequence
    export(net, NETS["packed_attention"].args(3, 7), tmp_path / "net.onnx")
    assert [type(part) for part in net.modules()] == kinds
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.nn.utils.rnn.pack_padded_sequence is function


def test_wrong_lengths_and_states_are_refused_by_the_graph(tmp_path: Path) -> None:
    from tests.exporters.modules import run

    case, path = NETS["packed_attention"], tmp_path / "net.onnx"
    export(case.net().eval(), case.args(3, 7), path)
    for lengths in ([0, 1], [1, 6]):
        with pytest.raises(Exception, match=r"indices element out of data bounds"):
            run(path, (torch.zeros(2, 5, dtype=torch.int64), torch.tensor(lengths)))


def test_an_exporter_without_modules() -> None:
    from zoo_onnx import OnnxExporter

    with pytest.raises(zoo.ExportError, match="x: the exporter 'onnx' cannot export the module Linear"):
        zoo.Exporter.export_module(OnnxExporter(), nn.Linear(1, 1), (), Path("x"), {}, zoo.ExportOptions())
