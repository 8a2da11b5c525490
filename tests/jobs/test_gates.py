"""Gates and states over time: equal to the textbook's equations, in the order of time, for any cell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import zoo
from tests.exporters.typed_cells import TypedCell
from tests.support import reference
from tests.support.builders import DIRECTIONS
from tests.support.models import FEATURES, draw, make_model, model_of
from tests.support.runs import build_run
from zoo.jobs.gates import Gates, Series, gates, run_gates
from zoo.plugins.registry import load_registry
from zoo.run.run import Run

Array = NDArray[Any]


def by_hand(kind: str, cell: zoo.Cell, x: Array) -> dict[str, Array]:
    """Compute every gate and state (time, hidden) of a cell from its equations, for x (time, input) as it is read."""
    parameters = {name: value.detach().numpy().astype(np.float64) for name, value in cell.named_parameters()}
    own = reference.split_gates(parameters, reference.KINDS[kind].gate_order)
    state = (np.zeros(cell.output_size),) * reference.KINDS[kind].state_parts
    steps: list[dict[str, Array]] = []
    for row in x:
        h = state[0]
        step = {
            name: reference.sigmoid(own[name].of_input(row) + own[name].of_state(h)) for name in "ifozr" if name in own
        }
        if kind == "lstm":
            step["g"] = np.tanh(own["g"].of_input(row) + own["g"].of_state(h))
        if kind == "gru_after":
            step["n"] = np.tanh(own["n"].of_input(row) + step["r"] * own["n"].of_state(h))
        if kind == "gru_before":
            step["n"] = np.tanh(own["n"].of_input(row) + own["n"].of_state(step["r"] * h))
        state = reference.KINDS[kind].step(own, row, state)
        steps.append({**step, **dict(zip("hc", state, strict=False))})
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["rnn_relu", "lstm", "gru_after", "gru_before"])
def test_gates_and_states_follow_the_equations(kind: str, direction: str) -> None:
    """In both layers, also where a kernel computes the model, and in the order of time where a cell reads backward."""
    model = make_model(kind, direction=direction, num_layers=2, dropout=0.5)
    x = draw(1, 9)[0]
    inputs, series = gates(model, torch.from_numpy(x))
    with torch.no_grad():
        assert np.array_equal(inputs, model.encoder(torch.from_numpy(x)).numpy())
    below = inputs.astype(np.float64)
    for number, layer in enumerate(model.layers()):
        outputs = []
        for cell, reverse in zip(layer.directed_cells, reference.REVERSED[direction], strict=True):
            way = "reverse" if reverse else "forward"
            expected = by_hand(kind, cell, below[::-1] if reverse else below)
            actual = {part.name: part for part in series if (part.layer, part.direction) == (number, way)}
            assert actual.keys() == expected.keys()
            for name, values in expected.items():
                in_time = values[::-1] if reverse else values
                assert actual[name].values == pytest.approx(in_time, abs=1e-5)
                assert actual[name].kind == ("state" if name in "hc" else "gate")
            outputs.append(expected["h"][::-1] if reverse else expected["h"])
        below = np.concatenate(outputs, 1)
    assert len(series) == 2 * len(reference.REVERSED[direction]) * len(actual)


def test_the_model_is_not_changed() -> None:
    model = make_model("gru_after", num_layers=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gates(model, torch.from_numpy(draw(1, 3)[0]))
    assert all(layer.fused for layer in model.layers())
    assert not any("watch" in vars(cell) for layer in model.layers() for cell in layer.directed_cells)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_gates_of_other_cells() -> None:
    """A watched value for each round of a solver; states without names have numbers."""
    x = torch.from_numpy(draw(1, 4)[0])
    assert [part.name for part in gates(make_model("ltc"), x)[1]] == ["f0", "f1", "f2", "h"]
    assert [part.name for part in gates(make_model("mgu"), x)[1]] == ["f", "h"]
    unnamed = type("Unnamed", (TypedCell,), {"dtype": torch.int64, "state_names": ()})
    named = gates(model_of(unnamed), x)[1]
    assert [(part.kind, part.name, part.values.dtype.kind) for part in named] == [
        ("state", "0", "f"),
        ("state", "1", "i"),
    ]


def test_a_cell_that_breaks_the_contract_is_named() -> None:
    class Twice(TypedCell):
        name = "twice"
        dtype = torch.int64

        def step(self, x: torch.Tensor, state: zoo.State) -> tuple[torch.Tensor, zoo.State]:
            self.watch("x", x)
            return super().step(self.watch("x", x), state)

    with pytest.raises(zoo.PluginError, match=r"the cell 'twice' of .*: step watches 'x' 2 times in one step"):
        gates(model_of(Twice), torch.zeros(2, FEATURES))


# the numbers


def test_numbers_over_steps_and_units() -> None:
    values = np.array([[0.0, 0.04, 0.5, 0.96], [0.0, 0.1, 0.2, 1.0]], np.float32)
    summary = Series(0, "forward", "gate", "f", values).summary
    assert summary.mean == pytest.approx(0.35)
    assert (summary.max, summary.min) == (1.0, 0.0)
    assert (summary.near_zero, summary.near_one) == (3 / 8, 2 / 8)
    assert (summary.lowest_step, summary.highest_step) == (2, 1)


def test_shares_are_for_values_within_one() -> None:
    summary = Series(0, "forward", "state", "c", np.array([[-3.0], [0.01]])).summary
    assert (summary.near_zero, summary.near_one) == (None, None)
    assert (summary.lowest_step, summary.highest_step) == (1, 2)
    summary = Series(0, "forward", "state", "h", np.array([[-0.99], [0.01]])).summary
    assert (summary.near_zero, summary.near_one) == (0.5, 0.5)


def test_a_diverging_state_has_numbers() -> None:
    part = Series(0, "forward", "state", "h", np.array([[1.0, 2.0], [np.inf, -np.inf]], np.float32))
    assert (part.summary.max, part.summary.min, part.summary.near_one) == (np.inf, -np.inf, None)
    assert np.isnan(part.summary.mean)


# runs and files


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        "gru": Run(build_run(folder, "gru", "training.epochs=1", "architecture.num_layers=2")),
        "sentiment": Run(build_run(folder, "sentiment", "training.epochs=1", "encoder.size=8")),
    }


def of(run: Run, **options: Any) -> Gates:
    return run_gates(run, load_registry(), **options)


def test_a_sequence_of_the_sample(runs: dict[str, Run]) -> None:
    """Only its own steps, where sequences differ in length."""
    sample = runs["sentiment"].sample()
    assert sample.lengths is not None
    row = int(sample.lengths.argmin())
    shortest = int(sample.lengths[row])
    assert shortest < sample.x.shape[1]
    result = of(runs["sentiment"], row=row)
    assert (result.source, result.steps) == (f"sample {row}", shortest)
    assert {part.values.shape[0] for part in result.series} == {shortest}
    signature = zoo.Signature.from_dict(runs["sentiment"].config()["signature"])
    assert [signature.ids[token] for token in result.tokens] == sample.x[row, :shortest].tolist()


def test_a_text_is_the_same_from_an_option_and_from_a_file(runs: dict[str, Run], tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("the plot was dull .\nthe dialogue was clever .\n")
    by_file = of(runs["sentiment"], file=file, row=1)
    by_option = of(runs["sentiment"], text="the dialogue was clever .")
    assert (by_file.source, by_option.source) == (f"{file}:2", "the dialogue was clever .")
    assert by_file.tokens == by_option.tokens == ("the", "dialogue", "was", "clever", ".")
    assert by_file.to_dict()["series"] == by_option.to_dict()["series"]


def test_numbers_of_a_file(runs: dict[str, Run], tmp_path: Path) -> None:
    sample = runs["gru"].sample()
    np.save(tmp_path / "x.npy", sample.x[:3].numpy())
    result = of(runs["gru"], file=tmp_path / "x.npy", row=2)
    assert result.source == f"{tmp_path / 'x.npy'}[2]"
    assert result.to_dict()["series"] == of(runs["gru"], row=2).to_dict()["series"]
    np.savetxt(tmp_path / "x.csv", sample.x[2].numpy(), delimiter=",")
    assert of(runs["gru"], file=tmp_path / "x.csv").to_dict()["series"] == result.to_dict()["series"]


def test_the_layer_alone(runs: dict[str, Run]) -> None:
    whole, alone = of(runs["gru"]), of(runs["gru"], layer=1)
    assert [part.name for part in alone.series] == ["z", "r", "n", "h"]
    assert alone.to_dict()["series"] == [part.to_dict() for part in whole.series if part.layer == 1]
    assert json.loads(json.dumps(alone.to_dict()))["steps"] == 8


def test_what_is_not_there(runs: dict[str, Run], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 8)))
    gru, path = runs["gru"], runs["gru"].path
    x, missing = tmp_path / "x.npy", tmp_path / "no.npy"
    for options, error, line in (
        (
            {"row": 256},
            zoo.UsageError,
            f"row 256: expected a number from 0 to 255, since the sample of {path} has 256 sequences",
        ),
        (
            {"row": -1},
            zoo.UsageError,
            f"row -1: expected a number from 0 to 255, since the sample of {path} has 256 sequences",
        ),
        ({"layer": -1}, zoo.UsageError, f"layer -1: expected a number from 0 to 1, since {path} has 2 layers"),
        ({"layer": 2}, zoo.UsageError, f"layer 2: expected a number from 0 to 1, since {path} has 2 layers"),
        ({"file": x, "row": 1}, zoo.UsageError, f"row 1: expected 0, since {x} has 1 sequence"),
        ({"text": "x"}, zoo.UsageError, "--text: this model takes numbers; give a .npy or .csv file with --input"),
        ({"file": missing}, zoo.DataError, f"{missing}: there is no such file; correct the path"),
    ):
        with pytest.raises(error) as caught:
            of(gru, **options)
        assert str(caught.value) == line
    unfinished = shutil.copytree(path, tmp_path / "unfinished")
    (unfinished / "config.json").unlink()
    with pytest.raises(zoo.RunError, match="is not a finished run"):
        of(Run(unfinished))
