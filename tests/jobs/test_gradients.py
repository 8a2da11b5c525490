"""`zoo gradients`: the derivatives are correct, and show vanishing gradients as in the textbooks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor

import zoo
from tests.support.builders import DIRECTIONS
from tests.support.command import run_zoo
from tests.support.models import CLASSES, FEATURES, make_model
from tests.support.paths import SPECS
from tests.support.runs import build_run
from tests.support.trainings import classification
from zoo.jobs.build import prepare
from zoo.jobs.gradients import Curve, Gradients, StateGradients, state_gradients
from zoo.plugins.registry import load_registry
from zoo.run.run import Run
from zoo.spec.spec import SpecReader

LABELS = tuple(map(str, range(CLASSES)))


def tagging() -> zoo.Task:
    signature = zoo.Signature(features=FEATURES, labels=LABELS, by_step=True)
    return load_registry().tasks["tagging"](zoo.Config(), signature)


def sample(*lengths: int, by_step: bool = False) -> zoo.Split:
    """Return random sequences of these lengths, padded with NaN, with random targets."""
    generator = torch.Generator().manual_seed(3)
    time = max(lengths)
    x = torch.rand(len(lengths), time, FEATURES, generator=generator) * 16
    y = torch.randint(CLASSES, (len(lengths), time) if by_step else (len(lengths),), generator=generator)
    beyond = torch.arange(time) >= torch.tensor(lengths)[:, None]
    x[beyond] = torch.nan
    if by_step:
        y[beyond] = zoo.IGNORED
    return zoo.Split(x, y, torch.tensor(lengths))


# the derivatives


def by_hand(cell: zoo.Cell, x: Tensor, bumps: list[Tensor]) -> Tensor:
    """Compute an RNN or an LSTM from its equations over x (time, features), with zeros added to each new state.

    The derivative with respect to an added zero is the total derivative with respect to that part of the state.
    """
    x2h, h2h = cell.x2h, cell.h2h
    assert isinstance(x2h, torch.nn.Linear)
    assert isinstance(h2h, torch.nn.Linear)
    h = c = x.new_zeros(cell.output_size)
    outputs = []
    for t in range(len(x)):
        sums = x2h.weight @ x[t] + x2h.bias + h2h.weight @ h + h2h.bias
        if cell.name == "rnn":
            h = sums.tanh() + bumps[0][t]
        else:
            i, f, g, o = sums.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh() + bumps[1][t]
            h = o.sigmoid() * c.tanh() + bumps[0][t]
        outputs.append(h)
    return torch.stack(outputs)


def norms_by_hand(model: zoo.Model, x: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> list[list[float]]:
    """Return the norms at each step of one sequence (time, features), by direction and part of a one-layer model."""
    (layer,) = model.layers()
    outputs, bumps, reversals = [], [], []
    for cell, reverse in zip(
        layer.directed_cells, {"forward": [False], "reverse": [True]}.get(layer.direction, [False, True]), strict=True
    ):
        own = [x.new_zeros(len(x), size, requires_grad=True) for size in cell.state_sizes]
        encoded = model.encoder(x)
        output = by_hand(cell, encoded.flip(0) if reverse else encoded, own)
        outputs.append(output.flip(0) if reverse else output)
        bumps += own
        reversals += [reverse] * len(own)
    last = [output[0 if reverse else -1] for output, reverse in zip(outputs, dict.fromkeys(reversals), strict=True)]
    gradients = torch.autograd.grad(loss(torch.cat(outputs, 1), torch.cat(last)), bumps)
    norms = [gradient.norm(dim=1) for gradient in gradients]
    return [(norm.flip(0) if reverse else norm).tolist() for norm, reverse in zip(norms, reversals, strict=True)]


def assert_curves(result: StateGradients, expected: list[list[list[float]]], ends: list[int]) -> None:
    """Check the curves against expected norms by sequence, then by state, then by step."""
    for index, curve in enumerate(result.curves):
        rows = [norms[index] for norms in expected]
        means = [np.mean([row[t] for row in rows if t < len(row)]) for t in range(max(map(len, rows)))]
        assert curve.norms == pytest.approx(means, rel=1e-9)
        assert curve.first == pytest.approx(np.mean([row[0] for row in rows]), rel=1e-9)
        middles = [row[end // 2] for row, end in zip(rows, ends, strict=True)]
        assert curve.middle == pytest.approx(np.mean(middles), rel=1e-9)
        lasts = [row[end] for row, end in zip(rows, ends, strict=True)]
        assert curve.last == pytest.approx(np.mean(lasts), rel=1e-9)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm"])
def test_the_derivatives_equal_those_by_hand(kind: str, direction: str, pooling: str) -> None:
    """The reference computes each sequence alone, without padding, for the last state or the mean of all outputs."""
    lengths = (7, 2, 5, 1)
    model, data = make_model(kind, direction=direction, pooling=pooling, takes_lengths=True), sample(*lengths)
    result = state_gradients(model, classification(), data)
    assert {curve.state for curve in result.curves} == {
        f"{part}{f' {way}' if direction == 'bidirectional' else ''}"
        for part in ("hc" if kind == "lstm" else "h")
        for way in ("forward", "reverse")
    }
    exact = make_model(kind, direction=direction, pooling=pooling).double()

    def norms(row: int) -> list[list[float]]:
        def loss(outputs: Tensor, last: Tensor) -> Tensor:
            scores = exact.head(last if pooling == "last" else outputs.mean(0))
            return torch.nn.functional.cross_entropy(scores, data.y[row])

        return norms_by_hand(exact, data.x[row, : lengths[row]].double(), loss)

    assert_curves(result, [norms(row) for row in range(len(lengths))], [length - 1 for length in lengths])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_targets_by_step_use_the_last_target(direction: str) -> None:
    """The third sequence has no target at its last two steps; the fourth has none at all and is left out."""
    data = sample(6, 3, 5, 4, by_step=True)
    data.y[2, 3:], data.y[3] = zoo.IGNORED, zoo.IGNORED
    ends = [5, 2, 2]
    result = state_gradients(make_model("lstm", direction=direction, pooling=None, takes_lengths=True), tagging(), data)
    assert result.sequences == 3
    exact = make_model("lstm", direction=direction, pooling=None).double()

    def norms(row: int) -> list[list[float]]:
        def loss(outputs: Tensor, last: Tensor) -> Tensor:
            return torch.nn.functional.cross_entropy(exact.head(outputs[ends[row]]), data.y[row, ends[row]])

        return norms_by_hand(exact, data.x[row, : (6, 3, 5)[row]].double(), loss)

    assert_curves(result, [norms(row) for row in range(3)], ends)


def test_the_loss_is_that_of_the_task() -> None:
    model, data = make_model("gru_after", takes_lengths=True), sample(*([5] * 70))
    with torch.inference_mode():
        loss = classification().loss(model(data.x), data.y)
    result = state_gradients(model, classification(), data)
    assert result.loss == pytest.approx(float(loss), rel=1e-5)
    assert result.sequences == 70  # more than one batch, the last one smaller


def test_the_model_is_not_changed() -> None:
    model = make_model("gru_after", num_layers=2, dropout=0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    results = [state_gradients(model, classification(), sample(4, 4)).curves for _ in range(2)]
    assert results[0] == results[1]  # no dropout
    assert [curve.state for curve in results[0]] == ["layer 0 h", "layer 1 h"]
    assert all(layer.fused for layer in model.layers())
    assert all(
        value.dtype == torch.float32 and torch.equal(value, before[n]) for n, value in model.state_dict().items()
    )


class CountingCell(zoo.Cell):
    """Cell with a part of the state that depends on no weight."""

    def __init__(self) -> None:
        super().__init__(FEATURES, state_sizes=(4, 1, 4), output_size=4)
        self.mix = torch.nn.Linear(FEATURES + 4, 4)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, count, other = state
        h = torch.tanh(self.mix(torch.cat([x, h], 1)) / (count + 1))
        return h, (h, count + 1, other)


def test_states_of_a_third_party_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter of steps has a gradient; a part that the loss does not depend on has gradients of zero."""
    model = make_model("rnn_tanh", hidden_size=4)
    model.layers()[0].cells[0] = CountingCell()
    model.layers()[0].fused = False
    curves = state_gradients(model, classification(), sample(3, 3)).curves
    assert [curve.state for curve in curves] == ["state 0", "state 1", "state 2"]
    assert min(curves[0].norms) > 0
    assert min(curves[1].norms[:-1]) > 0
    assert curves[2].norms == [0, 0, 0]
    assert np.isnan(curves[2].ratio)
    monkeypatch.setattr(CountingCell, "state_names", ("h", "count", "other"))
    named = state_gradients(model, classification(), sample(3, 3)).curves
    assert [curve.state for curve in named] == ["h", "count", "other"]


