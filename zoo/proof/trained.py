"""Check that the model loaded from a run is the model that was trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor, nn

from zoo.errors import RunError
from zoo.nn.cell import Cell
from zoo.nn.cell_checks import check_cells
from zoo.nn.cell_code import line_of
from zoo.nn.model import Model
from zoo.parity import compare
from zoo.proof.oracle import Oracle
from zoo.run.run import Run

SCORES = "scores"


def check_trained(run: Run, model: Model) -> None:
    """Check the cells of a loaded model, and its scores against those that the run recorded after training.

    The scores are compared by the rule of `zoo.parity`, at the precision of the device that trained. Ill-conditioned
    scores are accepted, since they permit no verdict. So are runs of older versions, which recorded no scores.

    Raises:
        CellError: where a cell violates the contract of `zoo.Cell`.
        RunError: where the scores differ by more than their budget.
    """
    check_cells(model.layers())
    trained = run.scored()
    if trained is None:
        return
    oracle = Oracle(model)
    oracle.model.readout = _Scores()
    precision = "float32" if run.config()["device"] == "cpu" else "tf32"
    lengths = None if trained.lengths is None else trained.lengths.numpy()
    expected = oracle.expect(trained.x.numpy(), precision, lengths)[SCORES]
    result = compare(expected, trained.scores.float().numpy())
    if result.status != "failed":
        return
    raise RunError(
        f"{run.path}: the loaded model is not the one that was trained (its scores: {result.reason}); "
        f"likely {_suspect(model)}, or another version of a plugin is installed"
    )


class _Scores(nn.Module):
    """A readout that returns the scores unchanged."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        return {SCORES: scores}


def _suspect(model: Model) -> str:
    """Return the likely cause of other scores, and the remedy: a tensor that the state_dict does not contain."""
    for layer in model.layers():
        for cell in layer.directed_cells:
            for name in _outside_state_dict(cell):
                file, line = line_of(type(cell), "__init__")
                return (
                    f"the cell {cell.name!r} keeps {name!r} outside its state_dict ({file}:{line}): make it a buffer "
                    "(register_buffer) or an nn.Parameter, and build the run again"
                )
    return "a tensor of it is outside its state_dict: make it a buffer (register_buffer) or an nn.Parameter"


def _outside_state_dict(cell: Cell) -> Iterator[str]:
    """Yield the names of a cell's tensors and arrays that its state_dict lacks, so that a run does not save them."""
    saved = cell.state_dict()
    yield from (name for name, _ in cell.named_buffers() if name not in saved)
    for part, module in cell.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor | np.ndarray):
                yield f"{part}.{name}" if part else name
