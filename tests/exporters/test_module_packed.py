"""Packed sequences in exported modules: every option of packing and padding, and what has no form in a graph."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import rnn as utilities
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import zoo
from tests.exporters.modules import assert_agrees, export

FEATURES, HIDDEN = 6, 8


class Packs(nn.Module):
    """A GRU over packed sequences; options of the two functions of torch."""

    def __init__(self, *, batch_first: bool = True, pack: Any = None, pad: Any = None) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, HIDDEN, batch_first=batch_first, bidirectional=True)
        self.pack, self.pad = {"enforce_sorted": False, **(pack or {})}, pad or {}

    def forward(self, x: Tensor, lengths: Tensor, h: Tensor) -> Any:
        first = self.rnn.batch_first
        packed = pack_padded_sequence(x, lengths.cpu(), first, **self.pack)
        outputs, final = self.rnn(packed.to(x.dtype), h)
        pad = {name: x.size(int(first)) if value == "steps" else value for name, value in self.pad.items()}
        return pad_packed_sequence(outputs, first, **pad), final


class ThroughTheModule(nn.Module):
    """Packing under the name of torch's module, without a recurrent layer in between; a mask gives the lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(FEATURES, HIDDEN, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        lengths = mask.long().sum(1)
        packed = utilities.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        copied, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
        assert isinstance(packed, PackedSequence)
        _, (h, _) = self.rnn(packed)
        return copied, h[-1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_first": False, "pad": {"padding_value": -2.5}},
        {"pack": {"enforce_sorted": True}, "pad": {"total_length": "steps"}},
        {"pad": {"total_length": 12, "padding_value": 1.0}},
    ],
    ids=["plain", "time_first", "total_length_of_the_input", "longer_total_length"],
)
def test_options(options: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, path = Packs(**options).eval(), tmp_path / "net.onnx"

    def args(*lengths: int) -> tuple[Tensor, ...]:
        rows, steps = len(lengths), max(max(lengths), 5)
        shape = (rows, steps, FEATURES) if net.rnn.batch_first else (steps, rows, FEATURES)
        return torch.randn(shape), torch.tensor(lengths), torch.randn(2, rows, HIDDEN)

    signature = export(net, args(7, 3, 2), path)
    assert [item.name for item in signature.inputs] == ["x", "lengths", "h"]
    for lengths in ((7, 3, 2), (1,), (12, 12, 4, 1)):
        assert_agrees(net, path, args(*lengths))
    if not net.pack["enforce_sorted"]:
        assert_agrees(net, path, args(2, 4, 4, 1))


def test_the_steps_beyond_the_longest_are_cut_and_padding_is_not_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, path = ThroughTheModule().eval(), tmp_path / "net.onnx"
    x, mask = torch.randn(3, 7, FEATURES), torch.arange(7)[None] < torch.tensor([4, 7, 2])[:, None]
    signature = export(net, (x, mask), path)
    assert signature.outputs[0].shape == ("batch", "longest", FEATURES)
    x = torch.randn(2, 9, FEATURES)
    mask = torch.arange(9)[None] < torch.tensor([4, 1])[:, None]
    assert net(x, mask)[0].shape == (2, 4, FEATURES)
    x[0, 4:] = torch.nan
    assert_agrees(net, path, (x, mask))


class Refused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, HIDDEN, batch_first=True)

    def pack(self, x: Tensor, lengths: Any) -> PackedSequence:
        return pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)


class UsesData(Refused):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        return self.rnn(self.pack(x, lengths))[0].data  # HERE


class Unpacks(Refused):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        data, *_ = self.pack(x, lengths)  # HERE
        return data


class MakesOne(Refused):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        packed = PackedSequence(x[:, 0], torch.tensor([3]))
        return self.rnn(packed)[1]  # HERE


class PythonLengths(Refused):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        packed = pack_padded_sequence(x, lengths.tolist(), batch_first=True, enforce_sorted=False)  # HERE
        return self.rnn(packed)[1]


class PacksAList(Refused):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        packed = pack_sequence([x[0], x[1]])  # HERE
        return self.rnn(packed)[1]


class ReturnsOne(Refused):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:  # HERE
        return self.rnn(self.pack(x, lengths))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (UsesData, r"PackedSequence\.data is used.*; use pad_packed_sequence and the lengths"),
        (Unpacks, r"PackedSequence\.data is used.*; use pad_packed_sequence and the lengths"),
        (
            MakesOne,
            "a PackedSequence is made from its parts; pack padded sequences with pack_padded_sequence in forward",
        ),
        (PythonLengths, "the lengths are Python numbers.*; give pack_padded_sequence a tensor"),
        (PacksAList, "pack_sequence takes a Python list, so the batch would be fixed at 2; pad the sequences outside"),
        (ReturnsOne, "the module ReturnsOne cannot be traced: it returns a PackedSequence; return pad_packed_sequence"),
    ],
)
def test_refusals(kind: type[Refused], message: str, tmp_path: Path) -> None:
    lines, start = inspect.getsourcelines(kind)
    number = start + next(index for index, line in enumerate(lines) if "# HERE" in line)
    with pytest.raises(zoo.ExportError, match=f"{__file__}:{number}: {message}"):
        export(kind().eval(), (torch.randn(3, 7, FEATURES), torch.tensor([7, 2, 3])), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
    assert utilities.pack_padded_sequence is pack_padded_sequence


def test_an_example_of_one_step(tmp_path: Path) -> None:
    with pytest.raises(zoo.UsageError, match="the largest length of the example is 1; give one of two or more"):
        export(Packs().eval(), (torch.randn(2, 3, 6), torch.tensor([1, 1]), torch.randn(2, 2, 8)), tmp_path / "x.onnx")


class MasksByTheInput(Refused):
    """The mask has the steps of the input, so that the largest length must be their number."""

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        outputs, _ = pad_packed_sequence(self.rnn(self.pack(x, lengths))[0], batch_first=True)
        return outputs * (x.sum(2, keepdim=True) > 0)


def test_a_mask_with_the_steps_of_the_input(tmp_path: Path) -> None:
    net, path = MasksByTheInput().eval(), tmp_path / "net.onnx"
    signature = export(net, (torch.randn(3, 7, FEATURES), torch.tensor([7, 2, 3])), path)
    assert signature.outputs[0].shape == ("batch", "time", HIDDEN)
    assert_agrees(net, path, (torch.randn(2, 9, FEATURES), torch.tensor([3, 9])))


def test_a_packed_example(tmp_path: Path) -> None:
    packed = pack_padded_sequence(torch.randn(3, 7, FEATURES), torch.tensor([7, 2, 3]), True, enforce_sorted=False)
    with pytest.raises(zoo.UsageError, match="the example has a PackedSequence; give the padded sequences and their"):
        export(nn.GRU(FEATURES, HIDDEN).eval(), (packed,), tmp_path / "net.onnx")
