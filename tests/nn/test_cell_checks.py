"""The check of a cell: every wrong cell gives one line with its place and mistake, and every correct cell passes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import tests.nn.wrong_cells
import zoo
from tests.nn.wrong_cells import MISTAKES, WRONG, Steps
from tests.plugins import stranger
from tests.support.builders import ALL_KINDS, config_type, layer_type, make_stack
from tests.support.command import Outcome, run_zoo
from tests.support.odd_cells import ODD_CELLS
from tests.support.untraceable import UNTRACEABLE, PlainCell, marked_line
from zoo.entry_points import EntryPoint, entry_points
from zoo.errors import CellError
from zoo.nn.cell_checks import check_cells
from zoo.plugins.registry import build_registry
from zoo.proof.trained import check_trained
from zoo.run.run import Run, first_model
from zoo.sealed import load_sealed, save_sealed
from zoo.spec.spec import SpecReader
from zoo.spec.strict_yaml import parse

FOR_THE_WHOLE_BATCH = {"item_branch", "item_range", "until", "batch_branch", "shape_branch"}
"""The untraceable cells whose Python code branches for all rows at once."""


def stack_of(cell: type[zoo.Cell], **options: object) -> zoo.Stack:
    torch.manual_seed(0)
    config = config_type(cell).model_validate({"hidden_size": 5, **options})
    return zoo.Stack(layer_type(cell), 3, config)


# --- wrong cells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_cell_is_named(name: str) -> None:
    cell, text = WRONG[name]
    with pytest.raises(CellError) as caught:
        check_cells(stack_of(cell).ordered_layers)
    line = str(caught.value)
    place = f"{tests.nn.wrong_cells.__file__}:{marked_line(cell)}: the cell {name!r} of tests.nn.wrong_cells: "
    assert line.startswith(place + text)
    assert MISTAKES.get(name, "") in line
    assert "\n" not in line
    assert (caught.value.exit_code, isinstance(caught.value, zoo.PluginError)) == (6, True)


@pytest.mark.parametrize("name", sorted(FOR_THE_WHOLE_BATCH))
def test_a_branch_for_the_whole_batch_is_named(name: str) -> None:
    with pytest.raises(CellError, match="another result for a sequence alone than in a batch"):
        check_cells(stack_of(UNTRACEABLE[name]).ordered_layers)


def test_the_cell_of_a_deeper_layer_is_checked() -> None:
    """The cell is wrong only with the input size of the second layer."""

    class Deep(PlainCell):
        name = "deep"

        def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
            h = torch.tanh(self.total(x, state))
            return (h.mean(0).expand_as(h) if self.input_size == 5 else h), (h,)

    check_cells(stack_of(Deep).ordered_layers)
    with pytest.raises(CellError, match="alone"):
        check_cells(stack_of(Deep, num_layers=2).ordered_layers)


# --- correct cells --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_correct_cells_pass(kind: str, dtype: torch.dtype) -> None:
    """Integer counters, learned initial states, outputs narrower and wider than the state, no parameters."""
    check_cells(make_stack(kind, num_layers=2, direction="bidirectional", dtype=dtype).ordered_layers)


@pytest.mark.parametrize("name", [*ODD_CELLS, *sorted(UNTRACEABLE.keys() - FOR_THE_WHOLE_BATCH - {"branch", "noise"})])
def test_odd_cells_pass(name: str) -> None:
    """Also cells that keep the contract but cannot be traced."""
    check_cells(stack_of({**ODD_CELLS, **UNTRACEABLE}[name]).ordered_layers)


def test_a_layer_architecture_passes() -> None:
    config = config_type(stranger.MGUCell).model_validate({"hidden_size": 5})
    check_cells(zoo.Stack(stranger.BiMGU, 3, config).ordered_layers)


class Gate(PlainCell):
    """Dropout in training, a boolean state, a constant without a dtype, and a gate stored for inspection."""

    name = "gate"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.state_sizes = (config.hidden_size, 1)
        self.dropout = nn.Dropout(0.5)
        self.gate: Tensor | None = None

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        h, open_ = super().initial_state(batch, like)
        return h, open_.bool()

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, open_ = state
        self.gate = torch.sigmoid(self.total(x, (self.dropout(h),)))
        h = torch.where(open_, self.gate * h, torch.tanh(x)) @ torch.eye(h.shape[1])
        return h, (h, h.sum(1, keepdim=True) > 0)


class Turning(PlainCell):
    """A complex state in a list, with its real part as the output."""

    name = "turning"

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        (zeros,) = super().initial_state(batch, like)
        return (torch.complex(zeros, zeros),)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        z = state[0] * torch.polar(torch.ones_like(x), self.h2h.bias.expand_as(x)) + x
        return z.real, [z]  # type: ignore[return-value]


@pytest.mark.parametrize("cell", [Gate, Turning])
def test_cells_that_are_correct_in_inference_mode_pass(cell: type[zoo.Cell]) -> None:
    check_cells(stack_of(cell).train().ordered_layers)


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru_after"])
def test_extreme_weights_pass(kind: str) -> None:
    """Chaotic, saturated, nearly zero and NaN weights."""
    for gain in (30.0, 1e4, 1e-8, float("nan")):
        stack = make_stack(kind, dtype=torch.float32, hidden_size=64)
        with torch.no_grad():
            for parameter in stack.parameters():
                parameter.mul_(gain)
        check_cells(stack.ordered_layers)


def test_the_check_changes_nothing() -> None:
    stack = stack_of(Gate, num_layers=2).train()
    weights, random = copy.deepcopy(stack.state_dict()), torch.get_rng_state()
    check_cells(stack.ordered_layers)
    assert all(value.equal(weights[name]) for name, value in stack.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert torch.get_default_dtype() == torch.float32
    assert all(module.training for module in stack.modules())
    assert [cell.gate for layer in stack.ordered_layers for cell in layer.cells] == [None, None]


# --- names of the contract ------------------------------------------------------------------------------------------


def collide(name: str, value: object) -> None:
    class Colliding(Steps):
        def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
            super().__init__(input_size, config)
            setattr(self, name, value)  # HERE

    Colliding.name = "colliding"
    Colliding(3, zoo.CellConfig(hidden_size=5))


HIDES = "hides the method Cell.{}(), which the contract calls"
NEVER = "is never called, since the method Cell.{}() comes first"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("kernel", nn.Parameter(torch.ones(3)), f"self.kernel = Parameter(…): {HIDES}"),
        ("operator", torch.ones(3), f"self.operator = Tensor(…): {HIDES}"),
        ("kernel", torch.exp, HIDES),
        ("watch", nn.Linear(3, 5), f"self.watch = Linear(…): {NEVER}"),
        ("project", nn.Linear(3, 5), f"self.project = Linear(…): {NEVER}"),
        ("step", 3, f"self.step = 3: {HIDES}"),
        ("initial_state", nn.Parameter(torch.ones(3)), HIDES),
        ("input_size", nn.Parameter(torch.ones(3)), "self.input_size = Parameter(…): expected an integer"),
        ("output_size", 0.5, "self.output_size = 0.5: expected an integer"),
        ("state_sizes", 5, "self.state_sizes = 5: expected a tuple of integers, such as (8,)"),
        ("state_names", "h", "self.state_names = 'h': expected a tuple of strings, such as ('h',)"),
        ("name", nn.Linear(3, 5), "self.name = Linear(…): expected a string"),
        ("Config", zoo.CellConfig(hidden_size=5), "expected a class of options"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_name_of_the_contract_is_reserved(name: str, value: object, text: str) -> None:
    (line,) = [
        number for number, code in enumerate(Path(__file__).read_text().splitlines(), 1) if code.endswith(")  # HERE")
    ]
    with pytest.raises(CellError) as caught:
        collide(name, value)
    begin = f"{__file__}:{line}: the cell 'colliding' of tests.nn.test_cell_checks: self.{name} = "
    assert str(caught.value).startswith(begin)
    assert text.format(name) in str(caught.value)
    assert str(caught.value).endswith("; rename the attribute if it is for another use")


@pytest.mark.parametrize("register", ["register_parameter", "register_buffer", "add_module", "register_module"])
def test_a_name_of_the_contract_cannot_be_registered(register: str) -> None:
    cell = Steps(3, zoo.CellConfig(hidden_size=5))
    value = nn.Linear(3, 5) if "module" in register else nn.Parameter(torch.ones(3))
    with pytest.raises(CellError, match="rename the attribute if it is for another use"):
        getattr(cell, register)("kernel", value)


def test_attributes_that_fit_the_contract_are_allowed() -> None:
    for name, value in {
        "step": torch.add,
        "project": torch.tanh,
        "input_size": 3,
        "state_sizes": [5],
        "state_names": ("h",),
        "name": "other",
    }.items():
        collide(name, value)


# --- commands -------------------------------------------------------------------------------------------------------

SPEC = "data: {{name: digits}}\narchitecture: {{name: {}, hidden_size: 6}}\ntask: {{name: classification}}\n"
TRAINING = "training: {epochs: 1, batch_size: 256}\n"


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the cells of `tests.nn.wrong_cells` like those of an installed plugin."""
    names = (*WRONG, "drawn_mask", "looks_at_numbers", "caches")
    points = [EntryPoint(name, "tests.nn.wrong_cells", "strangers 1.0") for name in names]
    registry = build_registry([*entry_points(), *points])
    assert registry.faults == []
    monkeypatch.setattr("zoo.plugins.registry.load_registry", lambda: registry)


