"""Check that a cell keeps the contract of `zoo.Cell`, before it is trained, proven or exported.

A cell that breaks the contract may train and export without an error, and the result is then a different network than
intended. The check runs one cell of each kind over a small random input in inference mode:

- The projection, the output and the states have the right shapes and dtypes, at more than one batch size.
- The same steps, repeated in reverse order, give the same bits: nothing is kept outside the state.
- No input, parameter or buffer changes.
- Each step watches the same names, each once and with a value for each row.
- The cell runs in float64, which the exact results of every proof need.
- Each row alone gives the same as in a batch, and each step projected alone the same as all steps at once.
- The kernel that the cell names gives the same as the cell's own steps.

The last two compare float64 results step by step, each from the same state, so that errors do not accumulate.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from numbers import Number
from typing import Any

import torch
from torch import Tensor, nn

from zoo.nn.cell import Cell, cell_error
from zoo.nn.cell_code import line_of
from zoo.nn.cell_trial import Record, Trial, count, equal, in_float64, summary
from zoo.nn.kernel import FusedKernel
from zoo.nn.recurrent import Layer
from zoo.nn.watched import watched

STEPS = 4
BATCHES = (5, 7, 11, 13, 17)
"""Candidate batch sizes. The first that equals no size of the cell is used, so that no shape fits by coincidence."""


def check_cells(layers: Iterable[Layer]) -> None:
    """Check one cell of each kind in a stack; cells that differ only in their weights are of one kind.

    The cells, torch's random generators and the mode of the model are left unchanged.

    Raises:
        CellError: a cell breaks the contract. The one-line message names the cell, the file and line, the expected and
            the actual result, and the likely mistake.
    """
    kinds = {_kind(cell): cell for layer in layers for cell in layer.directed_cells}
    for cell in kinds.values():
        gpus = sorted({parameter.device.index for parameter in cell.parameters() if parameter.is_cuda})
        with torch.random.fork_rng(devices=gpus), torch.no_grad():
            torch.manual_seed(0)
            _check(cell)


def _kind(cell: Cell) -> object:
    plain = {name: value for name, value in vars(cell).items() if isinstance(value, Number | str | tuple)}
    return type(cell), repr(sorted(plain.items()))


def _check(cell: Cell) -> None:
    like = next((parameter for parameter in cell.parameters() if parameter.is_floating_point()), torch.zeros(()))
    sizes = {cell.input_size, cell.output_size, *cell.state_sizes}
    batch = next((size for size in BATCHES if size not in sizes), BATCHES[-1])
    generator = torch.Generator().manual_seed(0)
    # Values in [-1, 1) are small enough for any function that a cell may apply to its input.
    x = torch.rand(STEPS, batch, cell.input_size, generator=generator).mul_(2).sub_(1).to(like)
    trial = Trial(_copy(cell), x)
    record = trial.run()
    _check_repeats(trial, record)
    _check_watched(trial, record)
    double = Trial(_copy(cell).double(), x.double(), doubled=like.dtype != torch.float64)
    with in_float64():
        record = double.run()
        _check_equal_starts(double, record)
        _check_each_step_alone(double, record)
        _check_each_row_alone(double, record)
        _check_kernel(double, record)


def _copy(cell: Cell) -> Cell:
    """Copy a cell into inference mode. The parameters of the copy share their memory with the original."""
    shared: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach(), parameter.requires_grad) for parameter in cell.parameters()
    }
    try:
        return copy.deepcopy(cell, shared).eval()
    except Exception as error:  # any attribute of the cell may refuse
        reason = " ".join(str(error).split())[:200]
        text = f"cannot be copied, which training and every proof need: {type(error).__name__}: {reason}"
        raise cell_error(type(cell), line_of(type(cell), "__init__"), text) from error


# --- nothing outside the state --------------------------------------------------------------------------------------


def _check_repeats(trial: Trial, record: Record) -> None:
    """Check that all steps, repeated from the recorded states, give the same bits and change nothing.

    The repetition runs in reverse order, which shows values kept outside the state.
    """
    before, random = _Contents(trial.cell), torch.get_rng_state()
    different = "" if _equal([trial.project(trial.x)], [record.projected]) else "project"
    for number in reversed(range(STEPS)):
        output, state = trial.step(record.projected[number], record.states[number])
        if not different and not _equal([output, *state], record.after(number)):
            different = "step"
    after, method = _Contents(trial.cell), different or "step"
    if name := after.written(before):
        trial.fail(
            method,
            f"writes to the cell's {name!r} in inference mode; expected unchanged parameters and buffers; likely a "
            "value that changes from step to step: put it into the state",
        )
    if name := after.counted(before):
        trial.fail(
            method,
            f"changes the cell's {name!r} from {before.attributes.get(name)} to {after.attributes[name]}; expected "
            "every value that changes from step to step in the state; likely a counter, which a graph cannot keep",
        )
    if different:
        mistake = "random numbers, or a value kept outside the state"
        if not torch.equal(random, torch.get_rng_state()):
            mistake = "random numbers: draw them in training only ('if self.training')"
        elif name := after.replaced(before):
            mistake = f"the value kept in {name!r}: put it into the state"
        trial.fail(method, f"gives two results for the same input and state; expected the same bits; likely {mistake}")


class _Contents:
    """Tensors and attributes of a cell and its submodules at one moment."""

    def __init__(self, cell: Cell) -> None:
        named = (*cell.named_parameters(), *cell.named_buffers())
        self.tensors = {name: (tensor, tensor._version) for name, tensor in named}
        """Parameters and buffers, each with its number of writes."""
        self.attributes = {
            f"{part}.{name}" if part else name: value
            for part, module in cell.named_modules()
            for name, value in vars(module).items()
        }

    def written(self, before: _Contents) -> str:
        """Return the name of the first parameter or buffer written to, replaced or added since; empty if none was."""
        for name, (tensor, version) in self.tensors.items():
            old, old_version = before.tensors.get(name, (None, 0))
            if tensor is not old or version != old_version:
                return name
        return ""

    def replaced(self, before: _Contents) -> str:
        """Return the name of the first attribute that holds another object since; empty if none does."""
        changed = (name for name, value in self.attributes.items() if before.attributes.get(name) is not value)
        return next(changed, "")

    def counted(self, before: _Contents) -> str:
        """Return the name of the first numeric attribute whose value changed since; empty if none did."""
        for name, value in self.attributes.items():
            old = before.attributes.get(name)
            if isinstance(value, Number) and old is not value and old != value:
                return name
        return ""


def _equal(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return all(equal(*pair) for pair in zip(actual, expected, strict=True))


# --- watched values -------------------------------------------------------------------------------------------------


def _check_watched(trial: Trial, record: Record) -> None:
    """Check what the cell passes to `Cell.watch`, one call after the other."""
    with watched(trial.cell) as values:
        trial.project(trial.x)
    if values:
        name = next(iter(values))
        trial.fail("project", f"watches {name!r}; expected values of one step only: watch it in step")
    names = None
    for number in range(STEPS):
        with watched(trial.cell) as values:
            trial.step(record.projected[number], record.states[number])
        for name, calls in values.items():
            _check_watched_value(trial, name, calls)
        if names not in (None, list(values)):
            trial.fail("step", f"watches {list(values)} after {names}; expected the same names at each step")
        names = list(values)


def _check_watched_value(trial: Trial, name: object, calls: Sequence[object]) -> None:
    """Check a name, and the values that one step gives it."""
    batch = trial.x.shape[1]
    if not isinstance(name, str) or not name.isprintable() or not name.strip():
        trial.fail("step", f"watches a value under the name {name!r}; expected a short text, such as 'f'")
    if name in trial.cell.state_names:
        trial.fail("step", f"watches {name!r}, the name of a state; expected another name, since states are shown too")
    if len(calls) > 1:
        trial.fail(
            "step",
            f"watches {name!r} {len(calls)} times in one step; expected once; likely a loop: give each round a name of "
            f"its own, such as f'{name}{{number}}'",
        )
    if not isinstance(calls[0], Tensor) or calls[0].dim() != 2 or len(calls[0]) != batch:
        trial.fail("step", f"watches {summary(calls[0])} as {name!r} of a batch of {batch}; expected ({batch}, n)")


# --- no other row, no other step ------------------------------------------------------------------------------------


def _check_equal_starts(trial: Trial, record: Record) -> None:
    """Check that every sequence starts with the same state, whatever the batch size."""
    alone = trial.start(1, trial.x.new_zeros(()))
    expected = record.states[0]
    if not _equal([row.expand_as(rows) for row, rows in zip(alone, expected, strict=True)], expected):
        trial.fail(
            "initial_state",
            "gives other values for another sequence or another batch size; expected the same row for every sequence; "
            "likely random numbers, or a division by the batch size",
        )


def _check_each_step_alone(trial: Trial, record: Record) -> None:
    """Check that a part of the steps is projected as all steps at once, and that `step` reads nothing else.

    The parts are the first step, all but the last, and the last.
    """
    for steps in (slice(0, 1), slice(0, STEPS - 1), slice(STEPS - 1, STEPS)):
        projected, expected = trial.project(trial.x[steps]), record.projected[steps]
        alone = f"gives another result for {count(len(expected), 'step')} of {STEPS} than for all at once"
        if projected.shape != expected.shape:
            trial.fail("project", f"{alone}; expected {tuple(expected.shape)}, got {tuple(projected.shape)}")
        text = f"{alone}; expected each step to depend on itself only"
        trial.compare("project", [projected], [expected], text, lambda: _mistake_across_steps(trial, record))
    text = "gives another result after another call of project; expected it to depend on x and the state only"
    mistake = "a value that project stores on the cell: return it from project"
    output, state = trial.step(projected[0], record.states[STEPS - 1])
    trial.compare("step", (output, *state), record.after(STEPS - 1), text, lambda: mistake)


def _mistake_across_steps(trial: Trial, record: Record) -> str:
    """Return the likely mistake in a projection that does not depend on its own step only."""
    first, last = trial.x.clone(), trial.x.clone()
    first[0] += 1
    last[-1] += 1
    if not equal(trial.project(last)[:-1], record.projected[:-1]):
        return "it reads later steps, or all of them (as in a mean over time), which a stream does not have yet"
    if not equal(trial.project(first)[1:], record.projected[1:]):
        return "it reads earlier steps: put what must be remembered into the state"
    return "it counts the steps (as in a division by len(x)), and a stream has any number of them"


def _check_each_row_alone(trial: Trial, record: Record) -> None:
    """Check that a row of the batch alone gives the same as in the batch, at two rows and steps.

    Their states are those after at least one step, since the initial states may be all zeros.
    """
    mistake = "a mean, a norm, a softmax or a branch over the whole batch: reduce over the last dimension only"
    batch = trial.x.shape[1]
    text = f"gives another result for a sequence alone than in a batch of {batch}; expected independent rows"
    for number in (1, STEPS - 1):
        row = slice(number, number + 1)
        projected, expected = trial.project(trial.x[:, row]), record.projected[:, row]
        if projected.shape != expected.shape:
            trial.fail("project", f"{text}, {tuple(expected.shape)}, got {tuple(projected.shape)}")
        trial.compare("project", [projected], [expected], text, lambda: mistake)
        output, state = trial.step(record.projected[number, row], tuple(part[row] for part in record.states[number]))
        after = [part[row] for part in record.after(number)]
        trial.compare("step", (output, *state), after, text, lambda: mistake)


def _check_kernel(trial: Trial, record: Record) -> None:
    """Check that the cell's torch.nn kernel, if it has one, gives the same as the cell's own step."""
    kernel, last = trial.cell.kernel(), STEPS - 1
    if kernel is None:
        return
    outputs, _, (state,) = FusedKernel([kernel]).run(trial.x[last, None], [record.states[last]], None)
    text = "computes a different network than the cell's own step; expected the same numbers"
    mistake = "another order of the gates, other biases or other options"
    trial.compare("kernel", (outputs[0], *state), record.after(last), text, lambda: mistake)
