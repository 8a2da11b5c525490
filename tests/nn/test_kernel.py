"""The fused kernel computes with the present parameters of the cell after any change of the module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy

import pytest
import torch

import zoo
from tests.support.builders import DIRECTIONS, KINDS
from tests.support.measure import FUSED_CASES, Case, Problem, assert_close, run

every_fused_kind = pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].has_kernel])


def assert_tied(stack: zoo.Stack, case: Case) -> None:
    """Assert that a change in place changes the fused outputs, which still equal those of the cell."""
    problem = Problem.of(case)
    assert all(layer.fused for layer in stack.ordered_layers)
    before = run(stack, problem)["outputs"]
    for parameter in stack.parameters():
        with torch.no_grad():
            parameter.mul_(0.5)
        after = run(stack, problem)["outputs"]
        assert not torch.equal(after, before)
        before = after
    cell = case.stack("cell")
    cell.load_state_dict(stack.state_dict())
    assert_close(run(stack, problem), run(cell, problem), case)


def through_meta(stack: zoo.Stack) -> zoo.Stack:
    """Replace the parameters of the stack, as a move to another kind of device does."""
    weights = dict(stack.named_parameters())
    moved = stack.to("meta").to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in moved.named_parameters():
            assert parameter is not weights[name]
            parameter.copy_(weights[name])
    return moved


def with_assigned_weights(stack: zoo.Stack) -> zoo.Stack:
    stack.load_state_dict({name: value.clone() for name, value in stack.state_dict().items()}, assign=True)
    return stack


def with_new_parameters(stack: zoo.Stack) -> zoo.Stack:
    for module in stack.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight = torch.nn.Parameter(module.weight.detach().clone())
    return stack


CHANGES: Mapping[str, Callable[[zoo.Stack], zoo.Stack]] = {
    "nothing": lambda stack: stack,
    "deepcopy": deepcopy,
    "double": lambda stack: stack.float().double(),
    "to_dtype": lambda stack: stack.to(torch.float32).to(torch.float64),
    "to_device": through_meta,
    "assign": with_assigned_weights,
    "new_parameters": with_new_parameters,
    "deepcopy_of_moved": lambda stack: deepcopy(through_meta(stack)),
}


@every_fused_kind
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_kernel_stays_tied(kind: str, direction: zoo.Direction, change: str) -> None:
    case = Case(kind, direction, 2, bias=True)
    assert_tied(CHANGES[change](case.stack("fused")), case)


@every_fused_kind
def test_copy_is_independent(kind: str) -> None:
    case = Case(kind, "bidirectional", 2, bias=True)
    stack, problem = case.stack("fused"), Problem.of(case)
    before = run(stack, problem)
    assert_tied(deepcopy(stack), case)
    after = run(stack, problem)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("case", FUSED_CASES, ids=str)
def test_training_step(case: Case) -> None:
    """One step of SGD changes both implementations equally, and the next fused run uses the new weights."""
    problem = Problem.of(case)
    results = {}
    for way in ("fused", "cell"):
        stack = case.stack(way)
        before = run(stack, problem)["outputs"]
        loss = (stack(problem.x, None, problem.states)[0] * problem.output_weights).sum()
        loss.backward()
        torch.optim.SGD(stack.parameters(), lr=0.01).step()
        results[way] = run(stack, problem)
        assert not torch.equal(results[way]["outputs"], before)
    assert_close(results["fused"], results["cell"], case)