def build(name: str, folder: Path, *options: object) -> Outcome:
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.format(name) + TRAINING)
    return run_zoo("build", spec, "--out", folder / "run", "--device", "cpu", *options)


@pytest.mark.parametrize("name", ["bare_state", "batch_mean"])
def test_a_build_refuses_a_wrong_cell(name: str, tmp_path: Path) -> None:
    outcome = build(name, tmp_path)
    line = marked_line(WRONG[name][0])
    assert (outcome.exit_code, outcome.stdout) == (6, "")
    assert outcome.stderr.startswith(f"error: {tests.nn.wrong_cells.__file__}:{line}: the cell {name!r} of")
    assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["counter", "looks_ahead"])
def test_the_matrix_refuses_a_wrong_cell(name: str) -> None:
    outcome = run_zoo("check", name, "--matrix", "--provider", "cpu")
    assert (outcome.exit_code, outcome.stdout) == (6, "")
    assert f"{tests.nn.wrong_cells.__file__}:{marked_line(WRONG[name][0])}: the cell {name!r} of" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_tensor_outside_the_state_dict_is_found_before_the_export(tmp_path: Path) -> None:
    """The model that is loaded from the run has a different mask than the trained one."""
    assert build("drawn_mask", tmp_path).exit_code == 0
    run = tmp_path / "run"
    outcome = run_zoo("export", run, "--onnx", "--provider", "cpu")
    line = marked_line(tests.nn.wrong_cells.DrawnMask)
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"error: {run}: the loaded model is not the one that was trained (its ")
    assert f"the cell 'drawn_mask' keeps 'mask' outside its state_dict ({tests.nn.wrong_cells.__file__}:{line})" in (
        outcome.stderr
    )
    assert outcome.stderr.count("\n") == 1
    assert not list(run.glob("onnx/**/*.onnx"))


