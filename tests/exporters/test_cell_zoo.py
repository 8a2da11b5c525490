"""Cells from the literature, which name no operator: in torch, exported, and as streams."""

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
from tests.exporters.agreement import assert_agrees
from tests.support.builders import DIRECTIONS, KINDS, covering, make_stack
from tests.support.measure import named_states
from tests.support.models import draw, make_model, sequences, write
from zoo.parity import PRECISIONS, Expected, judge
from zoo.proof.cases import SHAPES
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.oracle import Oracle
from zoo.proof.passes import DRAWS
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
    """Run a stack and return outputs and final states by name."""
    with torch.no_grad():
        outputs, last, finals = stack(x, lengths, states)
    return {"outputs": outputs, "last": last, **named_states(finals)}


def limits(stack: zoo.Stack, x: Tensor, lengths: Tensor | None = None) -> Mapping[str, float]:
    """Return the largest difference of two correct float64 programs: the budget of `zoo.parity`.

    The sensitivity is measured with float32's roundings, since float64's cannot be added in float64, and scaled: it is
    proportional to the rounding to first order.
    """
    exact = run(stack, x, lengths)
    with DisturbedArithmetic("float32", seed=0):
        moved = run(stack, x.repeat(1, DRAWS, 1), None if lengths is None else lengths.repeat(DRAWS))
    to_float64 = np.finfo(np.float64).eps / 2 / PRECISIONS["float32"].unit_roundoff
    result = {}
    for name, value in exact.items():
        draws = moved[name].unflatten(1 if name == "outputs" else 0, (DRAWS, -1)).movedim(-3, 0)
        sensitivity = float((draws - value).abs().max())
        expected = Expected(value.numpy(), np.array([sensitivity]))
        result[name] = float(expected.budget.max()) * to_float64 if value.is_floating_point() else 0.0
    return result


def assert_within(actual: Tensor, expected: Tensor, limit: float, name: str) -> None:
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), name
    error = float((actual - expected).abs().max())
    assert error <= limit, f"{name}: error {error:.3g}, over the limit of {limit:.3g}"  # NaN fails too


def test_the_cells_cover_every_kind_of_contract() -> None:
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
    """A forward layer equals the NumPy reference, one sequence at a time."""
    stack, x = stack_of(name), drawn()
    (cell,) = stack.ordered_layers[0].directed_cells
    parameters = {key: value.numpy() for key, value in cell.state_dict().items()}
    actual, limit = run(stack, x), limits(stack, x)
    for row in range(x.shape[1]):
        state = reference.start(parameters, name, cell.state_sizes)
        outputs = []
        for step in x[:, row].numpy():
            output, state = reference.STEPS[name](parameters, step, state)
            outputs.append(output)
        assert_within(actual["outputs"][:, row], torch.from_numpy(np.stack(outputs)), limit["outputs"], "outputs")
        for part, value in enumerate(state):
            key = f"state 0 0 {part}"
            assert_within(actual[key][row], torch.from_numpy(value).to(actual[key].dtype), limit[key], key)


@every_cell
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layers", [1, 2])
def test_padding_changes_nothing(name: str, direction: str, layers: int) -> None:
    """Each sequence of a batch padded with NaN gives the same as alone."""
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
    """Chunks of a sequence, each from the final state of the chunk before, give the same as the whole."""
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
    actual = {"outputs": torch.cat(pieces), "last": last, **named_states(states)}
    limit = limits(stack, x)
    for key, whole in run(stack, x).items():
        assert_within(actual[key], whole, limit[key], key)


@every_cell
def test_parameters_learn(name: str) -> None:
    """Every parameter affects the outputs."""
    stack, x = stack_of(name, "bidirectional", 2), drawn().requires_grad_()
    stack(x)[0].square().sum().backward()
    values = {"x": x, **dict(stack.named_parameters())}
    assert [key for key, value in values.items() if value.grad is None or not value.grad.any()] == []


# --- exported -------------------------------------------------------------------------------------------------------


