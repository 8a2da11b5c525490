"""The oracle: exact results, and the disturbed arithmetic that measures their sensitivity."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.support import reference
from tests.support.builders import DIRECTIONS, KINDS
from tests.support.models import FEATURES, draw, make_model
from zoo.nn.recurrent import StackConfig
from zoo.parity import PRECISIONS, Array
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.oracle import Oracle

U = PRECISIONS["float32"].unit_roundoff


# --- disturbed arithmetic -------------------------------------------------------------------------------------------


def a_and_b() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 40, 40, dtype=torch.float64, generator=generator).unbind()
    return a, b


COMPUTATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda a, b: a + b,
    "add_": lambda a, b: a.clone().add_(b),
    "divide": lambda a, b: a / b,
    "exp": lambda a, b: a.exp(),
    "linear": nn.functional.linear,
    "linear_in_3d": lambda a, b: nn.functional.linear(a[:, None], b),
    "linear_with_bias": lambda a, b: nn.functional.linear(a, b, b[0]),
    "matmul": lambda a, b: a @ b,
    "mean": lambda a, b: a.view(4, 400).mean(0),
    "multiply": lambda a, b: a * b,
    "sigmoid": lambda a, b: a.sigmoid(),
    "softmax": lambda a, b: torch.softmax(a, -1),
    "subtract": lambda a, b: a - b,
    "sum": lambda a, b: a.view(4, 400).sum(0),
    "tanh": lambda a, b: a.tanh(),
}


@torch.no_grad()
@pytest.mark.parametrize("name", COMPUTATIONS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_operation_errs_by_up_to_one_rounding(name: str, precision: str) -> None:
    """By at most u, by nearly u somewhere, in both directions, and by the same amount with the same seed."""
    a, b = a_and_b()
    u = PRECISIONS[precision].unit_roundoff
    exact = COMPUTATIONS[name](a, b)
    with DisturbedArithmetic(precision, seed=1):
        disturbed = COMPUTATIONS[name](a, b)
    with DisturbedArithmetic(precision, seed=1):
        again = COMPUTATIONS[name](a, b)
    with DisturbedArithmetic(precision, seed=2):
        other = COMPUTATIONS[name](a, b)
    assert torch.equal(disturbed, again)
    assert not torch.equal(disturbed, other)
    moves = (disturbed / exact - 1) / u
    # One rounding of float64 in the disturbance and one in this quotient, in units of u.
    assert float(moves.abs().max()) <= 1 + 2 * torch.finfo(torch.float64).eps / u
    # Of 400 values or more, none lies in the outer twentieth of a side with probability 0.95^400 = 1e-9.
    assert float(moves.max()) > 0.9
    assert float(moves.min()) < -0.9


MOVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cat": lambda a, b: torch.cat([a, b]),
    "chunk": lambda a, b: a.chunk(4, 1)[2],
    "clamp": lambda a, b: a.clamp(-1, 1),
    "clone": lambda a, b: a.clone(),
    "contiguous": lambda a, b: a.t().contiguous(),
    "copy_": lambda a, b: torch.empty_like(a).copy_(b),
    "expand": lambda a, b: a[:1].expand(5, -1),
    "flip": lambda a, b: a.flip(0),
    "gather": lambda a, b: a.gather(0, torch.zeros(1, 40, dtype=torch.long)),
    "index": lambda a, b: a[[3, 1]],
    "masked_fill": lambda a, b: a.masked_fill(b > 0, 0.5),
    "max": lambda a, b: a.max(0).values,
    "negative": lambda a, b: -a,
    "ones": lambda a, b: torch.full((3,), 0.1, dtype=torch.float64),
    "pad": lambda a, b: nn.functional.pad(a, (1, 2)),
    "relu": lambda a, b: a.relu(),
    "relu_": lambda a, b: a.clone().relu_(),
    "repeat": lambda a, b: a.repeat(2, 1),
    "reshape": lambda a, b: a.t().reshape(-1),
    "roll": lambda a, b: a.roll(1),
    "stack": lambda a, b: torch.stack([a, b]),
    "transpose": lambda a, b: a.t(),
    "unbind": lambda a, b: a.unbind(0)[3],
    "where": lambda a, b: torch.where(a > 0, a, b),
}


@torch.no_grad()
@pytest.mark.parametrize("name", MOVES)
def test_moving_numbers_rounds_nothing(name: str) -> None:
    a, b = a_and_b()
    with DisturbedArithmetic("bfloat16", seed=0):
        moved = MOVES[name](a, b)
    assert torch.equal(moved, MOVES[name](a, b))


@torch.no_grad()
@pytest.mark.parametrize("name", [*COMPUTATIONS, *MOVES])
def test_inputs_stay_as_they_are(name: str) -> None:
    a, b = a_and_b()
    before = a.clone(), b.clone()
    with DisturbedArithmetic("bfloat16", seed=0):
        {**COMPUTATIONS, **MOVES}[name](a, b)
    assert torch.equal(a, before[0])
    assert torch.equal(b, before[1])


@torch.no_grad()
def test_integers_stay_as_they_are() -> None:
    numbers = torch.arange(1000)
    with DisturbedArithmetic("bfloat16", seed=0):
        assert torch.equal(numbers * 3 + 1, torch.arange(1, 3001, 3))


@torch.no_grad()
@pytest.mark.parametrize(("precision", "limit"), [("float32", 2.0**128), ("bfloat16", 2.0**128), ("float16", 2.0**16)])
def test_overflow_of_the_precision_is_infinite(precision: str, limit: float) -> None:
    half = torch.tensor([limit / 2, -limit / 2], dtype=torch.float64)
    with DisturbedArithmetic(precision, seed=0):
        assert (half * 1.9).isfinite().all()
        assert torch.equal(half * 2.1, torch.tensor([torch.inf, -torch.inf], dtype=torch.float64))


# --- exact results --------------------------------------------------------------------------------------------------


def by_reference(model: zoo.Model, kind: str, x: Array) -> dict[str, Array]:
    """Compute the whole model in NumPy float64, by the equations of `tests.support.reference`."""
    weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    layers = [
        [{name: tensor.double().numpy() for name, tensor in cell.state_dict().items()} for cell in layer.directed_cells]
        for layer in model.layers()
    ]
    encoded = (x.astype(np.float64) - weights["encoder.mean"]) / weights["encoder.std"]
    assert model.pooling is not None
    outputs, finals = reference.run_stack(kind, model.stack.direction, layers, encoded.swapaxes(0, 1))
    pooled = {
        "last": np.concatenate([state[0] for state in finals[-1]], 1),
        "mean": outputs.mean(0),
        "max": outputs.max(0),
        "last_step": outputs[-1],
    }[model.pooling]
    logits = pooled @ weights["head.weight"].T + weights["head.bias"]
    powers = np.exp(logits)
    return {"logits": logits, "probabilities": powers / powers.sum(1, keepdims=True)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "last_step"])
def test_exact_is_the_reference(kind: str, direction: str, pooling: str) -> None:
    """Equal up to rounding, by the rule of parity for float64 in place of float32.

    The oracle's sensitivity to roundings of 2^-24 scales to those of 2^-53, since it is of first order.
    """
    model = make_model(kind, hidden_size=6, direction=direction, num_layers=2, pooling=pooling)
    x = draw(3, 11)
    expected = Oracle(model).expect(x)
    for name, reference_ in by_reference(model, kind, x).items():
        error = float(np.abs(expected[name].exact - reference_).max())
        assert error <= float(expected[name].budget.max()) * 2.0**-29, name


@pytest.mark.parametrize("implementation", ["fused", "cell"])
def test_fused_layers_run_as_cells(implementation: str) -> None:
    """A fused kernel hides its operations, which would not be disturbed. The model itself stays fused."""
    model = make_model("lstm", implementation=implementation)
    fused, cell = Oracle(model), Oracle(make_model("lstm", implementation="cell"))
    x = draw(2, 9)
    for name, expected in fused.expect(x).items():
        assert np.array_equal(expected.exact, cell.expect(x)[name].exact)
        assert np.array_equal(expected.sensitivity, cell.expect(x)[name].sensitivity)
    assert [layer.fused for layer in model.layers()] == [implementation == "fused"]


# --- sensitivity ----------------------------------------------------------------------------------------------------


class Copy(nn.Module):
    """Moves its input without computing."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(1).transpose(0, 1).contiguous().transpose(0, 1).flip(1)


