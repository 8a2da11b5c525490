"""A model that amplifies rounding with each step: its file passes up to the steps for which a verdict is possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import zoo
from tests.proof.mutants import Graph
from tests.support.models import draw, make_model, model_of, sequences, write
from zoo.cli.verdict import HEADINGS, _table
from zoo.parity import Comparison, Status
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.oracle import Oracle
from zoo.proof.outcomes import LOOK_AT_THE_CELL, cell_hint
from zoo.proof.prove import cases_for, prove
from zoo.proof.streaming import prove_streaming


def chaotic(pooling: str | None = "last") -> zoo.Model:
    """Return a model that is ill-conditioned at 200 steps, and not at 8."""
    return make_model("rnn_tanh", hidden_size=64, recurrent_gain=6, pooling=pooling)


def proof(model: zoo.Model, path: Path, steps: int) -> dict[str, Any]:
    return prove(model, path, sequences(draw(64, steps)), ["cpu"], [], lambda _: None)


def test_float32_passes_up_to_the_steps_of_the_data(tmp_path: Path) -> None:
    model = chaotic()
    report = proof(model, write(model, tmp_path), 8)
    (result,) = report["providers"]
    assert (report["verdict"], report["reasons"], report["data_steps"]) == ("passed", [], 8)
    assert 8 <= result["judged_steps"] < 200
    assert "the model amplifies rounding" in result["beyond"]


def test_where_the_data_are_longer_it_does_not_pass(tmp_path: Path) -> None:
    model = chaotic()
    report = proof(model, write(model, tmp_path), 100)
    assert report["verdict"] == "ill-conditioned"
    assert "judged_steps" not in report["providers"][0]


def test_a_stream_passes_up_to_the_steps_of_the_data(tmp_path: Path) -> None:
    model = chaotic(None)
    path = write(model, tmp_path, streaming=True)
    report = prove_streaming(model, path, sequences(draw(64, 8)), ["cpu"], [], lambda _: None)
    assert report["verdict"] == "passed", report["reasons"]
    assert report["providers"][0]["judged_steps"] == 8


@pytest.mark.parametrize("steps", [8, 60])
def test_a_wrong_file_fails_all_the_same(steps: int, tmp_path: Path) -> None:
    """One recurrent weight of 4,096 is multiplied by 1.001."""
    model = chaotic()
    path = write(model, tmp_path, lowering="native")
    file = onnx.load(path)
    graph = Graph(file)
    recurrent = graph.weight("layer_0/rnn/R").copy()
    recurrent[0, 0, 0] *= 1.001
    graph.set("layer_0/rnn/R", recurrent)
    onnx.save(file, path)
    report = proof(model, path, steps)
    assert report["verdict"] == "failed"


@pytest.mark.parametrize(
    ("steps", "further"), [(8, [(3, 8)]), (28, []), (199, [(3, 199)]), (200, []), (201, [(3, 201)])]
)
def test_the_steps_of_the_data_are_among_the_cases(steps: int, further: list[tuple[int, int]], tmp_path: Path) -> None:
    from zoo.proof.cases import SHAPES
    from zoo.proof.prove import FileProperties

    model = make_model("lstm")
    cases = cases_for(model, sequences(draw(4, steps)), FileProperties())
    listed = dict.fromkeys((case.batch, case.time) for case in cases if not case.drawn)
    assert list(listed) == [*SHAPES, *further]


# --- operations that do not round -----------------------------------------------------------------------------------

EXACT = {
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "trunc": torch.trunc,
    "frac": torch.frac,
    "sign": torch.sign,
    "abs": torch.abs,
    "neg": torch.neg,
    "relu": torch.relu,
    "clamp": lambda x: x.clamp(-2, 2),
    "fmod": lambda x: torch.fmod(x, 3.0),
    "maximum": lambda x: torch.maximum(x, -x),
    "where": lambda x: torch.where(x > 0, x, -x),
    "amax": lambda x: x.amax(1),
    "sort": lambda x: x.sort(1).values,
    "cat": lambda x: torch.cat([x, x], 1),
    "masked_fill": lambda x: x.masked_fill(x > 1, 1.0),
    "long": lambda x: x.floor().long(),
}


@pytest.mark.parametrize("operation", EXACT.values(), ids=EXACT.keys())
def test_an_exact_operation_is_not_disturbed(operation: Any) -> None:
    x = torch.linspace(-7.5, 7.5, 31, dtype=torch.float64).repeat(4, 1)
    with DisturbedArithmetic("bfloat16", seed=0, draws=4, batch=4, one_sided=2):
        disturbed = operation(x)
    assert torch.equal(disturbed, operation(x))


@pytest.mark.parametrize(
    "operation", [torch.tanh, lambda x: x + x, lambda x: torch.remainder(x, 3.0), lambda x: torch.round(x, decimals=1)]
)
def test_an_operation_that_rounds_is_disturbed(operation: Any) -> None:
    x = torch.linspace(-7.5, 7.5, 31, dtype=torch.float64).repeat(4, 1)
    with DisturbedArithmetic("bfloat16", seed=0, draws=4, batch=4):
        disturbed = operation(x)
    assert not torch.equal(disturbed, operation(x))


class Counting(zoo.Cell):
    """Counts in a state of integers, and uses the count as a number and as an integer."""

    name = "counting"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, state_sizes=(config.hidden_size, 1), output_size=config.hidden_size)
        self.lin = torch.nn.Linear(input_size, config.hidden_size)

    def initial_state(self, batch: int, like: torch.Tensor) -> zoo.State:
        return like.new_zeros(batch, self.output_size), torch.full((batch, 1), 4, device=like.device)

    def step(self, x: torch.Tensor, state: zoo.State) -> tuple[torch.Tensor, zoo.State]:
        h, t = state
        parity = (t.to(h.dtype).floor().long() % 2).to(h.dtype)
        h = torch.tanh(self.lin(x) + 0.5 * h) * (1 - 0.5 * parity)
        return h, (h, t + 1)


class OwnConstants(zoo.Cell):
    """Creates constants without a dtype in its step and its initial state, as PyTorch's own examples do."""

    name = "own_constants"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, state_sizes=(config.hidden_size,), output_size=config.hidden_size)
        self.lin = torch.nn.Linear(input_size, config.hidden_size)

    def initial_state(self, batch: int, like: torch.Tensor) -> zoo.State:
        return (torch.zeros(batch, self.output_size),)

    def step(self, x: torch.Tensor, state: zoo.State) -> tuple[torch.Tensor, zoo.State]:
        (h,) = state
        h = torch.tanh(self.lin(x) + h @ (0.5 * torch.eye(self.output_size)))
        return h, (h,)


