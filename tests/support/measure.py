"""Comparison of two implementations of a stack: cases, inputs for them, results, and the tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

import zoo
from tests.support import reference
from tests.support.builders import DIRECTIONS, KINDS, make_stack

TIME, BATCH, INPUT, HIDDEN = 7, 4, 3, 5

Results = Mapping[str, Tensor]
"""Results of a run by name: outputs, final states, gradients."""


@dataclass(frozen=True)
class Case:
    """Architecture under test."""

    kind: str
    direction: zoo.Direction
    layers: int
    bias: bool

    def stack(self, implementation: str, dropout: float = 0.0) -> zoo.Stack:
        """Create the stack, with the same weights for each implementation."""
        return make_stack(
            self.kind,
            input_size=INPUT,
            hidden_size=HIDDEN,
            direction=self.direction,
            num_layers=self.layers,
            bias=self.bias,
            implementation=implementation,
            dropout=dropout,
        )

    @property
    def operations(self) -> int:
        """Roundings on the longest path of a value through the stack and of its gradient back; see `assert_close`."""
        halves = 2 if self.direction == "bidirectional" else 1
        products = max(INPUT, halves * HIDDEN) + HIDDEN
        return 2 * self.layers * TIME * (products + BATCH)

    def __str__(self) -> str:
        return f"{self.kind}-{self.direction}-{self.layers}-{'bias' if self.bias else 'plain'}"


CASES = [Case(*options) for options in product(KINDS, DIRECTIONS, (1, 3), (True, False))]
FUSED_CASES = [case for case in CASES if KINDS[case.kind].has_kernel]


def assert_close(actual: Results, expected: Results, case: Case) -> None:
    """Assert equality up to rounding: for each tensor, |actual - expected| <= eps64 * operations * scale.

    The rule is the first-order bound of rounding analysis (Higham 2002, Accuracy and Stability of Numerical Algorithms,
    sections 3.1 and 3.5): the error of a sum of n products is at most n * u times the sum of their magnitudes, u = eps
    / 2, so two correct programs differ by at most n * eps times it. ``operations`` counts n along the longest path: the
    two products of each step and the batch that a weight's gradient is summed over, times all steps of all layers, once
    forward and once back. Errors of earlier steps add up without growing, because the weights, U(-1/sqrt(hidden),
    1/sqrt(hidden)), and the gates' slopes keep one step's gain about 1 or below. ``scale``, the largest magnitude in
    the expected tensor, stands for the sum of magnitudes.
    """
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        scale = float(value.abs().max())
        error = float((actual[name] - value).abs().max())
        limit = torch.finfo(torch.float64).eps * case.operations * scale
        assert error <= limit, f"{name}: error {error:.3g}, expected at most {limit:.3g}"  # NaN fails too


@dataclass(frozen=True)
class Problem:
    """Input, initial states, and weights of a loss that is a weighted sum of outputs and final states."""

    x: Tensor
    states: list[list[zoo.State]]
    output_weights: Tensor
    state_weights: list[list[zoo.State]]
    lengths: Tensor | None = None

    @classmethod
    def of(cls, case: Case, lengths: list[int] | None = None) -> Problem:
        generator = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, dtype=torch.float64, generator=generator)

        def draw_states() -> list[list[zoo.State]]:
            parts = reference.KINDS[case.kind].state_parts
            return [
                [tuple(draw(BATCH, HIDDEN) for _ in range(parts)) for _ in range(halves)] for _ in range(case.layers)
            ]

        halves = len(reference.REVERSED[case.direction])
        return cls(
            draw(TIME, BATCH, INPUT),
            draw_states(),
            draw(TIME, BATCH, halves * HIDDEN),
            draw_states(),
            None if lengths is None else torch.tensor(lengths),
        )

    def alone(self, index: int) -> Problem:
        """Return one of the sequences, cut to its length, as a batch of one."""
        assert self.lengths is not None
        length, row = int(self.lengths[index]), slice(index, index + 1)

        def pick(states: list[list[zoo.State]]) -> list[list[zoo.State]]:
            return [[tuple(part[row] for part in state) for state in layer] for layer in states]

        return Problem(
            self.x[:length, row], pick(self.states), self.output_weights[:length, row], pick(self.state_weights)
        )


def named_states(states: list[list[zoo.State]]) -> dict[str, Tensor]:
    """Return the states by layer, direction and part."""
    return {
        f"state {layer} {half} {part}": tensor
        for layer, halves in enumerate(states)
        for half, state in enumerate(halves)
        for part, tensor in enumerate(state)
    }


def run(stack: zoo.Stack, problem: Problem) -> Results:
    """Return outputs and final states, without gradients."""
    with torch.no_grad():
        outputs, _, finals = stack(problem.x, problem.lengths, problem.states)
    return {"outputs": outputs, **named_states(finals)}


def gradients(stack: zoo.Stack, problem: Problem) -> Results:
    """Return the gradients of the loss with respect to the input, the initial states and every parameter."""
    x = problem.x.clone().requires_grad_()
    states = [[tuple(part.clone().requires_grad_() for part in state) for state in layer] for layer in problem.states]
    outputs, _, finals = stack(x, problem.lengths, states)
    weights = named_states(problem.state_weights)
    loss = (outputs * problem.output_weights).sum()
    loss = loss + sum((final * weights[name]).sum() for name, final in named_states(finals).items())
    leaves = {"x": x, **named_states(states), **dict(stack.named_parameters())}
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
