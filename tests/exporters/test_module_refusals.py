"""Modules that cannot be exported with free sizes: one line with the user's file and line, the reason and a remedy."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.exporters.modules import assert_agrees, export

X = torch.randn(4, 7, 3)


class Cells(nn.Module):
    """One LSTM cell, called by a Python loop in the subclasses."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 5)

    def start(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.new_zeros(x.size(0), 5), x.new_zeros(x.size(0), 5)


class RangeLoop(Cells):
    def forward(self, x: Tensor) -> Tensor:
        h, c = self.start(x)
        for step in range(x.size(1)):  # HERE
            h, c = self.cell(x[:, step], (h, c))
        return h


class UnbindLoop(Cells):
    def forward(self, x: Tensor) -> Tensor:
        h, c = self.start(x)
        for step in x.unbind(1):  # HERE
            h, c = self.cell(step, (h, c))
        return h


class TensorLoop(Cells):
    def forward(self, x: Tensor) -> Tensor:
        h, c = self.start(x)
        for step in x.transpose(0, 1):  # HERE
            h, c = self.cell(step, (h, c))
        return h


class ChunkLoop(Cells):
    def forward(self, x: Tensor) -> Tensor:
        h, c = self.start(x)
        for step in x.chunk(x.size(1), 1):  # HERE
            h, c = self.cell(step.squeeze(1), (h, c))
        return h


class WhileLoop(Cells):
    def forward(self, x: Tensor) -> Tensor:
        h, c = self.start(x)
        step = 0
        while step < x.size(1):  # HERE
            h, c = self.cell(x[:, step], (h, c))
            step += 1
        return h


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 5, batch_first=True)


class LayerLoop(Recurrent):
    def forward(self, x: Tensor) -> Tensor:
        h, outputs = None, []
        for step in range(x.size(1)):  # HERE
            y, h = self.rnn(x[:, step : step + 1], h)
            outputs.append(y)
        return torch.cat(outputs, 1)


class SizeBranch(Recurrent):
    def forward(self, x: Tensor) -> Any:
        if x.size(1) > 5:  # HERE
            return self.rnn(x)[0]
        return self.rnn(x * 2)[0]


class Length(Recurrent):
    def forward(self, x: Tensor) -> Any:
        return self.rnn(x)[0].sum(1) / math.sqrt(x.size(1))  # HERE


class KeepsState(Recurrent):
    state: Tensor | None = None

    def forward(self, x: Tensor) -> Any:  # HERE
        outputs, self.state = self.rnn(x, self.state)
        return outputs


class Counts(Recurrent):
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:  # HERE
        self.count += 1
        return self.rnn(x)[0] + self.count


class ValueBranch(Recurrent):
    def forward(self, x: Tensor) -> Any:
        if x.sum() > 0:  # HERE
            return self.rnn(x)[0]
        return self.rnn(-x)[0]


class Positions(Recurrent):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(7, 3))

    def forward(self, x: Tensor) -> Any:
        x = x + self.positions  # HERE
        return self.rnn(x)[0]


class Random(Recurrent):
    def forward(self, x: Tensor) -> Any:
        return nn.functional.dropout(self.rnn(x)[0], 0.5)  # HERE


class ToNumpy(Recurrent):
    def forward(self, x: Tensor) -> Any:
        return self.rnn(torch.from_numpy(x.numpy() * 2))[0]  # HERE


class Fails(Recurrent):
    def forward(self, x: Tensor) -> Any:
        return self.rnn(x)[0].reshape(3, 3)  # HERE


