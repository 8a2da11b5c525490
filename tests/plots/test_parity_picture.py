"""The picture of a proof shows each error above its number of steps."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.support.models import draw, make_model, sequences
from zoo.plots.parity import Panel, draw_panel, plot_parity
from zoo.proof.cases import Case, Extent, draw_cases
from zoo.proof.streaming import SHAPES, chunk_cases
from zoo.report.proofs import Proof, panels
from zoo.run.run import Run

STEPS = SHAPES[0][1]


def panel_of(cases: Sequence[Case], providers: Sequence[str] = ("cpu",), steps: int | None = None) -> Panel:
    """Return the panel of a proof with these cases; with ``steps``, of an output that has so many steps."""
    by_step = None if steps is None else {"case": 0, "errors": [1e-7] * steps, "budgets": [1e-6] * steps}
    output = {
        "name": "logits",
        "over_budget": 0.1,
        "errors": [1e-7] * len(cases),
        "budgets": [1e-6] * len(cases),
        "by_step": by_step,
    }
    report = {
        "file": "model.onnx",
        "cases": [case.to_dict() for case in cases],
        "providers": [{"name": provider, "outputs": [output]} for provider in providers],
    }
    (panel,) = panels(Proof(Run(Path()), Path("onnx/parity.json"), report))
    return panel


def drawn(panel: Panel) -> Axes:
    axes = Figure().subplots()
    draw_panel(axes, panel)
    return axes


def ticks(axes: Axes) -> dict[float, str]:
    return dict(zip(axes.get_xticks(), (label.get_text() for label in axes.get_xticklabels()), strict=True))


def marks(axes: Axes) -> list[list[float]]:
    """Return the positions of the marks of each line."""
    return [np.asarray(line.get_xdata(), np.float64).tolist() for line in axes.lines]


@pytest.mark.parametrize("providers", [("cpu",), ("cpu", "cuda strict", "cuda deployed")])
def test_cases_of_a_stream_are_above_their_steps_and_chunk(providers: tuple[str, ...]) -> None:
    """On a numeric axis, the cases of 200 steps were once spread from 200 to 516."""
    model = make_model("lstm", hidden_size=4)
    cases = [case for case in chunk_cases(model, sequences(draw(4, 8))) if case.chunk in (1, 7, case.time)]
    cases = [case for case in cases if not case.drawn]
    axes = drawn(panel_of(cases, providers))
    places = [f"{steps}\nby {chunk}" for steps in (8, STEPS) for chunk in (1, 7, steps)]
    names = {float(place): name for place, name in enumerate(places)}
    assert ticks(axes) == names
    assert axes.get_xlim() == (-0.5, 5.5)
    assert axes.get_xlabel() == "steps of a case, by those of a chunk"
    for line in marks(axes):
        assert [names[round(place)] for place in line] == [f"{case.time}\nby {case.chunk}" for case in cases]
    errors = [place for line in marks(axes)[::2] for place in line]  # every other line has the budgets
    assert max(Counter(round(place, 6) for place in errors).values()) == 1


def test_cases_of_whole_sequences_are_above_their_steps() -> None:
    """In the order of the steps, independent of the order of the cases; 28 steps have four cases, the others two."""
    cases = list(draw_cases(draw(4, 8)))
    axes = drawn(panel_of(cases))
    assert list(ticks(axes).values()) == ["1", "7", "28", "50", "200"]
    assert axes.get_xlabel() == "steps of a case"
    for line in marks(axes):
        assert [ticks(axes)[round(place)] for place in line] == [str(case.time) for case in cases]
        for tick in ticks(axes):
            around = [place for place in line if round(place) == tick]
            assert sum(around) / len(around) == pytest.approx(tick)


@pytest.mark.parametrize("thorough", [False, True])
def test_many_cases_have_labels_that_do_not_overlap(thorough: bool, tmp_path: Path) -> None:
    """Drawn shapes give many numbers of steps: the labels are rotated, and not every number has one."""
    model = make_model("lstm", hidden_size=4)
    panel = panel_of(chunk_cases(model, sequences(draw(4, 8)), Extent(3, thorough)))
    axes = drawn(panel)
    groups = {place for course in panel.courses for place in course.places}
    assert 36 / 2 < len(ticks(axes)) <= 36 or len(ticks(axes)) == len(groups)
    plot_parity([panel], tmp_path / "parity.png")
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(4.2 + 0.12 * (min(len(groups), 36) - 6), 3.2)
    figure.canvas.draw()
    boxes = sorted((label.get_window_extent() for label in axes.get_xticklabels()), key=lambda box: box.x0)
    assert all(left.x1 <= right.x0 + 1 for left, right in itertools.pairwise(boxes))


def test_each_step_of_a_case_is_at_its_number() -> None:
    cases = chunk_cases(make_model("lstm", hidden_size=4, pooling=None), sequences(draw(4, 8)))
    axes = drawn(panel_of(cases, steps=STEPS))
    assert marks(axes) == [list(range(1, STEPS + 1))] * 2
    low, high = axes.get_xlim()
    assert 0.5 < low < 1
    assert STEPS < high < 2 * STEPS
    assert axes.get_xlabel() == "step"


def test_panels_of_both_kinds_share_a_picture(tmp_path: Path) -> None:
    cases = chunk_cases(make_model("lstm", hidden_size=4), sequences(draw(4, 8)))
    plot_parity([panel_of(cases), panel_of(cases, steps=STEPS)], tmp_path / "parity.png")
    assert (tmp_path / "parity.png").read_bytes().startswith(b"\x89PNG")
