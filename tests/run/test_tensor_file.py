"""Weights of a module from a file: formats, tied weights, and files that do not fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from zoo.errors import RunError
from zoo.run.tensor_file import load_weights


class Tied(nn.Module):
    """Module whose output layer has the weight of its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5)
        self.head.weight = self.embedding.weight


def write(state: dict[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({name: value.clone() for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_are_taken(suffix: str, tmp_path: Path) -> None:
    trained, fresh = nn.GRU(2, 3), nn.GRU(2, 3)
    load_weights(fresh, write(trained.state_dict(), tmp_path / f"w{suffix}"))
    for name, value in trained.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)


def test_a_tied_weight_may_be_there_once(tmp_path: Path) -> None:
    """safetensors.torch.save_model writes tensors that share memory once."""
    trained, fresh = Tied(), Tied()
    safetensors.torch.save_model(trained, str(tmp_path / "w.safetensors"))
    assert len(safetensors.torch.load_file(tmp_path / "w.safetensors")) == 2
    load_weights(fresh, tmp_path / "w.safetensors")
    assert torch.equal(fresh.head.weight, trained.head.weight)
    assert fresh.head.weight is fresh.embedding.weight


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bias": None}, "it lacks bias"),
        ({"weight": None, "bias": None, "x.y": torch.zeros(1)}, "it lacks weight, bias; it has, and the module has"),
        ({"other": torch.zeros(1)}, "it has, and the module has not, other"),
        ({"weight": torch.zeros(2, 3)}, "it has in another shape weight (2, 3) for (3, 2)"),
        ({f"more_{number}": torch.zeros(1) for number in range(10)}, "more_7 and 2 more"),
    ],
)
def test_weights_that_do_not_fit(change: dict[str, torch.Tensor | None], text: str, tmp_path: Path) -> None:
    module = nn.Linear(2, 3)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = {name: value for name, value in {**before, **change}.items() if value is not None}
    path = write(state, tmp_path / "w.pt")
    with pytest.raises(RunError, match=rf"^{re.escape(f'{path}: does not fit Linear: it ')}") as caught:
        load_weights(module, path)
    assert text in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_whole_module_is_not_loaded(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "w.pt")
    with pytest.raises(RunError, match=r"cannot be read as tensors alone \(UnpicklingError\)"):
        load_weights(nn.Linear(2, 3), tmp_path / "w.pt")


def test_a_checkpoint_is_named_by_its_keys(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "model": nn.Linear(2, 3).state_dict()}, tmp_path / "w.pt")
    with pytest.raises(RunError, match=r"holds the keys epoch, model, expected tensors by name"):
        load_weights(nn.Linear(2, 3), tmp_path / "w.pt")


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "w.bin").touch()
    with pytest.raises(RunError, match=r"w\.bin: expected a \.safetensors, \.pt or \.pth file$"):
        load_weights(nn.Linear(2, 3), tmp_path / "w.bin")
    with pytest.raises(RunError, match=r"no\.pt: does not exist$"):
        load_weights(nn.Linear(2, 3), tmp_path / "no.pt")