DEPENDS = r"Python code depends on a size \(axis 1 of x\), so the graph would hold for some sizes only; "
SIZE = DEPENDS + r"use nn.*write the step as a zoo.Cell \(plugins/README.md\), or fix that axis"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (RangeLoop, SIZE),
        (UnbindLoop, "unbind fixes axis 1 of x at 7; use nn.LSTM"),
        (TensorLoop, "unbind fixes axis 1 of x at 7; use nn.LSTM"),
        (ChunkLoop, "chunk fixes axis 1 of x at 7; use nn.LSTM"),
        (WhileLoop, SIZE),
        (LayerLoop, SIZE),
        (SizeBranch, DEPENDS + "use torch.where, or fix that axis"),
        (Length, DEPENDS + r"use x.size\(axis\) and operations of torch"),
        (
            KeepsState,
            "its forward stores 'state' on the module, which a graph cannot keep; return the value, and take it",
        ),
        (Counts, "its forward stores 'count' on the module, which a graph cannot keep; return the value"),
        (ValueBranch, "Python control flow depends on the value of a tensor; use torch.where"),
        (Positions, "the layer rnn.l0 would always read 7 steps; use nn.LSTM"),
        (Random, "it draws random numbers; draw them in training only"),
        (ToNumpy, "a tensor is converted to NumPy; compute with torch"),
        (Fails, "RuntimeError: .*; give arguments that its forward takes"),
    ],
)
def test_a_refusal_names_the_line(
    kind: type[nn.Module], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines, start = inspect.getsourcelines(kind)
    number = start + next(index for index, line in enumerate(lines) if "# HERE" in line)
    does = "fails with the example arguments" if kind is Fails else "cannot be traced"
    with pytest.raises(
        zoo.ExportError, match=f"{__file__}:{number}: the module {kind.__name__} {does}: {message}"
    ) as raised:
        export(kind().eval(), (X,), tmp_path / "net.onnx")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_a_fixed_number_of_steps(tmp_path: Path) -> None:
    net, path = RangeLoop().eval(), tmp_path / "net.onnx"
    signature = export(net, (X,), path, fixed={"x": [1]})
    assert signature.inputs[0].shape == ("batch", 7, 3)
    assert_agrees(net, path, (torch.randn(2, 7, 3),))


@pytest.mark.parametrize("fixed", [{"x": [0]}, {"x": [2]}, {"other": [0, 1]}])
def test_another_fixed_axis_does_not_permit_frozen_steps(fixed: dict[str, list[int]], tmp_path: Path) -> None:
    class Two(Recurrent):
        def forward(self, x: Tensor, other: Tensor) -> Any:
            return self.rnn(x + torch.ones(7, 3))[0] * other.sum()

    with pytest.raises(zoo.ExportError, match=r"the layer rnn\.l0 would always read 7 steps; use nn\.LSTM"):
        export(Two().eval(), (X, torch.randn(2, 3)), tmp_path / "net.onnx", fixed=fixed)


class OneRow(Recurrent):
    """Its weights fix the number of sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, 4, 5))

    def forward(self, x: Tensor) -> Any:
        return self.rnn(x, self.first)[0]


def test_fixed_steps_do_not_permit_a_frozen_batch(tmp_path: Path) -> None:
    net, path = OneRow().eval(), tmp_path / "net.onnx"
    with pytest.raises(zoo.ExportError, match=r"the layer rnn\.l0 would always read 4 sequences"):
        export(net, (X,), path, fixed={"x": [1]})
    assert export(net, (X,), path, fixed={"x": [0]}).inputs[0].shape == (4, "time", 3)
    with pytest.raises(zoo.ExportError, match="would always read 1 sequences; give an example with two or more"):
        export(Checks().eval(), (X[:1],), path, fixed={"x": [1]})


class Strided(nn.Module):
    """A layer that reads every second step."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(3, 4, 2, stride=2)
        self.rnn = nn.GRU(4, 5, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.rnn(self.convolution(x.transpose(1, 2)).transpose(1, 2))[0]


@pytest.mark.parametrize(
    ("net", "steps", "fixed"),
    [
        (Positions(), 7, [1]),
        (LayerLoop(), 5, [1]),
        (Strided(), 8, [1]),
        (Strided(), 6, [1, 2]),  # 3 steps are read and there are 3 features, so the features must be fixed as well
    ],
    ids=["positions", "loop", "strided", "as many steps as features"],
)
def test_sizes_that_follow_from_fixed_steps(net: nn.Module, steps: int, fixed: list[int], tmp_path: Path) -> None:
    net, path = net.eval(), tmp_path / "net.onnx"
    signature = export(net, (torch.randn(4, steps, 3),), path, fixed={"x": fixed})
    assert signature.inputs[0].shape == ("batch", steps, 3)
    assert_agrees(net, path, (torch.randn(2, steps, 3),))


class Rounds(nn.Module):
    """A loop of a fixed number of rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for _ in range(3):
            h = self.cell(x, h)
        return h


class Checks(Recurrent):
    """Checks of sizes, which forbid others."""

    def forward(self, x: Tensor) -> Any:
        assert x.size(2) == 3
        if x.size(1) > 50:
            raise ValueError("too long")
        return self.rnn(x)[0]


def test_rounds_and_checks_are_no_faults(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert export(Rounds().eval(), (X[:, 0],), path).inputs[0].shape == ("batch", 3)
    assert export(Checks().eval(), (X,), path).ranges == {"batch": (1, None), "time": (1, 50)}


@pytest.mark.parametrize(("x", "what"), [(X[:1], "sequences"), (X[:, :1], "steps")])
def test_an_example_of_size_one(x: Tensor, what: str, tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError, match=f"would always read 1 {what}; give an example with two or more {what}"):
        export(Checks().eval(), (x,), tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("net", "args", "options", "error"),
    [
        (nn.Sequential(nn.GRU(3, 5)), (X,), {}, "Sequential is in training mode; call eval"),
        (nn.GRU(3, 5).double().eval(), (X.double(),), {}, "module: the recurrent layer is in float64; call float"),
        (
            nn.GRU(3, 5).eval(),
            (X, None, X),
            {},
            "GRU.forward: too many positional arguments; give one example for each",
        ),
        (nn.GRU(3, 5).eval(), (X,), {"fixed": {"y": [0]}}, "fixed: 'y' is no argument of forward; expected input"),
        (nn.GRU(3, 5).eval(), (X,), {"streaming": True}, "streaming: is for models from a spec"),
        (nn.GRU(3, 5).eval(), (X,), {"opset": 17}, "opset 17: a module needs 18 or newer"),
    ],
)
def test_other_refusals(net: nn.Module, args: Any, options: dict[str, Any], error: str, tmp_path: Path) -> None:
    with pytest.raises(zoo.ZooError, match=error):
        export(net, args, tmp_path / "net.onnx", **options)


def test_a_part_in_training_mode(tmp_path: Path) -> None:
    net = Checks().eval()
    net.rnn.train()
    with pytest.raises(zoo.ExportError, match=r"Checks\.rnn is in training mode"):
        export(net, (X,), tmp_path / "net.onnx")


def test_the_file_passes_the_checker(tmp_path: Path) -> None:
    export(Checks().eval(), (X,), tmp_path / "net.onnx")
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
