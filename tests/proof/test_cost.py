"""The cost of exact results: equal rows once, passes of bounded memory, noise from a bank."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.models import draw, make_model
from zoo.parity import PRECISIONS, Array
from zoo.proof.cases import Case
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.expectations import Expectations
from zoo.proof.inputs import Input
from zoo.proof.noise import SIZE, Noise
from zoo.proof.oracle import Oracle
from zoo.proof.passes import DRAWS, LARGEST, ONE_SIDED, divide, numbers_per_step

# --- equal rows -----------------------------------------------------------------------------------------------------

ORDER = np.array([2, 0, 0, 1, 2, 2, 0])


def arrays(item: Input) -> tuple[Array, Array, Array]:
    """Return the input, the lengths and the state, which `three` and its parts have."""
    assert item.lengths is not None
    assert item.states is not None
    return item.x, item.lengths, item.states["state_0_h"]


def three() -> Input:
    """Return three rows with lengths and states."""
    x, lengths = draw(3, 9), np.array([9, 4, 7])
    x[np.arange(9) >= lengths[:, None]] = np.nan
    return Input(x, lengths, {"state_0_h": np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)})


def test_different_rows() -> None:
    many = three().rows(ORDER)
    rows, place = many.distinct()
    assert len(rows.x) == 3
    for own, other in zip(arrays(rows.rows(place)), arrays(many), strict=True):
        assert np.array_equal(own, other, equal_nan=True)


@pytest.mark.parametrize("array", [0, 1, 2], ids=["input", "lengths", "states"])
def test_rows_that_differ_anywhere_are_different(array: int) -> None:
    twice = three().rows(np.array([0, 0]))
    assert len(twice.distinct()[0].x) == 1
    arrays(twice)[array][1] += 1
    assert len(twice.distinct()[0].x) == 2


@pytest.mark.parametrize("pooling", ["last", None])
def test_equal_rows_have_the_results_of_one(pooling: str | None) -> None:
    """Of seven rows three run. The exact results are expanded; the sensitivity is that of the different rows."""
    model = make_model("gru_after", pooling=pooling, takes_lengths=True, hidden_size=8)
    oracle, runs, few = Oracle(model), list[int](), three()
    oracle.model.head.register_forward_hook(lambda _, inputs, __: runs.append(len(inputs[0])))
    rows, place = few.rows(ORDER).distinct()
    (small,), (large,) = (oracle.expect_each([item], "float32") for item in (rows, few.rows(ORDER)))
    assert runs == [3, 3 * DRAWS] * 2
    for output, expected in large.items():
        assert np.array_equal(expected.exact, small[output].exact[place], equal_nan=True)
        assert np.array_equal(expected.sensitivity, small[output].sensitivity)
    for output, alone in oracle.expect(few.x[:1], "float32", arrays(few)[1][:1], few.rows(slice(1)).states).items():
        assert large[output].exact[1] == pytest.approx(alone.exact[0], rel=1e-12, abs=1e-14)


def test_rows_of_other_cases_are_shared_too() -> None:
    """Two cases of the same steps with the same row give the same exact result, from one run."""
    model, x = make_model("lstm"), draw(2, 5)
    cases = [Case(2, 5, "data", x), Case(64, 5, "data", x[np.arange(64) % 2])]
    expectations = Expectations(model, cases)
    small, large = expectations.at("float32")
    (alone,) = Expectations(model, cases[:1]).at("float32")
    for name, expected in large.items():
        assert np.array_equal(expected.exact, small[name].exact[np.arange(64) % 2])
        assert np.array_equal(expected.sensitivity, alone[name].sensitivity)
        assert expectations.torch[1][name].shape == expected.exact.shape


# --- passes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3, 64, 500])
@pytest.mark.parametrize("steps", [1, 28, 200, 2000, 8000])
@pytest.mark.parametrize("width", [20, 7168])
@pytest.mark.parametrize("weights", [0, 15_000_000])
def test_passes_have_every_draw_of_every_row_once_within_the_memory(
    rows: int, steps: int, width: int, weights: int
) -> None:
    passes = divide(rows, steps, width, weights)
    counts = np.zeros((rows, DRAWS), int)
    for part in passes:
        counts[part.rows, part.draws] += 1
        count = len(range(rows)[part.rows])
        runs = count * len(part.draws)
        assert runs == 1 or 8 * runs * steps * width <= LARGEST
        assert len(part.draws) == 1 or 8 * len(part.draws) * weights <= LARGEST
        assert part.one_sided == len([draw for draw in part.draws if draw >= DRAWS - ONE_SIDED])
    assert (counts == 1).all()
    assert len(passes) == 1 or len(passes) <= rows * DRAWS


def test_all_draws_run_at_once_where_they_fit() -> None:
    (only,) = divide(64, 28, 500)
    assert (only.rows, only.draws, only.one_sided) == (slice(0, 64), range(DRAWS), ONE_SIDED)


@pytest.mark.parametrize(("largest", "passes"), [(1, 50), (70_000, 5)])
def test_in_many_passes_the_results_are_those_of_one(
    largest: int, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the noise: exact results to float64's rounding, sensitivities of the same size."""
    oracle, x = Oracle(make_model("lstm", direction="bidirectional", pooling=None)), draw(5, 12)
    whole = oracle.expect(x)
    monkeypatch.setattr("zoo.proof.passes.LARGEST", largest)
    assert len(divide(5, 12, numbers_per_step(oracle.model))) == passes
    for name, expected in oracle.expect(x).items():
        assert expected.exact == pytest.approx(whole[name].exact, rel=1e-12, abs=1e-14)
        assert expected.sensitivity.shape == whole[name].sensitivity.shape == (12,)
        assert (expected.sensitivity > whole[name].sensitivity / 4).all()
        assert (expected.sensitivity < whole[name].sensitivity * 4).all()