# the results of the textbooks


def test_an_rnns_gradient_decays_geometrically() -> None:
    """At a state of zero tanh has slope 1, so each step multiplies by the recurrent weights, half a rotation."""
    model = make_model("rnn_tanh", hidden_size=8)
    (cell,) = model.layers()[0].directed_cells
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.get_parameter("h2h.weight").copy_(0.5 * torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0])
    (curve,) = state_gradients(model, classification(), sample(100)).curves
    steps = np.array(curve.norms)
    assert steps[:-1] / steps[1:] == pytest.approx(0.5, rel=1e-6)
    assert curve.ratio == pytest.approx(0.5**99, rel=1e-5)  # 1.6e-30, which float32 arithmetic could not reach


def test_an_lstm_with_an_open_forget_gate_keeps_the_gradient() -> None:
    """The cell state is the only path from step to step."""
    model = make_model("lstm", hidden_size=8)
    (cell,) = model.layers()[0].directed_cells
    with torch.no_grad():
        cell.get_parameter("h2h.weight").zero_()
        cell.get_parameter("x2h.weight").mul_(0.02)
        cell.get_parameter("x2h.bias")[8:16] = 1000.0
    hidden, memory = state_gradients(model, classification(), sample(60, 60, 60)).curves
    assert memory.state == "c"
    assert memory.norms == pytest.approx([memory.last] * 60, rel=1e-12)
    assert memory.last > 0
    assert hidden.norms[:-1] == [0] * 59  # no path through h