class Scores(nn.Module):
    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        return {"scores": scores}


class CopyCell(zoo.Cell):
    """Returns its input as its output."""

    name = "copy"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, state_sizes=(), output_size=input_size)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        return x, state


class CopyLayer(zoo.Layer):
    name = "copy"
    cell = CopyCell
    fixed_direction = "forward"


def test_a_model_that_only_moves_is_not_sensitive() -> None:
    stack = zoo.Stack(CopyLayer, FEATURES, StackConfig(num_layers=2))
    model = zoo.Model(cast("Any", Copy()), stack, "last", nn.Identity(), Scores())
    model.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    x = draw(3, 5)
    expected = Oracle(model).expect(x)["scores"]
    assert np.array_equal(expected.exact, x[:, -1].astype(np.float64))
    assert np.array_equal(expected.sensitivity, [0])


def test_sensitivity_of_two_operations_is_two_roundings() -> None:
    """The operations are x - mean and / std; the largest of many draws is near 2 u * max|y|."""
    stack = zoo.Stack(CopyLayer, FEATURES, StackConfig())
    normaliser = zoo.Normaliser(zoo.Scale((0.0,) * FEATURES, (3.0,) * FEATURES))
    model = zoo.Model(normaliser, stack, "last", nn.Identity(), Scores())
    expected = Oracle(model).expect(draw(64, 5))["scores"]
    assert 1.5 * U * expected.scale < float(expected.sensitivity.max()) <= 2.001 * U * expected.scale