def test_the_estimate_of_a_layer_is_that_of_its_widest_cell() -> None:
    """A bidirectional LSTM of 6 units: input 12, output 12, product of 24."""
    model = make_model("lstm", hidden_size=6, num_layers=2, direction="bidirectional")
    assert numbers_per_step(model) == 2 * 12 + 3 * 12 + 24


# --- the bank of noise ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(200_000,), (3, 70_000), (1, SIZE + 5), (SIZE // 2 + 1, 3)], ids=str)
def test_noise_is_uniform(shape: tuple[int, ...]) -> None:
    noise = Noise(0).uniform(torch.Size(shape))
    assert noise.shape == shape
    assert float(noise.abs().max()) <= 1
    shares = torch.histc(noise, 20, -1, 1) / noise.numel()
    # Of n numbers in 20 intervals, a share has a standard deviation of sqrt(0.05 * 0.95 / n); six of them.
    assert float((shares - 0.05).abs().max()) < 6 * (0.0475 / min(noise.numel(), SIZE)) ** 0.5


def test_operations_have_different_noise() -> None:
    """No two of a hundred have correlated noise, at any element."""
    noise = Noise(0)
    drawn = torch.stack([noise.uniform(torch.Size((2000,))) for _ in range(100)])
    correlations = torch.corrcoef(drawn) - torch.eye(100)
    assert float(correlations.abs().max()) < 6 / 2000**0.5
    again = Noise(0).uniform(torch.Size((2000,)))
    assert torch.equal(again, drawn[0])
    assert not torch.equal(Noise(1).uniform(torch.Size((2000,))), drawn[0])


@torch.no_grad()
def test_errors_of_operations_do_not_cancel() -> None:
    """The sum of 400 errors grows like a random walk: neither like their number nor to nothing."""
    u, steps = PRECISIONS["bfloat16"].unit_roundoff, 400
    x = torch.full((4, 500), 1.5, dtype=torch.float64)
    with DisturbedArithmetic("bfloat16", seed=0):
        y = x.clone()
        for _ in range(steps):
            y = y / 1.0
    spread = float(((y / x).log() / u).std())
    assert spread == pytest.approx((steps / 3) ** 0.5, rel=0.1)  # a uniform number in [-1, 1] has the variance 1/3


def test_sides_are_one_or_minus_one() -> None:
    sides = Noise(0).sides(1000)
    assert set(sides.tolist()) == {-1.0, 1.0}
    assert abs(float(sides.mean())) < 6 / 1000**0.5
