"""The options of `zoo check --matrix`, cells that support some settings only, and the exit codes."""

from __future__ import annotations

import re
from itertools import product
from typing import Literal

import pytest
import torch
from torch import Tensor

import zoo
from tests.matrix.ten_cells import subject
from tests.support.builders import config_type, layer_type
from tests.support.command import run_zoo
from zoo.matrix.points import SHAPES, Point, Subject, Variant, draw_points, left_out
from zoo.matrix.prove import group_by_variant, prove_points
from zoo.proof.prove import MODES
from zoo_onnx import OnnxExporter


class NeedsEqual(zoo.Cell):
    """Adds its input to its state, so that both must have the same width."""

    name = "needs_equal"

    class Config(zoo.CellConfig):
        gain: float = 1.0

    def __init__(self, input_size: int, config: Config) -> None:
        super().__init__(input_size, state_sizes=(config.hidden_size,), output_size=config.hidden_size)
        self.gain = config.gain

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h = torch.tanh(x + self.gain * state[0])
        return h, (h,)


def needs_equal(features: int) -> Subject:
    layer = layer_type(NeedsEqual)
    return Subject.of("needs_equal", layer, config_type(NeedsEqual), {}, features=features)


def test_a_cell_that_needs_input_as_wide_as_its_state() -> None:
    """The error names the option; with it the supported settings are proven, and the others are listed."""
    with pytest.raises(zoo.UsageError, match=r"does not run on 3 features .*: add --features 8 "):
        needs_equal(3)
    subject = needs_equal(8)
    assert set(subject.impossible) == {("bidirectional", 3)}
    points = draw_points([subject], 20, full=False)
    assert {(point.variant.direction, point.variant.layers) for point in points} == {
        ("forward", 1), ("forward", 3), ("reverse", 1), ("reverse", 3), ("bidirectional", 1)
    }  # fmt: skip
    assert left_out(subject, 20, quick=False)[0].startswith("bidirectional, 3 layers: ")
    group = next(group for group in group_by_variant(points) if group[0].shape == (1, 1))
    assert {row["status"] for row in prove_points(group, OnnxExporter(), MODES["cpu"])} <= {"passed", "refused"}


class Permuted(zoo.Cell):
    """Has parameters that are not contiguous in memory, and one that is a scalar."""

    name = "permuted"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.input_weight = torch.nn.Parameter(0.3 * torch.randn(input_size, hidden).T)
        self.blocks = torch.nn.Parameter(0.3 * torch.randn(2, hidden, hidden).permute(1, 0, 2))
        self.gain = torch.nn.Parameter(torch.tensor(0.5))

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        h = torch.tanh(x @ self.input_weight.T + self.gain * (h @ self.blocks[:, 0] + h @ self.blocks[:, 1]))
        return h, (h,)


@pytest.mark.parametrize("weights", ["gain 3", "gates"])
def test_parameters_that_are_not_contiguous(weights: Literal["gain 3", "gates"]) -> None:
    chosen = Subject.of("permuted", layer_type(Permuted), config_type(Permuted), {})
    variant = Variant(chosen, "forward", 1, None, states=False, weights=weights, takes_lengths=False)
    assert not variant.model().layers()[0].cells[0].get_parameter("blocks").is_contiguous()
    (row,) = prove_points([Point(variant, "none", 20, (3, 5))], OnnxExporter(), MODES["cpu"])
    assert row["status"] == "passed", row["reason"]


def test_a_quick_sample_is_smaller_and_still_has_every_pair_of_what_it_tries() -> None:
    whole, quick = (draw_points([subject("lstm")], 26, full=False, quick=quick) for quick in (False, True))
    assert len(quick) < len(whole)
    shapes = {point.shape for point in quick}
    assert shapes == {shape for shape in SHAPES if shape[1] <= 28}
    assert {point.opset for point in quick} == {20, 26}
    assert {(point.variant.direction, point.shape) for point in quick} == set(
        product(("forward", "reverse", "bidirectional"), shapes)
    )
    assert left_out(subject("lstm"), 26, quick=True) == [
        "batch x steps 5 x 50, 2 x 200, 16 x 512", "opset 17, 22"
    ]  # fmt: skip


@pytest.mark.usefixtures("_small")
def test_the_options_of_the_command() -> None:
    outcome = run_zoo(
        "check",
        "gru",
        "--matrix",
        "--quick",
        "--provider",
        "cpu",
        "--features",
        "5",
        "--set",
        "architecture.reset=before",
    )
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("matrix of gru: a quick sample, ")
    assert "not tried: opset " in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--quick"], "--quick: is for the matrix; add --matrix, or leave --quick out"),
        (["--features", "5"], "--features: is for the matrix; add --matrix, or leave --features out"),
        (["--matrix", "--quick", "--full"], "--quick: contradicts --full; leave one of them out"),
        (
            ["--matrix", "--set", "training.epochs=3"],
            "--set training: the matrix takes fields of the architecture only",
        ),
        (
            ["--matrix", "--set", "architecture.bias=false"],
            "--set architecture.bias: the matrix sets this field itself",
        ),
        (["--matrix", "--set", "architecture.reset=never"], "gru: reset: "),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_options_that_do_not_go_together(arguments: list[str], fault: str) -> None:
    outcome = run_zoo("check", "gru", *arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"error: {fault}")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.usefixtures("_small")
def test_a_matrix_in_which_nothing_passed_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 4, and the error gives the reason."""
    monkeypatch.setattr("zoo.matrix.prove.distinguishable", lambda *_: False)
    outcome = run_zoo("check", "rnn", "--matrix", "--provider", "cpu")
    assert outcome.exit_code == 4
    assert outcome.stderr.startswith("error: rnn: 0 of ")
    assert re.search(r" in the matrix passed, so nothing is proven: \d+ inconclusive; .*: logits: ", outcome.stderr)
