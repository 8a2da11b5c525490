"""Operations that ONNX lacks and that depend on weights alone: computed at export, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

import zoo
from tests.exporters.agreement import assert_agrees
from tests.exporters.weight_cells import WEIGHT_CELLS, WeightCell
from tests.support.models import draw, model_of, sequences, write
from zoo.proof.prove import prove

HIDDEN = 5


def initializers(path: Path) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("name", WEIGHT_CELLS)
def test_operations_on_weights_alone_are_folded(name: str, tmp_path: Path) -> None:
    """The file agrees with the model in float64, which computes everything at each step."""
    torch.manual_seed(0)
    model = model_of(WEIGHT_CELLS[name])
    path = write(model, tmp_path)
    assert_agrees(model, path)
    prefix = "stack.layers.0.cells.0."
    own = {f"stack.{key}" for key in model.stack.state_dict()}
    made = {key for key in initializers(path).keys() - own if key.startswith(prefix)}
    assert len(made) == (2 if name == "orthonormal" else 1)  # the step reads two blocks
    assert (f"{prefix}h2h.weight" in initializers(path)) == (name == "inverse")  # which also uses the weight itself


def test_a_folded_weight_is_rounded_once(tmp_path: Path) -> None:
    """It is rounded from float64; an exponential computed in float32 has an error of its own."""
    torch.manual_seed(0)
    model = model_of(WEIGHT_CELLS["orthogonal by matrix_exp"], hidden_size=24)
    (cell,) = model.layers()[0].directed_cells
    assert isinstance(cell, WeightCell)
    in_float32 = cell.weight().detach().numpy()
    (tensor,) = [
        value
        for key, value in initializers(write(model, tmp_path)).items()
        if key.startswith("stack.") and key.removeprefix("stack.") not in model.stack.state_dict()
    ]
    exact = cell.double().weight().detach().numpy().astype(np.float32)
    assert not np.array_equal(in_float32, exact)
    assert np.array_equal(numpy_helper.to_array(tensor), exact)


def test_the_whole_proof_of_orthogonal_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = model_of(WEIGHT_CELLS["orthogonal by cayley"], direction="bidirectional")
    report = prove(model, write(model, tmp_path), sequences(draw(20, 8)), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]


class InverseOfState(WeightCell):
    """A cell with two inverses: of a matrix that depends on the state, and of weights alone."""

    name = "inverse_of_state"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        identity = torch.eye(HIDDEN, dtype=x.dtype)
        of_weights = torch.linalg.inv(self.h2h.weight + 2 * identity)
        h = nn.functional.linear(state[0], of_weights)
        h = torch.tanh(x + (torch.linalg.inv(2 * identity + h[:, :, None] * h[:, None, :]) @ h[:, :, None])[:, :, 0])
        return h, (h,)


def test_an_operation_on_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError) as caught:
        write(model_of(InverseOfState), tmp_path)
    message = str(caught.value)
    assert "test_folding.py:" in message
    assert "ONNX has no equivalent of linalg_inv_ex; write it with other operations" in message
