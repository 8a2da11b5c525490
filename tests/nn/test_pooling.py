"""Pooling of a sequence of outputs to one vector."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import zoo
from tests.support.builders import DIRECTIONS, KINDS, make_stack
from zoo.nn.pooling import Pooling, pool
from zoo.nn.recurrent import REVERSED, Unrolled

LENGTHS = torch.tensor([4, 1, 6, 3])
TIME = 6

every_length = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "mixed"])
every_implementation = pytest.mark.parametrize("implementation", ["auto", "cell"])
every_direction = pytest.mark.parametrize("direction", DIRECTIONS)


def pool_sequence(outputs: Tensor, pooling: str) -> Tensor:
    """Pool the valid outputs (time, features) of one sequence by the definition."""
    if pooling == "mean":
        return torch.stack(list(outputs)).sum(0) / len(outputs)
    return outputs.max(0).values if pooling == "max" else outputs[-1]


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor | None]:
    """Draw outputs (time, batch, features) that are zero beyond each length, and the lengths or None."""
    time, batch, features = draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.integers(1, 8))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    outputs = torch.randn((time, batch, features), dtype=torch.float64, generator=generator)
    if not draw(st.booleans()):
        return outputs, None
    lengths = torch.tensor(draw(st.lists(st.integers(1, time), min_size=batch, max_size=batch)))
    return outputs.masked_fill((torch.arange(time)[:, None] >= lengths)[:, :, None], 0), lengths


@pytest.mark.parametrize("pooling", ["mean", "max", "last_step"])
@settings(deadline=None)  # the speed is not under test
@given(batch=batches())
def test_pooling_is_as_defined(pooling: Pooling, batch: tuple[Tensor, Tensor | None]) -> None:
    outputs, lengths = batch
    pooled = pool(outputs, torch.empty(0), pooling, lengths)
    counts = [len(outputs)] * outputs.shape[1] if lengths is None else lengths.tolist()
    valid = [outputs[:count, index] for index, count in enumerate(counts)]
    expected = torch.stack([pool_sequence(sequence, pooling) for sequence in valid])
    assert pooled.shape == expected.shape
    assert pooled.dtype == outputs.dtype
    if pooling == "mean":
        # Two orders of a sum of n terms and a division: at most n * eps of the terms' mean magnitude apart (Higham
        # 2002, section 4.2, for both sums: 2 * (n - 1) * u, with u = eps / 2; and 2 * u for the divisions).
        magnitude = torch.stack([sequence.abs().mean(0) for sequence in valid])
        eps = torch.finfo(torch.float64).eps
        assert bool(((pooled - expected).abs() <= torch.tensor(counts)[:, None] * eps * magnitude).all())
    else:
        assert torch.equal(pooled, expected)


def unroll(kind: str, direction: zoo.Direction, implementation: str, lengths: Tensor | None) -> Unrolled:
    """Run a stack of two layers."""
    x = torch.randn(TIME, len(LENGTHS), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    stack = make_stack(kind, direction=direction, num_layers=2, implementation=implementation)
    with torch.no_grad():
        return cast("Unrolled", stack(x, lengths))


@pytest.mark.parametrize("kind", KINDS)
@every_implementation
@every_direction
@every_length
def test_last_is_the_final_output_of_each_direction(
    kind: str, direction: zoo.Direction, implementation: str, lengths: Tensor | None
) -> None:
    """With both directions: the forward output at the last step beside the reverse output at the first step."""
    outputs, last, states = unroll(kind, direction, implementation, lengths)
    assert pool(outputs, last, "last", lengths) is last
    assert torch.equal(last, torch.cat([state[0] for state in states[-1]], 1))
    rows = torch.arange(len(LENGTHS))
    ends = outputs[(LENGTHS if lengths is not None else torch.full_like(LENGTHS, TIME)) - 1, rows]
    halves = zip(ends.chunk(len(states[-1]), 1), outputs[0].chunk(len(states[-1]), 1), REVERSED[direction], strict=True)
    assert torch.equal(last, torch.cat([start if reverse else end for end, start, reverse in halves], 1))


@pytest.mark.parametrize("kind", KINDS)
@every_length
def test_last_step_is_not_last(kind: str, lengths: Tensor | None) -> None:
    """The reverse half of `last_step` differs for every sequence of more than one step; the forward half never does."""
    outputs, last, _ = unroll(kind, "bidirectional", "auto", lengths)
    forward, reverse = pool(outputs, last, "last_step", lengths).chunk(2, 1)
    expected_forward, expected_reverse = last.chunk(2, 1)
    assert torch.equal(forward, expected_forward)
    differs = (reverse != expected_reverse).any(1)
    assert differs.tolist() == ([True] * len(LENGTHS) if lengths is None else (LENGTHS > 1).tolist())


@pytest.mark.parametrize(("pooling", "equal"), [("last_step", True), ("last", False)])
def test_last_step_of_the_reverse_half_depends_on_one_step(pooling: Pooling, equal: bool) -> None:
    """A change of all steps but the last does not change it."""
    stack = make_stack("lstm", direction="bidirectional")
    x = torch.randn(TIME, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    changed = torch.cat([x[:-1] + 1, x[-1:]])
    runs = [stack(each) for each in (x, changed)]
    first, second = (pool(run.outputs, run.last, pooling).chunk(2, 1)[1] for run in runs)
    assert torch.equal(first, second) is equal


@pytest.mark.parametrize("pooling", ["mean", "max", "last_step"])
def test_padding_has_no_effect(pooling: Pooling) -> None:
    """All valid outputs are equal and negative: a padded zero would change a maximum and a mean."""
    valid = (torch.arange(TIME)[:, None] < LENGTHS)[:, :, None].expand(-1, -1, 4)
    pooled = pool(torch.where(valid, -1.0, 0.0), torch.empty(0), pooling, LENGTHS)
    assert torch.equal(pooled, torch.full((len(LENGTHS), 4), -1.0))
