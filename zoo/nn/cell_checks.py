"""One check of a cell, before anything is made of it: that it keeps the contract of `zoo.Cell`.

What breaks the contract may train and even be exported without an error, and the result is then another network than
the one that was meant. So each kind of cell runs over a small random input, in the mode of inference:

- shapes and dtypes of the projection, the output and the states, at more than one size of a batch;
- the same steps once more, in the reverse order, give the same bits: nothing stands outside the state;
- neither inputs nor parameters and buffers change;
- it runs in float64 too, in which every proof works out the exact result;
- each sequence alone gives what it gives in a batch, and each step projected alone what all at once give;
- a kernel that the cell names gives what the cell's own steps give.

The last two compare float64 numbers, each step from the same state, so that no error grows from step to step.
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
from zoo.nn.cell_trial import Record, Trial, count, in_float64, largest_of, same
from zoo.nn.kernel import FusedKernel
from zoo.nn.recurrent import Layer

STEPS = 4
BATCHES = (5, 7, 11, 13, 17)
"""Sizes of a batch: the first one that is no size of the cell's own is taken, so that no shape is right by chance."""


def check_cells(layers: Iterable[Layer]) -> None:
    """Check one cell of each kind in a stack: cells that differ in their weights alone are of one kind.

    The cells, the random numbers of torch and the mode of the model stay as they are.

    Raises:
        CellError: in one line: the cell, the file, the line, what was expected, what came, and the likely mistake.
    """
    kinds = {_kind(cell): cell for layer in layers for cell in layer.directed_cells}
    for cell in kinds.values():
        gpus = sorted({one.device.index for one in cell.parameters() if one.is_cuda})
        with torch.random.fork_rng(devices=gpus), torch.no_grad():
            torch.manual_seed(0)
            _check(cell)


def _kind(cell: Cell) -> object:
    plain = {name: value for name, value in vars(cell).items() if isinstance(value, Number | str | tuple)}
    return type(cell), repr(sorted(plain.items()))


def _check(cell: Cell) -> None:
    like = next((one for one in cell.parameters() if one.is_floating_point()), torch.zeros(()))
    sizes = {cell.input_size, cell.output_size, *cell.state_sizes}
    batch = next((one for one in BATCHES if one not in sizes), BATCHES[-1])
    generator = torch.Generator().manual_seed(0)
    # Small enough for whatever a cell may do with its input.
    x = torch.rand(STEPS, batch, cell.input_size, generator=generator).mul_(2).sub_(1).to(like)
    trial = Trial(_copy(cell), x)
    _repeats(trial, trial.run())
    double = Trial(_copy(cell).double(), x.double(), doubled=like.dtype != torch.float64)
    with in_float64():
        record = double.run()
        largest = max(
            1.0, largest_of([record.projected, *record.outputs, *(one for own in record.states for one in own)])
        )
        _starts_alike(double, record)
        _projects_each_step_alone(double, record, largest)
        _computes_each_row_alone(double, record, largest)
        _equals_its_kernel(double, record, largest)


def _copy(cell: Cell) -> Cell:
    """A copy in the mode of inference, which shares the numbers of the parameters."""
    shared: dict[int, Any] = {id(one): nn.Parameter(one.detach(), one.requires_grad) for one in cell.parameters()}
    try:
        return copy.deepcopy(cell, shared).eval()
    except Exception as error:  # whatever hangs on the cell
        reason = " ".join(str(error).split())[:200]
        text = f"cannot be copied, as training and every proof do: {type(error).__name__}: {reason}"
        raise cell_error(type(cell), line_of(type(cell), "__init__"), text) from error


# --- nothing outside the state --------------------------------------------------------------------------------------


def _repeats(trial: Trial, record: Record) -> None:
    """The same again, in the reverse order and from the states of the first time: the same bits, and nothing kept."""
    before, random = _Kept(trial.cell), torch.get_rng_state()
    different = "" if _equal([trial.project(trial.x)], [record.projected]) else "project"
    for number in reversed(range(STEPS)):
        output, state = trial.step(record.projected[number], record.states[number])
        if not different and not _equal([output, *state], record.after(number)):
            different = "step"
    after, method = _Kept(trial.cell), different or "step"
    if name := after.written(before):
        trial.fail(
            method,
            f"writes to the cell's {name!r} in the mode of inference; expected parameters and buffers as they were; "
            "likely what changes from step to step, which belongs into the state",
        )
    if name := after.counted(before):
        trial.fail(
            method,
            f"changes the cell's {name!r} from {before.attributes.get(name)} to {after.attributes[name]}; expected all "
            "that changes from step to step in the state; likely a counter, which a graph cannot keep on the cell",
        )
    if different:
        mistake = "random numbers, or something kept outside the state"
        if not torch.equal(random, torch.get_rng_state()):
            mistake = "random numbers: draw them in training only ('if self.training')"
        elif name := after.replaced(before):
            mistake = f"what it keeps in {name!r}, which belongs into the state"
        trial.fail(method, f"gives two answers to the same input and state; expected the same bits; likely {mistake}")