def proven(model: zoo.Model, path: Path) -> dict[str, Any]:
    """Return the report of the whole proof on the CPU."""
    lengths = [8] * 10 + [3] * 10 if model.takes_lengths else None
    return prove(model, path, sequences(draw(20, 8), lengths), ["cpu"], [], lambda *_: None)


def assert_passed(report: dict[str, Any]) -> None:
    assert report["verdict"] == "passed", report["reasons"]
    (result,) = report["providers"]
    assert [output["ill_conditioned_cases"] for output in result["outputs"]] == [0, 0]


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


BREADTH = [
    (name, DIRECTIONS[(index + layers) % 3], layers, (index + layers) % 2 == 0)
    for index, name in enumerate(CELLS)
    for layers in (1, 2)
]
"""Each cell with one layer and with two, with lengths and without. Directions take turns, since what reads a sequence
in reverse is the same for all cells: `test_padding_changes_nothing` has every cell in every direction. ``make parity``
exports all combinations."""


@pytest.mark.parametrize(("name", "direction", "layers", "takes_lengths"), BREADTH)
def test_every_cell_exports(name: str, direction: str, layers: int, takes_lengths: bool, tmp_path: Path) -> None:
    """Files pass at every shape of the proof, with each step scored; all exports run in one process."""
    model = make_model(
        name, direction=direction, num_layers=layers, takes_lengths=takes_lengths, pooling=None, hidden_size=HIDDEN
    )
    path = write(model, tmp_path)
    assert "Scan" in operators(path)
    report = proven(model, path)
    assert_passed(report)
    listed = {(case["batch"], case["time"]) for case in report["cases"] if not case.get("drawn")}
    assert listed == {*SHAPES, (3, 8)}


@every_cell
def test_every_cell_pools(name: str, tmp_path: Path) -> None:
    """The pooled vector is the last output of each direction, which need not be a state."""
    model = make_model(name, direction="bidirectional", takes_lengths=True, pooling="last", hidden_size=HIDDEN)
    assert_agrees(model, write(model, tmp_path))


@every_cell
def test_every_cell_streams(name: str, tmp_path: Path) -> None:
    model = make_model(name, num_layers=2, pooling=None, hidden_size=HIDDEN)
    path = write(model, tmp_path, streaming=True)
    assert_passed(prove_streaming(model, path, sequences(draw(20, 8)), ["cpu"], [], lambda *_: None))


@every_cell
def test_states_are_those_of_the_last_valid_step(name: str, tmp_path: Path) -> None:
    """One more step from the final states of mixed lengths gives the result of the sequences with that step."""
    model = make_model(name, num_layers=2, takes_lengths=True, hidden_size=HIDDEN)
    oracle, session = Oracle(model), OnnxSession(write(model, tmp_path, states=True), threads=1)
    x, more = draw(len(LENGTHS), TIME), draw(len(LENGTHS), 1, seed=1)
    first = session.run(x, np.array(LENGTHS))
    states = {state.name: first[state.next_name] for state in session.states}
    second = session.run(more, np.ones(len(LENGTHS), np.int64), states)
    for row, length in enumerate(LENGTHS):
        expected = oracle.expect(np.concatenate([x[row, :length], more[row]])[None])
        answers = {key: second[key][row : row + 1] for key in expected}
        assert {verdict.status for verdict in judge(expected, answers).values()} == {"passed"}


@pytest.mark.parametrize(("kind", "direction", "takes_lengths"), covering(KINDS, DIRECTIONS, (True, False)))
def test_built_in_cells_as_scan_and_as_operator(kind: str, direction: str, takes_lengths: bool, tmp_path: Path) -> None:
    """Both a built-in cell's own step and the operator that it equals agree with the oracle."""
    model = make_model(kind, direction=direction, num_layers=2, takes_lengths=takes_lengths, pooling=None)
    for lowering, operator in (("scan", "Scan"), ("native", KINDS[kind].cell.name.upper())):
        path = write(model, tmp_path, lowering=lowering)
        assert operators(path) & {"Scan", "RNN", "LSTM", "GRU"} == {operator}
        assert_agrees(model, path)