# the picture and the command


def test_gradients_of_zero_can_be_drawn(tmp_path: Path) -> None:
    zero, tiny = Curve("h", [0.0, 0.0], 0.0, 0.0, 0.0), Curve("c", [1e-300], 1e-300, 1e-300, 1e-300)
    for curves in ([zero], [zero, tiny], [tiny]):
        Gradients("untrained", {"a $run_": StateGradients(curves, 1, 0.0)}).draw(tmp_path / "picture.png")
        assert imread(tmp_path / "picture.png").std() > 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: build_run(folder, name) for name in ("rnn", "lstm")}


def test_one_run(runs: dict[str, Path]) -> None:
    outcome = run_zoo("gradients", runs["lstm"])
    assert outcome.exit_code == 0, outcome.stderr
    heading, *rows = outcome.stdout.splitlines()
    assert heading.split("  ")[-1] == "first/last"
    assert [row.split()[:2] for row in rows] == [["lstm", "h"], ["lstm", "c"]]
    first, middle, last, ratio = map(float, rows[0].split()[2:])
    assert middle > 0
    assert ratio == pytest.approx(first / last, rel=0.02)
    picture = runs["lstm"] / "gradients.png"
    assert str(picture) in outcome.stderr
    height, width = imread(picture).shape[:2]
    assert width > height > 400


