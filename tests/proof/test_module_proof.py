"""The proof of any module: right files pass, altered ones fail with the reason, modules are refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.errors import UsageError
from zoo.progress import silent
from zoo.proof.cases import Extent
from zoo.proof.module import BY_NUMBERS, ModuleProof
from zoo.proof.module_call import Call
from zoo.proof.module_cases import CaseMaker
from zoo.proof.module_inputs import Argument, Drawer
from zoo_onnx import OnnxExporter

import zoo  # isort: skip

FEATURES, HIDDEN = 3, 4


class Net(nn.Module):
    """GRU over numbers with lengths, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, last = self.rnn(packed)
        padded, _ = pad_packed_sequence(outputs, batch_first=True)
        return self.head(padded), last


def example() -> tuple[Tensor, Tensor]:
    return torch.randn(3, 6, FEATURES, generator=torch.Generator().manual_seed(1)), torch.tensor([4, 6, 2])


class Proven:
    """A module, its proof and its file, for tests that alter the file."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.net, self.path = Net().eval(), folder / "net.onnx"
        OnnxExporter().export_module(self.net, example(), self.path, {}, zoo.ExportOptions())
        self.proof = ModuleProof(self.net, [example()])

    def prove(self, path: Path) -> dict[str, Any]:
        return self.proof.prove(path, ("cpu",), [], silent, Extent(seed=7))

    def altered(self, path: Path, change: Callable[[onnx.GraphProto], None]) -> dict[str, Any]:
        model = onnx.load(self.path)
        change(model.graph)
        onnx.save(model, path)
        return self.prove(path)


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Proven:
    return Proven(tmp_path_factory.mktemp("module"))


def test_a_right_file_passes(proven: Proven) -> None:
    report = proven.prove(proven.path)
    assert (report["verdict"], report["reasons"], report["notes"]) == ("passed", [], [BY_NUMBERS])
    assert report["inputs"]["x"] == {"dtype": "float32", "shape": ["batch", "time", FEATURES]}
    assert (report["module"], report["seed"], report["thorough"]) == ("Net", 7, False)
    sizes = {(case["sizes"]["batch"], case["sizes"]["time"]) for case in report["cases"] if "drawn" not in case}
    assert sizes == {(3, 6), (1, 1), (3, 2), (1, 50), (2, 200)}
    assert sum("drawn" in case for case in report["cases"]) == 8
    outputs = report["providers"][0]["outputs"]
    assert [output["name"] for output in outputs] == ["output_0", "output_1"]
    assert all(0 < output["over_budget"] < 0.5 for output in outputs)
    assert report["providers"][0]["repeats"]["identical"]


def _weight_off(graph: onnx.GraphProto) -> None:
    weight = next(item for item in graph.initializer if item.name == "head.weight")
    array = numpy_helper.to_array(weight).copy()
    array[0, 0] += 1e-3
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))


def _gru(graph: onnx.GraphProto) -> onnx.NodeProto:
    node: onnx.NodeProto = next(node for node in graph.node if node.op_type == "GRU")
    return node


def _reset_flipped(graph: onnx.GraphProto) -> None:
    next(item for item in _gru(graph).attribute if item.name == "linear_before_reset").i = 0


def _lengths_ignored(graph: onnx.GraphProto) -> None:
    _gru(graph).input[4] = ""


def _directions_swapped(graph: onnx.GraphProto) -> None:
    for item in graph.initializer:
        if item.name in _gru(graph).input[1:4]:
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item)[::-1].copy(), item.name))


@pytest.mark.parametrize("change", [_weight_off, _reset_flipped, _lengths_ignored, _directions_swapped])
def test_an_altered_file_fails(proven: Proven, tmp_path: Path, change: Callable[[onnx.GraphProto], None]) -> None:
    report = proven.altered(tmp_path / "net.onnx", change)
    assert report["verdict"] == "failed"
    assert "times its budget" in report["reasons"][0]
    assert max(output["over_budget"] for output in report["providers"][0]["outputs"]) > 3


def test_swapped_outputs_fail_by_their_shape(proven: Proven, tmp_path: Path) -> None:
    def swap(graph: onnx.GraphProto) -> None:
        first, second = graph.output
        graph.output.extend([second, first])
        del graph.output[:2]

    report = proven.altered(tmp_path / "net.onnx", swap)
    assert report["verdict"] == "failed"
    assert "shape (3, 6, 2) instead of (2, 3, 4)" in report["reasons"][0]


def test_an_axis_that_the_file_freezes_is_named(tmp_path: Path) -> None:
    """The file declares a free time, and adds a constant of 6 steps to its output."""
    net, x, path = nn.RNN(FEATURES, HIDDEN, batch_first=True).eval(), torch.randn(3, 6, FEATURES), tmp_path / "net.onnx"
    OnnxExporter().export_module(net, (x,), path, {}, zoo.ExportOptions())
    model = onnx.load(path)
    name, steps = model.graph.output[0].name, np.zeros((1, 6, HIDDEN), np.float32)
    node = next(node for node in model.graph.node if name in node.output)
    node.output[list(node.output).index(name)] = "free"
    model.graph.initializer.append(numpy_helper.from_array(steps, "steps"))
    model.graph.node.append(onnx.helper.make_node("Add", ["free", "steps"], [name]))
    onnx.save(model, path)
    report = ModuleProof(net, [(x,)]).prove(path, ("cpu",), [], silent, Extent(seed=7))
    assert report["verdict"] == "failed"
    reason = report["reasons"][0]
    assert "fails at batch 3, time 2" in reason
    assert "because of axis 1 of input (time), which works at 6" in reason
    assert len(reason) < 500


def test_a_file_with_fixed_sizes_is_noted(proven: Proven, tmp_path: Path) -> None:
    def fix(graph: onnx.GraphProto) -> None:
        graph.input[0].type.tensor_type.shape.dim[1].dim_value = 6

    report = proven.altered(tmp_path / "net.onnx", fix)
    assert report["verdict"] == "passed"
    assert "x: axis 1 is fixed at 6 in the file, and the module takes other sizes" in report["notes"]
    report = ModuleProof(proven.net, [(torch.randn(3, 7, FEATURES), torch.tensor([7, 3, 2]))]).prove(
        tmp_path / "net.onnx", ("cpu",), [], silent, Extent(seed=7)
    )
    assert report["reasons"] == ["axis 1 of x is fixed at 6, and the example has 7"]


def test_names_of_sizes_do_not_matter(proven: Proven, tmp_path: Path) -> None:
    """Sizes that vary together are recognised although the file gives each another name."""

    def rename(graph: onnx.GraphProto) -> None:
        for number, item in enumerate(graph.input):
            item.type.tensor_type.shape.dim[0].dim_param = f"s{number}"
        for item in graph.output:
            item.type.tensor_type.ClearField("shape")
        del graph.value_info[:]

    report = proven.altered(tmp_path / "net.onnx", rename)
    assert report["verdict"] == "passed"
    assert report["inputs"]["lengths"]["shape"] == ["s0"]


def test_another_interface_fails(proven: Proven, tmp_path: Path) -> None:
    class Other(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.cumsum(1)

    report = ModuleProof(Other().eval(), [(torch.randn(3, 6, FEATURES),)]).prove(
        proven.path, ("cpu",), [], silent, Extent(seed=7)
    )
    assert report["verdict"] == "failed"
    assert report["reasons"] == [f"{proven.path}: takes x, lengths, and the module takes x"]
    (tmp_path / "no.onnx").write_bytes(b"no model")
    assert proven.prove(tmp_path / "no.onnx")["verdict"] == "failed"


def test_a_file_of_stock_torch_is_judged(tmp_path: Path) -> None:
    """The file that torch.onnx writes for a plain GRU is right; with a flipped attribute it is not."""
    torch.manual_seed(0)
    net, x = nn.GRU(FEATURES, HIDDEN, batch_first=True).eval(), torch.randn(3, 6, FEATURES)
    path = tmp_path / "stock.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), path, dynamo=False, dynamic_axes={"x": [0, 1]}, input_names=["x"])
    proof = ModuleProof(net, [(x,)])
    report = proof.prove(path, ("cpu",), [], silent, Extent(seed=7))
    assert report["verdict"] == "passed"
    model = onnx.load(path)
    _reset_flipped(model.graph)
    onnx.save(model, path)
    report = proof.prove(path, ("cpu",), [], silent, Extent(seed=7))
    assert report["verdict"] == "failed"
    assert "times its budget" in report["reasons"][0]


class Trained(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Counting(nn.Module):
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * 2


class Remembering(nn.Module):
    last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = x if self.last is None else self.last + x
        return self.last


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(7, 7)


class Silent(nn.Module):
    def forward(self, x: Tensor) -> str:
        return str(x.shape)


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.from_numpy(np.ones((FEATURES, 2), np.float32))


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Trained(), "in training mode; call eval()"),
        (Noisy().eval(), "is random"),
        (Counting().eval(), "changes 'calls'"),
        (Remembering().eval(), "keeps something from the first call"),
        (Half().eval(), "cannot run in float64"),
        (Failing().eval(), "fails with the example"),
        (Silent().eval(), "returns no tensor"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_cannot_be_judged_is_refused_in_one_line(net: nn.Module, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        ModuleProof(net, [(torch.randn(2, 5, FEATURES),)])
    text = str(caught.value)
    assert words in text
    assert "\n" not in text
    assert type(net).__name__ in text
    assert text.startswith(f"{__file__}:")
    if type(net) is not Trained:  # the line inside forward, or that of its def
        assert int(text.split(":")[1]) > 0


def test_arguments_that_do_not_fit_are_refused(proven: Proven) -> None:
    with pytest.raises(UsageError, match="missing a required argument: 'lengths'"):
        ModuleProof(proven.net, [example()[:1]])
    with pytest.raises(UsageError, match="no argument of the example is a tensor"):
        ModuleProof(Trained().eval(), [(3,)])
    with pytest.raises(UsageError, match="is empty"):
        ModuleProof(Trained().eval(), [(torch.zeros(0, 3),)])


def _drawer(**examples: np.ndarray[Any, Any]) -> Drawer:
    axes = {2: ("batch", "time"), 1: ("batch",), 3: ("batch", "time", None)}
    return Drawer([Argument(name, (value,), axes[value.ndim]) for name, value in examples.items()], "batch", 0)


def test_integers_stay_in_the_range_of_the_example_and_all_are_tried() -> None:
    drawer = _drawer(ids=np.array([[2, 5, 9], [2, 2, 2]]))
    drawn = np.concatenate([drawer.draw("wide", {"batch": 2, "time": 7})[0].ravel() for _ in range(2)])
    assert set(drawn.tolist()) == set(range(2, 10))
    assert drawer.untried == {}
    assert set(drawer.draw("data", {"batch": 3, "time": 7})[0].ravel().tolist()) <= {2, 5, 9}


def test_lengths_are_drawn_up_to_the_number_of_steps() -> None:
    drawer = _drawer(x=np.ones((2, 7, 1), np.float32), lengths=np.array([7, 3]))
    drawn = [drawer.draw("data", {"batch": 4, "time": 20})[1] for _ in range(10)]
    assert all(values.min() >= 1 and values.max() <= 20 for values in drawn)
    assert any(values.max() == 20 for values in drawn)
    assert any(values.max() < 20 for values in drawn)
    assert any((np.diff(values) > 0).any() for values in drawn)
    drawer.descending = True
    assert all((np.diff(drawer.draw("data", {"batch": 4, "time": 20})[1]) <= 0).all() for _ in range(10))


def test_masks_keep_what_their_rows_have() -> None:
    drawer = _drawer(mask=np.array([[True, True, False], [True, False, False]]))
    for kind in ("data", "wide", "extreme"):
        mask = drawer.draw(kind, {"batch": 50, "time": 9})[0]
        assert mask.any(1).all()
        assert (~mask).any(1).all()
        if kind != "data":
            assert (mask[:, :-1] >= mask[:, 1:]).all()


def test_numbers_that_are_never_negative_stay_so() -> None:
    drawer = _drawer(x=np.random.default_rng(0).uniform(1, 2, (3, 4)).astype(np.float32))
    wide, extreme = (drawer.draw(kind, {"batch": 9, "time": 99})[0] for kind in ("wide", "extreme"))
    assert wide.min() >= 0.3
    assert 2.5 < wide.max() <= 3
    assert extreme.min() > 0
    assert 15 < extreme.max() <= 20
    assert wide.dtype == np.float32


def test_a_causal_mask_keeps_its_diagonals() -> None:
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    drawer = Drawer([Argument("mask", (mask,), ("time", "time"))], None, 0)
    for size in (1, 3, 9):
        assert np.array_equal(drawer.draw("wide", {"time": size})[0], np.triu(np.full((size, size), -np.inf), 1))


def test_sizes_that_the_module_refuses_are_not_tried() -> None:
    """A module that merges pairs of steps; drawn sizes move to the next one that it takes."""

    def run(arrays: Any) -> list[Any] | None:
        return None if arrays[0].shape[1] % 2 else [arrays[0]]

    argument = Argument("x", (np.ones((3, 6), np.float32),), ("batch", "time"))
    cases = list(CaseMaker([argument], run, Extent(seed=3)).cases())
    assert {case.time % 2 for case in cases} == {0}
    assert {(3, 6), (3, 2), (1, 50), (2, 200)} <= {(case.batch, case.time) for case in cases}
    assert sum(case.drawn for case in cases) == 8


def test_several_examples_of_other_sizes(proven: Proven) -> None:
    """Inputs are drawn like any of them."""
    further = (torch.full((2, 9, FEATURES), 50.0), torch.tensor([9, 1]))
    proof = ModuleProof(proven.net, [example(), further])
    arguments = [Argument("x", (example()[0].numpy(), further[0].numpy()), ("batch", "time", None))]
    assert Drawer(arguments, "batch", 0).draw("wide", {"batch": 5, "time": 90})[0].max() > 90
    assert proof.prove(proven.path, ("cpu",), [], silent, Extent(seed=7))["verdict"] == "passed"
    with pytest.raises(UsageError, match="differ in the structure"):
        ModuleProof(proven.net, [example(), (further,)])


class PackedStates(nn.Module):
    """A packed LSTM whose first state is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(3, 4)

    def forward(self, x: Tensor, lengths: Tensor, h: Tensor, c: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(self.layer(packed, (h, c))[0])[0]


@pytest.mark.parametrize("shape", [(2, 2, 4), (1, 1, 4), (1, 2, 3)])
def test_states_that_do_not_fit_a_packed_sequence_raise_before_the_kernel_reads_them(
    shape: tuple[int, int, int],
) -> None:
    net, x, lengths = PackedStates(), torch.randn(5, 2, 3), torch.tensor([5, 2])
    call = Call(net, (x, lengths, torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))
    wrong = [x.numpy(), lengths.numpy(), np.zeros(shape, np.float32), np.zeros((1, 2, 4), np.float32)]
    with pytest.raises(RuntimeError, match=r"Expected hidden\[0\] size \(1, 2, 4\)"):
        call.outputs(net, wrong)
    assert not net.layer._forward_pre_hooks
