"""A trial of a cell: an input, and whatever the cell gives for it with its shapes, dtypes and inputs checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from zoo.nn.cell import Cell, State, cell_error
from zoo.nn.cell_code import line_of, raised_at

TOLERANCE = 2.0**-26
"""Largest difference of two float64 numbers that are equal but for rounding, in units of the largest number of their
tensor: half of float64's 53 bits. One step's rounding is near 2^-53, and what depends on other rows or steps does so by
far more."""
CANCELLED = 2.0**-40
"""The same in units of the largest number around, for tensors that are nothing but what is left where larger numbers
cancel: a sum of 2^13 terms, each rounded."""
FLOAT32 = 2.0**-20
"""The same for numbers that went through float32, by 2^4 of its roundings."""
AS_FLOAT32 = (
    "a float32 constant, or a tensor kept as a plain attribute: register it as a buffer, or make it with x.dtype or "
    "x.new_zeros"
)
"""The likely mistake where a cell does not run in float64."""


class Record(NamedTuple):
    """What a cell gave for a batch of sequences."""

    projected: Tensor
    """(time, batch, any)"""
    states: list[State]
    """Before the first step, and after each."""
    outputs: list[Tensor]

    def after(self, step: int) -> tuple[Tensor, ...]:
        """The output of a step and the state after it."""
        return (self.outputs[step], *self.states[step + 1])


class Trial:
    """A cell and an input; whatever it calls is checked for its shape, its dtype and for changes in place.

    Args:
        cell: a copy, in the mode of inference.
        x: (time, batch, input_size).
        doubled: whether both are of float64 for this check alone.
    """

    def __init__(self, cell: Cell, x: Tensor, *, doubled: bool = False) -> None:
        self.cell, self.x, self.doubled = cell, x, doubled

    def run(self) -> Record:
        """All steps of the whole batch."""
        projected = self.project(self.x)
        states, outputs = [self.start(self.x.shape[1], self.x)], []
        for x in projected:
            output, state = self.step(x, states[-1])
            outputs.append(output)
            states.append(state)
        return Record(projected, states, outputs)

    def start(self, batch: int, like: Tensor) -> State:
        state = self._call("initial_state", batch, like)
        before = tuple(self.x.new_zeros(()) if is_real(one) else one for one in self._parts("initial_state", state))
        return self._state("initial_state", state, before, batch)

    def project(self, x: Tensor) -> Tensor:
        given = x.clone()
        projected = self._call("project", given)
        self._unchanged("project", "its input", given, x)
        steps, batch = x.shape[:2]
        if not isinstance(projected, Tensor):
            self.fail("project", f"gives {_shown(projected)}; expected a tensor (time, batch, any)")
        shape = f"({steps}, {batch}, any)"
        if projected.dim() != 3 or projected.shape[:2] != x.shape[:2]:
            self.fail(
                "project",
                f"gives {_shown(projected)} for {count(steps, 'step')} of a batch of {batch}; expected {shape}, "
                "all steps at once; likely squeeze, or a reduction over the wrong dimension",
            )
        return projected

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        given, before = x.clone(), tuple(one.clone() for one in state)
        result = self._call("step", given, before)
        self._unchanged("step", "its input", given, x)
        for number, (one, old) in enumerate(zip(before, state, strict=True)):
            self._unchanged("step", f"its state {number}", one, old)
        if not (isinstance(result, tuple | list) and len(result) == 2):
            self.fail("step", f"gives {_shown(result)}; expected the output and the state: 'return h, (h,)'")
        output, after = result
        if not isinstance(output, Tensor) or output.shape != (len(x), self.cell.output_size):
            self.fail(
                "step",
                f"gives {_shown(output)} as the output of a batch of {len(x)}; expected "
                f"({len(x)}, {self.cell.output_size}): batch and output_size",
            )
        if output.dtype != self.x.dtype:
            self._wrong_dtype("step", "the output", output, self.x.dtype, "x has it")
        return output, self._state("step", after, state, len(x))

    def _state(self, method: str, state: Any, before: Sequence[Tensor], batch: int) -> State:
        """A state, once its shape is right and its dtypes are those of the one before."""
        sizes = self.cell.state_sizes
        parts = self._parts(method, state)
        if len(parts) != len(sizes):
            self.fail(method, f"gives a state of {count(len(parts))}; expected {count(len(sizes))}, as state_sizes has")
        for number, (part, size, old) in enumerate(zip(parts, sizes, before, strict=True)):
            if part.shape != (batch, size):
                self.fail(
                    method,
                    f"gives {_shown(part)} as state {number} of a batch of {batch}; expected ({batch}, {size}): batch "
                    "and its entry of state_sizes, at each step",
                )
            if part.dtype != old.dtype:
                why = "x has it" if is_real(old) else "it was before the step"
                self._wrong_dtype(method, f"state {number}", part, old.dtype, why)
        return parts

    def _parts(self, method: str, state: Any) -> State:
        if not isinstance(state, tuple | list) or not all(isinstance(part, Tensor) for part in state):
            self.fail(
                method,
                f"gives {_shown(state)} as the state; expected a tuple of {count(len(self.cell.state_sizes))}: "
                "likely (h,) was meant",
            )
        return tuple(state)

    def _wrong_dtype(self, method: str, what: str, value: Tensor, expected: torch.dtype, why: str) -> NoReturn:
        remedy = f"; likely {AS_FLOAT32}" if self.doubled else ""
        where = " in float64, in which every proof is made" if self.doubled else ""
        self.fail(method, f"gives {what} as {_name(value.dtype)}{where}; expected {_name(expected)}, as {why}{remedy}")

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self.cell, method)(*arguments)
        except Exception as error:  # the code of a cell raises what it likes
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            text = f"{method} fails: {reason}"
            if self.doubled:
                text = f"{method} fails in float64, in which every proof is made: {reason}; likely {AS_FLOAT32}"
            raise cell_error(type(self.cell), raised_at(error) or line_of(type(self.cell), method), text) from error

    def _unchanged(self, method: str, what: str, found: Tensor, given: Tensor) -> None:
        if found.shape != given.shape or not same(found, given):
            self.fail(
                method,
                f"changes {what} in place; expected it as it was; likely an operation such as x += … or mul_: write "
                "x = x + …",
            )

    def fail(self, method: str, text: str) -> NoReturn:
        """Raise the error for what one of the cell's methods does."""
        raise cell_error(type(self.cell), line_of(type(self.cell), method), f"{method} {text}")

    def compare(
        self, method: str, found: Tensor, expected: Tensor, largest: float, text: str, mistake: Callable[[], str]
    ) -> None:
        """Raise the error where two float64 tensors differ by more than rounding.

        Args:
            method: what gave them.
            found: what it gave when called otherwise.
            expected: what it gave at first, of the same shape.
            largest: the largest number around.
            text: how it was called, and what was expected.
            mistake: works out the likely one; unless the difference is as small as float32 makes it.
        """
        off = (_wide(found) - _wide(expected)).abs().nan_to_num(nan=0.0, posinf=0.0)  # infinity less itself is NaN
        scale = largest_of([expected])
        limit = TOLERANCE * scale + CANCELLED * largest if is_real(expected) or expected.is_complex() else 0.0
        worst = largest_of([off])
        if worst <= limit and same(found.isfinite(), expected.isfinite()):
            return
        likely = f"it computes in float32, whatever x is: {AS_FLOAT32}" if 0 < worst <= FLOAT32 * scale else mistake()
        self.fail(method, f"{text}, got a difference of {worst:.2g} where numbers reach {scale:.2g}; likely {likely}")


@contextmanager
def in_float64() -> Iterator[None]:
    """Constants that are made inside without a dtype, as by ``torch.zeros(n)``, are float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one shape are equal, NaN where the other is."""
    return bool(((one == other) | ((one != one) & (other != other))).all())


def largest_of(tensors: Sequence[Tensor]) -> float:
    """The largest finite magnitude; 0 where there is no number."""
    finite = [_wide(one).abs().nan_to_num(nan=0.0, posinf=0.0) for one in tensors if one.numel()]
    return max((float(one.amax()) for one in finite), default=0.0)


def _wide(one: Tensor) -> Tensor:
    """In float64; complex numbers as they are."""
    return one if one.is_complex() else one.double()


def is_real(one: Tensor) -> bool:
    """Whether a tensor is of floating-point numbers, which are to be of the input's dtype."""
    return one.is_floating_point()


def count(number: int, thing: str = "tensor") -> str:
    """``1 tensor``, ``2 tensors``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shown(value: Any) -> str:
    """A value by its type and shape."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