class _Kept:
    """What a cell and its parts hold at one moment."""

    def __init__(self, cell: Cell) -> None:
        named = (*cell.named_parameters(), *cell.named_buffers())
        self.tensors = {name: (one, one._version) for name, one in named}
        """Parameters and buffers, and how often each was written to."""
        self.attributes = {
            f"{part}.{name}" if part else name: value
            for part, module in cell.named_modules()
            for name, value in vars(module).items()
        }

    def written(self, before: _Kept) -> str:
        """The first parameter or buffer that was written to, replaced or added since; empty where none was."""
        for name, (tensor, version) in self.tensors.items():
            old, old_version = before.tensors.get(name, (None, 0))
            if tensor is not old or version != old_version:
                return name
        return ""

    def replaced(self, before: _Kept) -> str:
        """The first plain attribute that is another object since."""
        changed = (name for name, value in self.attributes.items() if before.attributes.get(name) is not value)
        return next(changed, "")

    def counted(self, before: _Kept) -> str:
        """The first plain number that is another one since."""
        for name, value in self.attributes.items():
            old = before.attributes.get(name)
            if isinstance(value, Number) and old is not value and old != value:
                return name
        return ""


def _equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return all(same(one, other) for one, other in zip(found, expected, strict=True))


# --- no other row, no other step ------------------------------------------------------------------------------------


def _starts_alike(trial: Trial, record: Record) -> None:
    """Every sequence starts alike, whatever the size of its batch."""
    alone = trial.start(1, trial.x.new_zeros(()))
    if not _equal([one.expand_as(many) for one, many in zip(alone, record.states[0], strict=True)], record.states[0]):
        trial.fail(
            "initial_state",
            "starts each sequence, or each size of a batch, with another state; expected every row the same; likely "
            "random numbers, or a division by the size of the batch",
        )


def _projects_each_step_alone(trial: Trial, record: Record, largest: float) -> None:
    """The first step alone, all but the last, and the last alone are projected as all at once; and nothing but that
    reaches `step`."""
    for steps in (slice(0, 1), slice(0, STEPS - 1), slice(STEPS - 1, STEPS)):
        projected, expected = trial.project(trial.x[steps]), record.projected[steps]
        alone = f"gives for {count(len(expected), 'step')} of {STEPS} something else than for all at once"
        if projected.shape != expected.shape:
            trial.fail("project", f"{alone}; expected {tuple(expected.shape)}, got {tuple(projected.shape)}")
        text = f"{alone}; expected each step from itself alone"
        trial.compare("project", projected, expected, largest, text, lambda: _reach(trial, record))
    text = "gives something else after another call of project; expected that x and the state alone decide"
    mistake = "something that project leaves on the cell: put it into what project gives"
    output, state = trial.step(projected[0], record.states[STEPS - 1])
    _compare(trial, "step", (output, *state), record.after(STEPS - 1), largest, text, mistake)


def _reach(trial: Trial, record: Record) -> str:
    """The likely mistake of a projection that reads more than its own step."""
    first, last = trial.x.clone(), trial.x.clone()
    first[0] += 1
    last[-1] += 1
    if not same(trial.project(last)[:-1], record.projected[:-1]):
        return "it looks at later steps, or at all of them (a mean over time, say), which a stream does not have yet"
    if not same(trial.project(first)[1:], record.projected[1:]):
        return "it looks at earlier steps: what has to be remembered belongs into the state"
    return "it counts the steps (a division by len(x), say), and a stream has any number of them"


def _computes_each_row_alone(trial: Trial, record: Record, largest: float) -> None:
    """A row of the batch by itself gives what it gives among others: another row at another step, from states that are
    the initial ones no more."""
    mistake = "a mean, a norm, a softmax or a branch over the whole batch: reduce over the last dimension only"
    batch = trial.x.shape[1]
    text = f"gives for a sequence alone something else than in a batch of {batch}; expected each row by itself"
    for number in (1, STEPS - 1):
        row = slice(number, number + 1)
        projected, expected = trial.project(trial.x[:, row]), record.projected[:, row]
        if projected.shape != expected.shape:
            trial.fail("project", f"{text}, {tuple(expected.shape)}, got {tuple(projected.shape)}")
        _compare(trial, "project", [projected], [expected], largest, text, mistake)
        output, state = trial.step(record.projected[number, row], tuple(one[row] for one in record.states[number]))
        _compare(trial, "step", (output, *state), [one[row] for one in record.after(number)], largest, text, mistake)


def _equals_its_kernel(trial: Trial, record: Record, largest: float) -> None:
    """The torch.nn kernel that the cell names, where it names one, gives what the cell's own step gives."""
    kernel, last = trial.cell.kernel(), STEPS - 1
    if kernel is None:
        return
    outputs, _, (state,) = FusedKernel([kernel]).run(trial.x[last, None], [record.states[last]], None)
    text = "names another network than the cell's own step computes; expected the same numbers"
    mistake = "another order of the gates, other biases or other options"
    _compare(trial, "kernel", (outputs[0], *state), record.after(last), largest, text, mistake)


def _compare(
    trial: Trial,
    method: str,
    found: Sequence[Tensor],
    expected: Sequence[Tensor],
    largest: float,
    text: str,
    mistake: str,
) -> None:
    for one, other in zip(found, expected, strict=True):
        trial.compare(method, one, other, largest, text, lambda: mistake)