@pytest.mark.parametrize("cell", [Counting, OwnConstants])
def test_cells_that_the_oracle_once_misjudged(cell: type[zoo.Cell], tmp_path: Path) -> None:
    """Regressions: a count of 4 was disturbed to 3.99; a constant without a dtype was float32 in the float64 model."""
    model = model_of(cell)
    report = proof(model, write(model, tmp_path), 8)
    assert report["verdict"] == "passed", report["reasons"]


def test_the_oracle_leaves_the_default_dtype_as_it_was() -> None:
    Oracle(model_of(OwnConstants)).expect(draw(2, 3))
    assert torch.get_default_dtype() == torch.float32


# --- the hint in a reason -------------------------------------------------------------------------------------------


def judged(status: Status, error: float, over_budget: float) -> Comparison:
    return Comparison(status, "", error, over_budget, 1.0, 1.0, torch.zeros(1).numpy())


@pytest.mark.parametrize(
    ("file", "torch_", "cell"),
    [
        (judged("failed", 1.0, 5.0), judged("failed", 1.0, 4.0), True),
        (judged("failed", 1.0, 5.0), judged("passed", 1e-6, 0.5), False),
        (judged("failed", 100.0, 500.0), judged("failed", 1.0, 5.0), False),
        (judged("ill-conditioned", 1.0, 0.0), judged("ill-conditioned", 0.5, 0.0), True),
        (judged("ill-conditioned", 1.0, 0.0), judged("ill-conditioned", 1e-6, 0.0), False),
        (judged("ill-conditioned", 0.0, 0.0), judged("ill-conditioned", 0.0, 0.0), False),
    ],
)
def test_the_hint_names_the_cell_where_torch_errs_as_much(file: Comparison, torch_: Comparison, cell: bool) -> None:
    assert (cell_hint(file, torch_) == f"; {LOOK_AT_THE_CELL}") is cell


def test_columns_of_a_verdict_stay_separate() -> None:
    output = {
        "name": "next_state_0_forward_h",
        "status": "ill-conditioned",
        "max_error": 1.2e5,
        "over_budget": 1612345.0,
        "torch_over_budget": 99999.0,
        "amplification": 4022911.0,
        "agreement": 1.0,
    }
    usual = {**output, "name": "logits", "max_error": 1e-7, "over_budget": 0.2, "torch_over_budget": 0.1}
    above, below, *lines = _table([output, {**usual, "amplification": 3.0, "status": "passed"}])
    for line, heading in zip((above, below), HEADINGS, strict=True):
        assert line.split() == " ".join(heading).split()
    for line, figures in zip(lines, (["1.2e+05", "1.61e+06", "1.00e+05", "4,022,911", "100%"], None), strict=True):
        parts = [part.strip() for part in line.split("  ") if part.strip()]
        assert len(parts) >= 6
        assert figures is None or parts[1:6] == figures
