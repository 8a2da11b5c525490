"""Every spec builds, exports and passes its proof at a small size; the book's page matches its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.book.plan import ITEMS
from tests.book.table import BEGIN, END, PAGE, RESULTS, ROWS, render
from tests.support.builders import make_stack
from tests.support.command import run_zoo
from tests.support.paths import DATA, ROOT
from tests.support.specs import ALL_SPECS, fields
from zoo.run.run import Run

BOOK = ROOT / "specs" / "book"

SMALL = {
    "adding": ("data.train=200", "data.validation=50", "data.test=50"),
    "copy": ("data.train=200", "data.validation=50", "data.test=50"),
    "text": ("encoder.size=4", "data.max_vocabulary=500"),
}
"""Settings that reduce the data of a source, in addition to those for every spec."""


def needs_data(spec: Path) -> bool:
    return "../shared/data" in spec.read_text() or spec.stem == "mnist_gru"


@pytest.mark.parametrize("spec", ALL_SPECS, ids=lambda path: str(path.relative_to(ROOT / "specs")))
def test_every_spec_builds_exports_and_is_proven(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if needs_data(spec) and not DATA.is_dir():
        pytest.skip(f"{DATA} does not exist")
    monkeypatch.chdir(ROOT)
    written = fields(spec.read_text())
    width = min(4, written["architecture"]["hidden_size"])
    settings = [f"architecture.hidden_size={width}", "training.epochs=1", "training.batch_size=2048"]
    settings += SMALL.get(written["data"]["name"], ())
    if spec.stem == "mnist_gru":
        settings.append(f"data.folder={DATA / 'mnist'}")
    changes = [part for setting in settings for part in ("--set", setting)]
    outcome = run_zoo("build", spec, "--out", tmp_path / "run", "--device", "cpu", *changes)
    assert outcome.exit_code == 0, outcome.stderr
    config = Run(tmp_path / "run").config()
    assert config["baselines"], "every task has a naive predictor"
    outcome = run_zoo("export", "--onnx", tmp_path / "run", "--provider", "cpu")
    assert outcome.exit_code == 0, outcome.stderr


def test_every_book_spec_is_in_the_plan_and_in_the_table() -> None:
    specs = {path.stem for path in BOOK.glob("*.yaml")}
    assert {item.spec for item in ITEMS} == specs
    assert {spec for row in ROWS for spec in row.specs} == specs


def test_the_table_matches_the_results() -> None:
    page = PAGE.read_text()
    table = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert table == render(json.loads(RESULTS.read_text()))


# --- errors in the chapter's slides ---------------------------------------------------------------------------------


def cell_and_two_steps(kind: str) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Return a cell in float64, and the input of two steps, each (1, 3)."""
    cell = make_stack(kind, implementation="cell").ordered_layers[0].directed_cells[0]
    generator = torch.Generator().manual_seed(5)
    first, second = (torch.randn(1, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    return cell, first, second


@torch.no_grad()
def test_the_lstm_forgets_and_reads_its_new_cell_state() -> None:
    cell, first, second = cell_and_two_steps("lstm")
    state = cell.initial_state(1, first)
    _, (h, c) = cell.step(cell.project(first), state)
    _, (h_next, c_next) = cell.step(cell.project(second), (h, c))
    i, f, g, o = (cell.x2h(second) + cell.h2h(h)).chunk(4, 1)
    tolerance = 4 * torch.finfo(torch.float64).eps  # a few roundings of numbers below 1
    expected = f.sigmoid() * c + i.sigmoid() * g.tanh()
    assert (c_next - expected).abs().max() <= tolerance
    assert (h_next - o.sigmoid() * expected.tanh()).abs().max() <= tolerance
    without_forget_gate, of_old_state = c + i.sigmoid() * g.tanh(), o.sigmoid() * c.tanh()
    assert (c_next - without_forget_gate).abs().max() > 1e-3
    assert (h_next - of_old_state).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("reset", ["before", "after"])
def test_the_reset_gate_acts_before_or_after_the_product(reset: str) -> None:
    cell, first, second = cell_and_two_steps(f"gru_{reset}")
    _, (h,) = cell.step(cell.project(first), cell.initial_state(1, first))
    actual, _ = cell.step(cell.project(second), (h,))
    weight, bias = cell.h2h.weight.chunk(3), cell.h2h.bias.chunk(3)
    of_x = cell.x2h(second).chunk(3, 1)
    r, z = ((of_x[gate] + h @ weight[gate].T + bias[gate]).sigmoid() for gate in (0, 1))
    products = {"before": (r * h) @ weight[2].T + bias[2], "after": r * (h @ weight[2].T + bias[2])}
    outputs = {name: (1 - z) * (of_x[2] + product).tanh() + z * h for name, product in products.items()}
    assert (actual - outputs.pop(reset)).abs().max() <= 8 * torch.finfo(torch.float64).eps
    (other,) = outputs.values()
    assert (actual - other).abs().max() > 1e-3
