"""Trial run of a cell on one input: every call is checked for shapes, dtypes and changes in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from zoo.nn.cell import Cell, State, cell_error
from zoo.nn.cell_code import line_of, raised_at

TOLERANCE = 2.0**-26
"""Largest difference of two float64 tensors that counts as rounding, relative to the largest magnitude of the expected
one: half of float64's 53 bits. One step rounds by about 2^-53; a dependence on other rows or steps is far larger than
the tolerance."""
CANCELLATION_TOLERANCE = 2.0**-40
"""Additional tolerance relative to the largest magnitude in the whole trial, for tensors that are what remains after
larger numbers cancel: enough for a sum of 2^13 rounded terms."""
FLOAT32_TOLERANCE = 2.0**-20
"""Relative difference up to which numbers may have passed through float32: 2^4 roundings of float32."""
FLOAT32_MISTAKE = (
    "a float32 constant, or a tensor kept as a plain attribute: register it as a buffer, or make it with x.dtype or "
    "x.new_zeros"
)
"""Likely mistake in a cell that does not run in float64."""


class Record(NamedTuple):
    """Results of a cell for a batch of sequences."""

    projected: Tensor
    """(time, batch, any)"""
    states: list[State]
    """State before the first step and after each step, time + 1 in all."""
    outputs: list[Tensor]
    """Output (batch, output_size) of each step."""

    def after(self, step: int) -> tuple[Tensor, ...]:
        """Return the output of a step and the tensors of the state after it."""
        return (self.outputs[step], *self.states[step + 1])


class Trial:
    """A cell and its input, with checked calls of the cell's methods.

    Args:
        cell: copy of the cell, in inference mode.
        x: (time, batch, input_size).
        doubled: whether cell and input were converted to float64 for the trial.
    """

    def __init__(self, cell: Cell, x: Tensor, *, doubled: bool = False) -> None:
        self.cell, self.x = cell, x
        self._where = " in float64, in which every proof is made" if doubled else ""
        self._remedy = f"; likely {FLOAT32_MISTAKE}" if doubled else ""
        self.largest = 1.0
        """Largest magnitude in the results of `run`, at least 1."""

    def run(self) -> Record:
        """Run the cell over all steps of the whole batch."""
        projected = self.project(self.x)
        states, outputs = [self.start(self.x.shape[1], self.x)], []
        for x in projected:
            output, state = self.step(x, states[-1])
            outputs.append(output)
            states.append(state)
        self.largest = max(1.0, largest_magnitude([projected, *outputs, *(part for state in states for part in state)]))
        return Record(projected, states, outputs)

    def start(self, batch: int, like: Tensor) -> State:
        """Call ``initial_state`` and check its result."""
        state = self._call("initial_state", batch, like)
        # Floating-point parts must have the dtype of x; others may have any.
        dtypes = [
            self.x.dtype if part.is_floating_point() else part.dtype for part in self._parts("initial_state", state)
        ]
        return self._check_state("initial_state", state, dtypes, batch)

    def project(self, x: Tensor) -> Tensor:
        """Call ``project`` and check its result."""
        argument = x.clone()
        projected = self._call("project", argument)
        self._check_unchanged("project", "its input", argument, x)
        steps, batch = x.shape[:2]
        if not isinstance(projected, Tensor):
            self.fail("project", f"gives {summary(projected)}; expected a tensor (time, batch, any)")
        if projected.dim() != 3 or projected.shape[:2] != x.shape[:2]:
            self.fail(
                "project",
                f"gives {summary(projected)} for {count(steps, 'step')} of a batch of {batch}; expected "
                f"({steps}, {batch}, any), all steps at once; likely squeeze, or a reduction over the wrong dimension",
            )
        return projected

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Call ``step`` and check its result."""
        x_argument, state_argument = x.clone(), tuple(part.clone() for part in state)
        result = self._call("step", x_argument, state_argument)
        self._check_unchanged("step", "its input", x_argument, x)
        for number, (argument, part) in enumerate(zip(state_argument, state, strict=True)):
            self._check_unchanged("step", f"its state {number}", argument, part)
        if not (isinstance(result, tuple | list) and len(result) == 2):
            self.fail("step", f"gives {summary(result)}; expected the output and the state: 'return h, (h,)'")
        output, after = result
        if not isinstance(output, Tensor) or output.shape != (len(x), self.cell.output_size):
            self.fail(
                "step",
                f"gives {summary(output)} as the output of a batch of {len(x)}; expected "
                f"({len(x)}, {self.cell.output_size}): batch and output_size",
            )
        if output.dtype != self.x.dtype:
            self._wrong_dtype("step", "the output", output, self.x.dtype, "x has it")
        return output, self._check_state("step", after, [part.dtype for part in state], len(x))

    def _check_state(self, method: str, state: Any, dtypes: Sequence[torch.dtype], batch: int) -> State:
        """Return a state as a tuple after a check of its number of tensors, their shapes and their dtypes."""
        sizes = self.cell.state_sizes
        parts = self._parts(method, state)
        if len(parts) != len(sizes):
            self.fail(method, f"gives a state of {count(len(parts))}; expected {count(len(sizes))}, as state_sizes has")
        for number, (part, size, dtype) in enumerate(zip(parts, sizes, dtypes, strict=True)):
            if part.shape != (batch, size):
                self.fail(
                    method,
                    f"gives {summary(part)} as state {number} of a batch of {batch}; expected ({batch}, {size}): "
                    "batch and its entry of state_sizes, at each step",
                )
            if part.dtype != dtype:
                why = "x has it" if dtype.is_floating_point else "it was before the step"
                self._wrong_dtype(method, f"state {number}", part, dtype, why)
        return parts

    def _parts(self, method: str, state: Any) -> State:
        if not isinstance(state, tuple | list) or not all(isinstance(part, Tensor) for part in state):
            self.fail(
                method,
                f"gives {summary(state)} as the state; expected a tuple of {count(len(self.cell.state_sizes))}; "
                "likely (h,) was meant",
            )
        return tuple(state)

    def _wrong_dtype(self, method: str, what: str, value: Tensor, expected: torch.dtype, why: str) -> NoReturn:
        actual, dtype = (str(dtype).removeprefix("torch.") for dtype in (value.dtype, expected))
        self.fail(method, f"gives {what} as {actual}{self._where}; expected {dtype}, as {why}{self._remedy}")

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self.cell, method)(*arguments)
        except Exception as error:  # the code of a plugin may raise anything
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            text = f"{method} fails{self._where}: {reason}{self._remedy}"
            raise cell_error(type(self.cell), raised_at(error) or line_of(type(self.cell), method), text) from error

    def _check_unchanged(self, method: str, what: str, argument: Tensor, original: Tensor) -> None:
        if argument.shape != original.shape or not equal(argument, original):
            self.fail(
                method,
                f"changes {what} in place; expected no change; likely an operation such as x += … or mul_: write "
                "x = x + …",
            )

    def fail(self, method: str, text: str) -> NoReturn:
        """Raise the error for a fault of one of the cell's methods."""
        raise cell_error(type(self.cell), line_of(type(self.cell), method), f"{method} {text}")

    def compare(
        self, method: str, actual: Sequence[Tensor], expected: Sequence[Tensor], text: str, mistake: Callable[[], str]
    ) -> None:
        """Raise the error if float64 tensors of the same shapes differ by more than rounding.

        Args:
            method: name of the method that returned them.
            actual: results of another call of the method, such as one with a single row.
            expected: results of the first call.
            text: description of the other call and of the expected result.
            mistake: returns the likely mistake; not called if the difference is as small as float32 rounding.
        """
        for result, reference in zip(actual, expected, strict=True):
            # infinity - infinity is NaN, which `largest_magnitude` ignores
            worst = largest_magnitude([_to_float64(result) - _to_float64(reference)])
            scale, rounded = largest_magnitude([reference]), reference.is_floating_point() or reference.is_complex()
            limit = TOLERANCE * scale + CANCELLATION_TOLERANCE * self.largest if rounded else 0.0
            if worst <= limit and equal(result.isfinite(), reference.isfinite()):
                continue
            in_float32 = 0 < worst <= FLOAT32_TOLERANCE * scale
            reason = f"it computes in float32, whatever x is: {FLOAT32_MISTAKE}" if in_float32 else mistake()
            self.fail(
                method, f"{text}, got a difference of {worst:.2g} where values reach {scale:.2g}; likely {reason}"
            )


@contextmanager
def in_float64() -> Iterator[None]:
    """Make float64 the default dtype inside the block, as for ``torch.zeros(n)`` without a dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def equal(actual: Tensor, expected: Tensor) -> bool:
    """Return whether two tensors of one shape are equal, where NaN equals NaN."""
    return bool(((actual == expected) | ((actual != actual) & (expected != expected))).all())


def largest_magnitude(tensors: Sequence[Tensor]) -> float:
    """Return the largest finite magnitude in any of the tensors, or 0 if there is none."""
    finite = [_to_float64(tensor).abs().nan_to_num(nan=0.0, posinf=0.0) for tensor in tensors if tensor.numel()]
    return max((float(values.amax()) for values in finite), default=0.0)


def _to_float64(tensor: Tensor) -> Tensor:
    """Convert real numbers to float64; return complex ones unchanged."""
    return tensor if tensor.is_complex() else tensor.double()


def count(number: int, thing: str = "tensor") -> str:
    """Return a number with its noun: ``1 tensor``, ``2 tensors``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def summary(value: Any) -> str:
    """Return the type of a value, and its shape or length if it has one."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
