"""Cells from the literature, which name no operator: over time in torch, exported, and as streams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

import zoo
from tests.cells import CELLS, reference
from tests.support.builders import DIRECTIONS, KINDS, covering, make_stack
from tests.support.measure import named_states
from tests.support.models import draw, make_model, sequences, write
from zoo.parity import PRECISIONS, Expected, judge
from zoo.proof.cases import SHAPES, draw_cases
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.oracle import DRAWS, Oracle
from zoo.proof.prove import prove
from zoo.proof.streaming import prove_streaming
from zoo.runtime.session import OnnxSession

TIME, INPUT, HIDDEN = 7, 3, 5
LENGTHS = [5, 1, 7, 3]
"""Mixed lengths, the longest as long as the batch."""

every_cell = pytest.mark.parametrize("name", CELLS)


# --- in torch, float64 ----------------------------------------------------------------------------------------------


def stack_of(name: str, direction: str = "forward", layers: int = 1) -> zoo.Stack:
    return make_stack(name, input_size=INPUT, hidden_size=HIDDEN, direction=direction, num_layers=layers)


def drawn(batch: int = len(LENGTHS)) -> Tensor:
    return torch.randn(TIME, batch, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def run(stack: zoo.Stack, x: Tensor, lengths: Tensor | None = None, states: Any = None) -> Mapping[str, Tensor]:
    """Outputs and final states by name."""
    with torch.no_grad():
        outputs, last, finals = stack(x, lengths, states)
    return {"outputs": outputs, "last": last, **named_states(finals)}


def limits(stack: zoo.Stack, x: Tensor, lengths: Tensor | None = None) -> Mapping[str, float]:
    """How far two correct float64 programs may be apart: the budget of `zoo.parity`.

    The sensitivity is measured at float32's roundings, since float64's cannot be added in float64, and is in the first
    order proportional to them.
    """
    exact = run(stack, x, lengths)
    with DisturbedArithmetic("float32", seed=0):
        moved = run(stack, x.repeat(1, DRAWS, 1), None if lengths is None else lengths.repeat(DRAWS))
    to_float64 = np.finfo(np.float64).eps / 2 / PRECISIONS["float32"].unit_roundoff
    found = {}
    for name, value in exact.items():
        draws = moved[name].unflatten(1 if name == "outputs" else 0, (DRAWS, -1)).movedim(-3, 0)
        sensitivity = float((draws - value).abs().max())
        expected = Expected(value.numpy(), np.array([sensitivity]))
        found[name] = float(expected.budget.max()) * to_float64 if value.is_floating_point() else 0.0
    return found


def assert_within(found: Tensor, wanted: Tensor, limit: float, name: str) -> None:
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), name
    error = float((found - wanted).abs().max())
    assert error <= limit, f"{name} is off by {error:.3g}, over the limit of {limit:.3g}"  # NaN fails too


def test_all_that_a_cell_may_be_is_there() -> None:
    cells = {name: stack_of(name).ordered_layers[0].directed_cells[0] for name in CELLS}
    assert len(cells) == 14
    assert all(cell.kernel() is None and cell.operator() is None for cell in cells.values())
    assert {len(cell.state_sizes) for cell in cells.values()} == {1, 2, 3}
    assert {cell.output_size < max(cell.state_sizes) for cell in cells.values()} == {True, False}
    assert {cell.output_size > sum(cell.state_sizes) for cell in cells.values()} == {True, False}
    assert {not list(cell.parameters()) for cell in cells.values()} == {True, False}
    assert {type(cell).project is zoo.Cell.project for cell in cells.values()} == {True, False}
    assert {bool(cell.state_names) for cell in cells.values()} == {True, False}
    starts = [cell.initial_state(1, drawn()) for cell in cells.values()]
    assert {part.dtype for state in starts for part in state} == {torch.float64, torch.int64}
    assert {bool(part.any()) for state in starts for part in state} == {True, False}


@every_cell
def test_equals_reference(name: str) -> None:
    """A forward layer against NumPy, one sequence at a time."""
    stack, x = stack_of(name), drawn()
    (cell,) = stack.ordered_layers[0].directed_cells
    parameters = {key: value.numpy() for key, value in cell.state_dict().items()}
    found, limit = run(stack, x), limits(stack, x)
    for row in range(x.shape[1]):
        state = reference.start(parameters, name, cell.state_sizes)
        outputs = []
        for step in x[:, row].numpy():
            output, state = reference.STEPS[name](parameters, step, state)
            outputs.append(output)
        assert_within(found["outputs"][:, row], torch.from_numpy(np.stack(outputs)), limit["outputs"], "outputs")
        for part, value in enumerate(state):
            key = f"state 0 0 {part}"
            assert_within(found[key][row], torch.from_numpy(value).to(found[key].dtype), limit[key], key)


@every_cell
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layers", [1, 2])
def test_padding_changes_nothing(name: str, direction: str, layers: int) -> None:
    """Each sequence of a batch padded with NaN gives what it alone gives."""
    stack, clean, lengths = stack_of(name, direction, layers), drawn(), torch.tensor(LENGTHS)
    padding = torch.arange(TIME)[:, None] >= lengths
    together = run(stack, clean.masked_fill(padding[:, :, None], float("nan")), lengths)
    assert not together["outputs"][padding].any()
    limit = limits(stack, clean, lengths)
    for row, length in enumerate(LENGTHS):
        for key, alone in run(stack, clean[:length, row : row + 1]).items():
            rows = together[key][:length, row : row + 1] if key == "outputs" else together[key][row : row + 1]
            assert_within(rows, alone, limit[key], key)


@every_cell
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("layers", [1, 2])
def test_chunks_make_the_whole(name: str, direction: str, layers: int) -> None:
    """Each part of a sequence from the state that the part read before it ended with."""
    stack, x = stack_of(name, direction, layers), drawn()
    chunks = list(x.split([3, 1, 3]))
    if direction == "reverse":
        chunks.reverse()
    pieces, states = [], None
    for chunk in chunks:
        with torch.no_grad():
            outputs, last, states = stack(chunk, None, states)
        pieces.append(outputs)
    if direction == "reverse":
        pieces.reverse()
    assert states is not None
    found = {"outputs": torch.cat(pieces), "last": last, **named_states(states)}
    limit = limits(stack, x)
    for key, whole in run(stack, x).items():
        assert_within(found[key], whole, limit[key], key)


@every_cell
def test_parameters_learn(name: str) -> None:
    """Every parameter has a part in the outputs."""
    stack, x = stack_of(name, "bidirectional", 2), drawn().requires_grad_()
    stack(x)[0].square().sum().backward()
    values = {"x": x, **dict(stack.named_parameters())}
    assert [key for key, value in values.items() if value.grad is None or not value.grad.any()] == []


# --- exported -------------------------------------------------------------------------------------------------------


def proven(model: zoo.Model, path: Path) -> dict[str, Any]:
    """The report of the whole proof on the CPU."""
    lengths = [8] * 10 + [3] * 10 if model.takes_lengths else None
    return prove(model, path, sequences(draw(20, 8), lengths), ["cpu"], [], lambda _: None)


def assert_passed(report: dict[str, Any]) -> None:
    assert report["verdict"] == "passed", report["reasons"]
    (result,) = report["providers"]
    assert [output["ill_conditioned_cases"] for output in result["outputs"]] == [0, 0]


def assert_exact(model: zoo.Model, path: Path) -> None:
    """By the rule of parity, at a few small shapes, with mixed lengths where the model takes them."""
    oracle, session = Oracle(model), OnnxSession(path, threads=1)
    for case in draw_cases(draw(20, 8), with_lengths=model.takes_lengths, shapes=((1, 1), (5, 12))):
        answers = session.run(case.x, case.lengths)
        for key, found in judge(oracle.expect(case.x, lengths=case.lengths), answers).items():
            assert found.status == "passed", f"{key}: {found.reason} ({case})"


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


BREADTH = covering(CELLS, DIRECTIONS, (1, 2), (True, False))
"""Every two of these settings together; all of them: ``make parity``."""


@pytest.mark.parametrize(("name", "direction", "layers", "takes_lengths"), BREADTH)
def test_every_cell_exports(name: str, direction: str, layers: int, takes_lengths: bool, tmp_path: Path) -> None:
    """At every shape of the rule, each step scored; one export after the other in the same process."""
    model = make_model(
        name, direction=direction, num_layers=layers, takes_lengths=takes_lengths, pooling=None, hidden_size=HIDDEN
    )
    path = write(model, tmp_path)
    assert "Scan" in operators(path)
    report = proven(model, path)
    assert_passed(report)
    assert {(case["batch"], case["time"]) for case in report["cases"]} == {*SHAPES, (3, 8)}


@every_cell
def test_every_cell_pools(name: str, tmp_path: Path) -> None:
    """What a sequence ends with is its last output, of each direction, which need not be among the states."""
    model = make_model(name, direction="bidirectional", takes_lengths=True, pooling="last", hidden_size=HIDDEN)
    assert_exact(model, write(model, tmp_path))


@every_cell
def test_every_cell_streams(name: str, tmp_path: Path) -> None:
    model = make_model(name, num_layers=2, pooling=None, hidden_size=HIDDEN)
    path = write(model, tmp_path, streaming=True)
    assert_passed(prove_streaming(model, path, sequences(draw(20, 8)), ["cpu"], [], lambda _: None))


@every_cell
def test_states_are_those_of_the_last_valid_step(name: str, tmp_path: Path) -> None:
    """One more step after each of several sequences of different lengths, from the states that they ended with."""
    model = make_model(name, num_layers=2, takes_lengths=True, hidden_size=HIDDEN)
    oracle, session = Oracle(model), OnnxSession(write(model, tmp_path, states=True), threads=1)
    x, more = draw(len(LENGTHS), TIME), draw(len(LENGTHS), 1, seed=1)
    first = session.run(x, np.array(LENGTHS))
    states = {one.name: first[one.next_name] for one in session.states}
    second = session.run(more, np.ones(len(LENGTHS), np.int64), states)
    for row, length in enumerate(LENGTHS):
        expected = oracle.expect(np.concatenate([x[row, :length], more[row]])[None])
        answers = {key: second[key][row : row + 1] for key in expected}
        assert {one.status for one in judge(expected, answers).values()} == {"passed"}


@pytest.mark.parametrize(("kind", "direction", "takes_lengths"), covering(KINDS, DIRECTIONS, (True, False)))
def test_built_in_cells_either_way(kind: str, direction: str, takes_lengths: bool, tmp_path: Path) -> None:
    """A built-in cell's own step gives what the operator gives that it equals: both what is exact."""
    model = make_model(kind, direction=direction, num_layers=2, takes_lengths=takes_lengths, pooling=None)
    for lowering, operator in (("scan", "Scan"), ("native", KINDS[kind].cell.name.upper())):
        path = write(model, tmp_path, lowering=lowering)
        assert operators(path) & {"Scan", "RNN", "LSTM", "GRU"} == {operator}
        assert_exact(model, path)