def alter_weights(run: Path) -> None:
    """Change the weights of a run, with a valid seal."""
    weights, state = load_sealed(run / "model.safetensors")
    name = next(name for name in weights if name.endswith("h2h.weight"))
    save_sealed(run / "model.safetensors", weights | {name: weights[name] * 1.01}, state)


def test_export_and_check_compare_with_the_scores_of_the_trained_model(tmp_path: Path) -> None:
    assert build("lstm", tmp_path).exit_code == 0
    run = tmp_path / "run"
    assert run_zoo("export", run, "--onnx", "--provider", "cpu").exit_code == 0
    alter_weights(run)
    for command in (("export", run, "--onnx"), ("check", run)):
        outcome = run_zoo(*command, "--provider", "cpu")
        assert outcome.exit_code == 1
        assert "is not the one that was trained (its scores: error " in outcome.stderr
    sample, _ = load_sealed(run / "sample.safetensors")
    del sample["scores"]
    save_sealed(run / "sample.safetensors", sample)  # as older versions wrote it
    check_trained(Run(run), Run(run).load(zoo.plugins.registry.load_registry())[2])


# --- cells that cannot be created on meta ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["looks_at_numbers", "caches"])
def test_a_cell_need_not_work_on_meta(name: str, tmp_path: Path) -> None:
    assert build(name, tmp_path, "--dry-run").exit_code == 0


def test_a_large_model_that_cannot_be_measured_is_created(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("zoo.plugins.architecture.MANY", 0)
    assert build("looks_at_numbers", tmp_path, "--dry-run").exit_code == 0


def test_measuring_a_model_does_not_change_its_initial_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def first() -> dict[str, Tensor]:
        registry = zoo.plugins.registry.load_registry()
        spec = SpecReader.of(registry).validate(parse("name: x\n" + SPEC.format("looks_at_numbers"), "s.yaml"))
        signature = zoo.Signature(features=8, labels=tuple("0123456789"))
        return first_model(spec, registry.tasks["classification"](spec.task, signature), registry).state_dict()

    without = first()
    monkeypatch.setattr("zoo.plugins.architecture.MANY", 60)  # exceeded by the first matrix
    assert all(value.equal(without[name]) for name, value in first().items())


@pytest.mark.parametrize("error", ["DefaultCPUAllocator: can't allocate memory", "a mistake of the cell"])
def test_lack_of_memory_is_reported(error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr("tests.nn.wrong_cells.LooksAtNumbers.__init__", fail)
    outcome = build("looks_at_numbers", tmp_path, "--dry-run")
    if "memory" in error:
        assert outcome.exit_code == 3
        assert "architecture: this machine has no memory for this model; lower hidden_size" in outcome.stderr
    else:
        assert (outcome.exit_code, error in outcome.stderr) == (1, True)
