"""Whole numbers in floating point, such as a counter of steps: sums and products of them are exact."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from tests.support.builders import config_type, layer_type
from zoo.matrix.points import Point, Subject, Variant
from zoo.matrix.prove import prove_points
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.prove import MODES
from zoo_onnx import OnnxExporter


@torch.no_grad()
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_whole_numbers_are_calculated_exactly(precision: str) -> None:
    """Within the range of the precision; with a single fraction among them, all of them are rounded."""
    n = torch.arange(-8.0, 9.0, dtype=torch.float64)
    limit = {"float32": 2.0**24, "bfloat16": 2.0**8}[precision]
    with DisturbedArithmetic(precision, seed=0):
        results = [n + 1, n - n, 3 * n, n * n, 7 - n, n % 3, n // 2, n.clone().add_(2)]
        beyond = torch.full((9,), limit, dtype=torch.float64) + 1
        fraction = torch.cat([n, n[:1] + 0.5]) + 1
    for result, exact in zip(results, [n + 1, n - n, 3 * n, n * n, 7 - n, n % 3, n // 2, n + 2], strict=True):
        assert torch.equal(result, exact)
    assert not torch.equal(beyond, torch.full_like(beyond, limit + 1))
    assert not torch.equal(fraction[:-1], n + 1)


class EveryOtherStep(zoo.Cell):
    """Counts its steps in floating point, and updates its state fully at each second step."""

    name = "every_other_step"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, state_sizes=(config.hidden_size, 1), output_size=config.hidden_size)
        self.x2h = torch.nn.Linear(input_size, config.hidden_size)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, n = state
        n = n + 1
        h = torch.tanh(self.x2h(x) + torch.where(torch.remainder(n, 2) == 0, 1.0, 0.1) * h)
        return h, (h, n)


def test_a_counter_in_floating_point_is_judged() -> None:
    """A regression: 2.0 was disturbed to 1.9999999, which is not even, and the model was ill-conditioned."""
    subject = Subject.of("every_other_step", layer_type(EveryOtherStep), config_type(EveryOtherStep), {})
    variant = Variant(subject, "forward", 1, None, False, "gain 1", False)
    (row,) = prove_points([Point(variant, "none", 20, (3, 28))], OnnxExporter(), MODES["cpu"])
    assert row["status"] == "passed", row["reason"]
