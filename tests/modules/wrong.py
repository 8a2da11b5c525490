"""Files that a proof must not pass: ours with one fault put in, and torch.onnx's own with a frozen number of steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import numpy_helper

from tests.modules.catalogue import CASES, ModuleCase
from tests.modules.stock import export_stock

SEQUENCE_LENS, INITIAL_H = 4, 5
"""Inputs of ONNX's recurrent operators."""


class WrongFile(NamedTuple):
    """A fault."""

    title: str
    case: ModuleCase
    write: Callable[[ModuleCase, Path], None]
    """Writes the file."""
    words: tuple[str, ...] = ("times its budget",)
    """What the reasons contain."""


def _mutated(change: Callable[[onnx.ModelProto], None]) -> Callable[[ModuleCase, Path], None]:
    """Return a function that exports a module and changes the file."""

    def write(case: ModuleCase, path: Path) -> None:
        from tests.exporters.modules import export

        export(case.made(), case.args(3, 7), path)
        model = onnx.load(path)
        change(model)
        onnx.save(model, path)

    return write


def _recurrent(model: onnx.ModelProto) -> onnx.NodeProto:
    """Return the first recurrent node."""
    node: onnx.NodeProto = next(node for node in model.graph.node if node.op_type in ("LSTM", "GRU", "RNN"))
    return node


def _reset_after(model: onnx.ModelProto) -> None:
    """Apply the reset gate before the product, as ONNX does by default and torch does not."""
    node = _recurrent(model)
    (attribute,) = (item for item in node.attribute if item.name == "linear_before_reset")
    attribute.i = 1 - attribute.i


def _without(index: int) -> Callable[[onnx.ModelProto], None]:
    """Return a function that leaves out an input of the first recurrent node."""

    def change(model: onnx.ModelProto) -> None:
        node = _recurrent(model)
        assert node.input[index]
        node.input[index] = ""

    return change


def _gates_swapped(model: onnx.ModelProto) -> None:
    """Swap the first two gates of the recurrent weights, as where the order of torch is kept."""
    node = _recurrent(model)
    (weights,) = (item for item in model.graph.initializer if item.name == node.input[2])
    values = numpy_helper.to_array(weights).copy()
    size = values.shape[2]
    values[:, :size], values[:, size : 2 * size] = values[:, size : 2 * size].copy(), values[:, :size].copy()
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))


def _reads_padding(model: onnx.ModelProto) -> None:
    """Set the limit of a mask of lengths one step too far."""
    (node,) = (item for item in model.graph.node if item.op_type == "Less")
    node.op_type = "LessOrEqual"


def _frozen(case: ModuleCase, path: Path) -> None:
    """Write torch.onnx's own file."""
    export_stock(case.made(), case.args, path)


FAILS = ("works at 7",)

WRONG = {
    "linear_before_reset": WrongFile("GRU with linear_before_reset flipped", CASES["session"], _mutated(_reset_after)),
    "lengths_ignored": WrongFile(
        "lengths ignored (sequence_lens left out)", CASES["packed_attention"], _mutated(_without(SEQUENCE_LENS))
    ),
    "state_ignored": WrongFile(
        "given state ignored (initial_h left out)", CASES["char_model"], _mutated(_without(INITIAL_H))
    ),
    "gates_swapped": WrongFile("two gates of an LSTM swapped", CASES["amplifier"], _mutated(_gates_swapped)),
    "mask_one_too_far": WrongFile("mask reads one step of padding", CASES["masked_pooling"], _mutated(_reads_padding)),
    "frozen_steps": WrongFile("torch.onnx: LSTM without a batch axis", CASES["one_sequence"], _frozen, FAILS),
    "frozen_attention": WrongFile("torch.onnx: attention after a GRU", CASES["self_attention"], _frozen, FAILS),
}