def test_several_runs_as_json(runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is given twice is reported once."""
    monkeypatch.chdir(tmp_path)
    outcome = run_zoo("gradients", runs["rnn"], runs["lstm"], runs["rnn"], "--json")
    assert outcome.exit_code == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert (report["weights"], report["picture"]) == ("trained", "gradients.png")
    assert Path("gradients.png").is_file()
    assert [(run["name"], run["sequences"]) for run in report["runs"]] == [("rnn", 256), ("lstm", 256)]
    for run in report["runs"]:
        _, task, model = Run(Path(run["run"])).load(load_registry())
        curves = state_gradients(model, task, Run(Path(run["run"])).sample()).curves
        assert run["states"] == [curve.to_dict() for curve in curves]
        assert {len(state["norms"]) for state in run["states"]} == {8}


def test_runs_of_the_same_name_are_shown_by_their_paths(runs: dict[str, Path], tmp_path: Path) -> None:
    other = shutil.copytree(runs["rnn"], tmp_path / "rnn")
    outcome = run_zoo("gradients", runs["rnn"], other, "--out", tmp_path / "both.png", "--json")
    assert [run["name"] for run in json.loads(outcome.stdout)["runs"]] == [str(runs["rnn"]), str(other)]


def test_the_initial_weights(runs: dict[str, Path]) -> None:
    registry = load_registry()
    reader = SpecReader.of(registry)
    spec = reader.read(runs["lstm"] / "spec.yaml")
    plan = prepare(spec, registry)
    outcome = run_zoo("gradients", runs["lstm"], "--untrained", "--json")
    report = json.loads(outcome.stdout)
    assert report["weights"] == "untrained"
    assert report["picture"] == str(runs["lstm"] / "gradients-untrained.png")
    curves = state_gradients(plan.model, plan.task, Run(runs["lstm"]).sample()).curves
    assert report["runs"][0]["states"] == [curve.to_dict() for curve in curves]
    trained = json.loads(run_zoo("gradients", runs["lstm"], "--json").stdout)
    assert trained["runs"][0]["loss"] < report["runs"][0]["loss"]


@pytest.mark.parametrize("name", ["characters", "sentiment", "copy", "adding"])
def test_every_kind_of_data(name: str, tmp_path: Path) -> None:
    """Tokens, lengths, a target for each step, numbers."""
    changes = ["architecture.hidden_size=6", "training.epochs=1"]
    small = {"characters": ["data.window=32"], "copy": ["data.train=64"], "adding": ["data.train=64"]}
    arguments = [part for change in (*changes, *small.get(name, [])) for part in ("--set", change)]
    assert run_zoo("build", SPECS / f"{name}.yaml", "--out", tmp_path / name, *arguments).exit_code == 0
    outcome = run_zoo("gradients", tmp_path / name, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (run,) = json.loads(outcome.stdout)["runs"]
    assert all(min(state["norms"]) > 0 for state in run["states"])


def test_the_latest_run_is_the_default(runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_zoo("gradients")
    assert (outcome.exit_code, outcome.stderr) == (1, "error: there is no run in runs/; 'zoo build SPEC' makes one\n")
    shutil.copytree(runs["rnn"], tmp_path / "runs" / "newest")
    assert "newest" in run_zoo("gradients").stdout


def test_errors_are_one_line(runs: dict[str, Path], tmp_path: Path) -> None:
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    shutil.copy(runs["rnn"] / "spec.yaml", unfinished)
    for arguments, code, line in (
        ((unfinished,), 1, f"error: {unfinished}: is not a finished run; finish it with 'zoo build SPEC --resume'"),
        ((tmp_path / "no",), 1, f"error: {tmp_path / 'no'}: is not a run; 'zoo build SPEC' makes one"),
        (
            (runs["rnn"], "--out", "here.svg"),
            2,
            "error: --out here.svg: the picture is a PNG; give a name that ends in .png",
        ),
    ):
        outcome = run_zoo("gradients", *arguments)
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (code, "", f"{line}\n")
