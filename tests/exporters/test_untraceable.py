"""A cell that cannot be traced is refused in one line: the cell, the file and line, the reason, the remedy."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from torch import nn

import tests.support.untraceable
import zoo
from tests.support.builders import config_type, layer_type
from tests.support.models import CLASSES, FEATURES, write
from tests.support.untraceable import UNTRACEABLE, marked_line

BY_VALUE = "Python control flow depends on the value of a tensor; use torch.where"
BY_SIZE = "it holds for some batch sizes only; compute on whole tensors of any size"
NUMPY = "a tensor is converted to NumPy; compute with torch"
REASONS = {
    "branch": BY_VALUE,
    "item_branch": BY_VALUE,
    "item_range": BY_VALUE,
    "until": BY_VALUE,
    "numpy": NUMPY,
    "numpy_project": NUMPY,
    "batch_loop": BY_SIZE,
    "batch_branch": BY_SIZE,
    "shape_branch": BY_SIZE,
    "bessel": "ONNX has no equivalent of bessel_j0; write it with other operations",
    "noise": "it draws random numbers; draw them in training only ('if self.training')",
}


def model_of(cell: type[zoo.Cell], layers: int) -> zoo.Model:
    config = config_type(cell).model_validate({"hidden_size": 5, "num_layers": layers})
    scale = zoo.Scale((0.0,) * FEATURES, (1.0,) * FEATURES)
    stack = zoo.Stack(layer_type(cell), FEATURES, config)
    return zoo.Model(zoo.Normaliser(scale), stack, "last", nn.Linear(5, CLASSES), zoo.SoftmaxReadout()).eval()


@pytest.mark.parametrize("name", UNTRACEABLE)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_error_is_one_line(
    name: str, layers: int, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    cell = UNTRACEABLE[name]
    with pytest.raises(zoo.ExportError) as caught:
        write(model_of(cell, layers), tmp_path)
    assert str(caught.value) == (
        f"{tests.support.untraceable.__file__}:{marked_line(cell)}: the cell {name!r} of tests.support.untraceable "
        f"cannot be traced: {REASONS[name]}"
    )
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")  # torch and onnxscript print and log much
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class LostCell(tests.support.untraceable.PlainCell):
    """A cell with a mistake that is unrelated to tracing."""

    name = "lost"

    def step(self, x: zoo.State, state: zoo.State) -> tuple[zoo.State, zoo.State]:  # type: ignore[override]
        raise KeyError("a mistake")  # HERE


def test_any_other_error_is_quoted(tmp_path: Path) -> None:
    line = next(number for number, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "# HERE" in text)
    with pytest.raises(zoo.ExportError) as caught:
        write(model_of(LostCell, 1), tmp_path)
    assert str(caught.value) == (
        f"{__file__}:{line}: the cell 'lost' of tests.exporters.test_untraceable cannot be traced: "
        "KeyError: 'a mistake'; write it with operations of torch that torch.export can trace"
    )