def test_sensitivity_is_the_largest_of_several_draws() -> None:
    """At least five, concatenated along the batch, each with disturbances of its own."""
    model, recorded = make_model("lstm"), []
    model.head.register_forward_hook(lambda _, __, scores: recorded.append(scores.clone()))
    x = draw(3, 5)
    expected = Oracle(model).expect(x)["logits"]
    exact, disturbed = recorded
    draws = disturbed.reshape(-1, *exact.shape)
    assert len(draws) >= 5
    assert len({tuple(scores.flatten().tolist()) for scores in draws}) == len(draws)
    assert float(expected.sensitivity.max()) == float((draws - exact).abs().max())


def test_sensitivity_grows_with_the_precision() -> None:
    """It is of first order: 2^13 times as large for TF32's roundings as for float32's."""
    oracle, x = Oracle(make_model("gru_after")), draw(3, 28)
    fine, coarse = oracle.expect(x)["logits"], oracle.expect(x, "tf32")["logits"]
    assert np.array_equal(fine.exact, coarse.exact)
    # The same draws, so that only terms of second order differ: 28 steps of about 10 roundings of 2^-11 each.
    assert coarse.sensitivity / fine.sensitivity == pytest.approx(2**13, rel=280 * 2**-11)


def test_the_model_and_its_input_stay_unchanged() -> None:
    """They are bit-identical: the oracle works on a copy, and disturbs results only."""
    model, x = make_model("lstm", direction="bidirectional", num_layers=2), draw(3, 28)
    oracle = Oracle(model)
    before = copy.deepcopy(model.state_dict()), copy.deepcopy(oracle.model.state_dict()), x.copy()
    first = oracle.expect(x)
    second = oracle.expect(x)
    assert np.array_equal(x, before[2])
    for module, weights in ((model, before[0]), (oracle.model, before[1])):
        assert all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())
    for name, expected in first.items():
        assert np.array_equal(expected.exact, second[name].exact)
        assert np.array_equal(expected.sensitivity, second[name].sensitivity)


def test_model_in_training_mode_is_judged_in_inference_mode() -> None:
    model = make_model("lstm", num_layers=2, dropout=0.5)
    x = draw(2, 5)
    exact = Oracle(model).expect(x)["logits"].exact
    assert np.array_equal(Oracle(model.train()).expect(x)["logits"].exact, exact)
    assert model.training


def test_overflow_makes_the_sensitivity_infinite() -> None:
    """A growing ReLU RNN exceeds 2^128 within 200 steps, which is finite in float64 and not in float32."""
    expected = Oracle(make_model("rnn_relu", hidden_size=32, recurrent_gain=6)).expect(draw(2, 200))["logits"]
    assert np.isfinite(expected.exact).all()
    assert expected.scale > 2.0**128
    assert np.isinf(expected.sensitivity).all()
    assert expected.judged_steps == 0
    assert replace(expected, sensitivity=np.zeros(1)).judged_steps == 1


@pytest.mark.parametrize("time_first", [True, False])
def test_some_draws_are_one_sided(time_first: bool) -> None:
    """They err by the full u at each step, where a library function or equal numbers are rounded."""
    draws, rows, steps, width = 6, 3, 5, 4
    u = PRECISIONS["bfloat16"].unit_roundoff
    shape = (steps, draws * rows, width) if time_first else (draws * rows, width)
    equal = torch.full(shape, 3.3, dtype=torch.float64)  # whole numbers would be added without an error
    unequal = equal + torch.arange(width) / 8
    exact = {"tanh": unequal.tanh(), "mul": unequal * 3, "equal": equal + 1, "again": equal + 1}
    with DisturbedArithmetic("bfloat16", seed=0, draws=draws, batch=draws * rows, one_sided=2):
        disturbed = {"tanh": unequal.tanh(), "mul": unequal * 3, "equal": equal + 1, "again": equal + 1}
    errors = {name: ((disturbed[name] / exact[name] - 1) / u).view(-1, draws, rows, width) for name in exact}
    sided, others = ({name: each[:, part] for name, each in errors.items()} for part in (slice(-2, None), slice(-2)))
    for name in ("tanh", "equal"):
        assert torch.allclose(sided[name].abs(), torch.ones_like(sided[name]), rtol=1e-6)  # float64's own roundings
        assert (sided[name].sign() == sided[name][:1, :, :1, :1].sign()).all()
    for noise in (*others.values(), sided["mul"]):
        assert noise.abs().max() <= 1 + 1e-6
        assert 0.3 < noise.std() < 0.9
    assert torch.equal(sided["equal"], sided["again"])
    assert not torch.equal(others["equal"], others["again"])
