"""``zoo.Layer.of_cells``: a layer of cells that exist, beside a loop over their steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.support.builders import make_stack

TIME, BATCH, FEATURES = 5, 3, 2
LENGTHS = [5, 2, 4]


class Fading(zoo.Cell):
    """Sum of the steps that were read, each a given share of the one after it; the result depends on their order."""

    name = "fading"

    def __init__(self, share: float) -> None:
        super().__init__(FEATURES, state_sizes=(FEATURES,), output_size=FEATURES)
        self.share = nn.Parameter(torch.tensor(share, dtype=torch.float64))

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = x + self.share * state[0]
        return total, (total,)


def faded(rows: Tensor, share: float, *, backward: bool) -> Tensor:
    """Return the outputs (time, features) for one sequence, by a loop."""
    outputs: dict[int, Tensor] = {}
    total = torch.zeros(FEATURES, dtype=torch.float64)
    steps = range(len(rows))
    for step in reversed(steps) if backward else steps:
        total = rows[step] + share * total
        outputs[step] = total
    return torch.stack([outputs[step] for step in steps])


@pytest.mark.parametrize("lengths", [[TIME] * BATCH, LENGTHS], ids=["full", "mixed"])
@pytest.mark.parametrize(
    ("shares", "direction", "backward"),
    [
        ((0.5,), None, [False]),
        ((0.5,), "forward", [False]),
        ((0.5,), "reverse", [True]),
        ((0.5, 0.25), None, [False, True]),
        ((0.5, 0.25), "bidirectional", [False, True]),
    ],
)
def test_each_cell_reads_in_its_direction(
    shares: tuple[float, ...], direction: Any, backward: list[bool], lengths: list[int]
) -> None:
    layer = zoo.Layer.of_cells([Fading(share) for share in shares], direction)
    assert layer.direction == direction or direction is None
    assert (layer.output_size, layer.fused) == (FEATURES * len(shares), False)
    x = torch.randn(TIME, BATCH, FEATURES, dtype=torch.float64)
    result = layer(x, None if lengths == [TIME] * BATCH else torch.tensor(lengths))
    for row, length in enumerate(lengths):
        ways = [faded(x[:length, row], share, backward=back) for share, back in zip(shares, backward, strict=True)]
        last = torch.cat([way[0 if back else -1] for way, back in zip(ways, backward, strict=True)])
        torch.testing.assert_close(result.outputs[:length, row], torch.cat(ways, 1))
        torch.testing.assert_close(result.last[row], last)
        torch.testing.assert_close(torch.cat([state[0][row] for state in result.states]), last)


def test_the_cells_are_those_that_were_given_and_keep_their_kernel() -> None:
    given = make_stack("lstm").ordered_layers[0]
    layer = zoo.Layer.of_cells(given.directed_cells)
    assert layer.directed_cells == given.directed_cells
    assert layer.fused
    assert list(layer.state_dict()) == list(given.state_dict())
    x = torch.randn(TIME, BATCH, given.directed_cells[0].input_size, dtype=torch.float64)
    assert torch.equal(layer(x).outputs, given(x).outputs)


@pytest.mark.parametrize(
    ("number", "direction", "message"),
    [
        (2, "forward", "2 cells; direction forward has 1"),
        (2, "reverse", "2 cells; direction reverse has 1"),
        (1, "bidirectional", "1 cells; direction bidirectional has 2"),
        (3, None, "3 cells; direction bidirectional has 2"),
        (0, None, "0 cells; direction bidirectional has 2"),
    ],
)
def test_another_number_of_cells_is_refused(number: int, direction: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        zoo.Layer.of_cells([Fading(0.5) for _ in range(number)], direction)
