"""``training.start_from`` and ``training.freeze``: what is taken, what is not, resume, and what is refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import zoo
from tests.support.command import assert_one_line, run_zoo
from zoo.sealed import load_sealed

SMALL = {"architecture.hidden_size": 8, "training.epochs": 1}
LAYER = "stack.layers.0.cells.0"
WEIGHTS = [f"{LAYER}.{part}.{kind}" for part in ("x2h", "h2h") for kind in ("weight", "bias")]
HEAD = ["head.weight", "head.bias"]
SCALES = {"encoder.mean": "a scale, which these data give", "encoder.std": "a scale, which these data give"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the starter spec ``gru``."""
    return zoo.build("gru", SMALL, out=tmp_path_factory.mktemp("start") / "gru", device="cpu").path


def weights(run: Path) -> dict[str, Tensor]:
    return load_sealed(run / "model.safetensors")[0]


def started(source: Path, out: Path, spec: Any = "gru", **overrides: Any) -> zoo.Run:
    """Build a run that starts from ``source``, with a learning rate so small that its weights hardly change."""
    still = {"training.optimizer": {"name": "sgd", "lr": 1e-12}, "training.start_from": source}
    return zoo.build(spec, {**SMALL, **still, **overrides}, out=out, device="cpu")


def sequences(labels: int = 3, columns: tuple[str, ...] = ()) -> zoo.Dataset:
    """Random sequences of eight features."""
    x = np.random.default_rng(0).random((60, 5, 8))
    named = [dict(zip(columns, row.T, strict=True)) for row in x] if columns else x
    return zoo.Dataset.from_arrays(named, np.arange(60) % labels)


def test_a_run_gives_its_weights(source: Path, tmp_path: Path) -> None:
    run = started(source, tmp_path / "run")
    given = run.config["started_from"]
    assert given["taken"] == WEIGHTS + HEAD
    assert given["not_taken"] == SCALES
    assert given["unused"] == []
    assert given == json.loads((run.path / "start.json").read_text())
    for name, value in weights(run.path).items():
        assert torch.allclose(value, weights(source)[name], rtol=0, atol=1e-9), name
    assert f"Training starts from {source}: 6 of 8 tensors taken." in (run.path / "README.md").read_text()
    assert run.export(providers=["cpu"]).passed  # the weights at the source are no longer needed


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_file_gives_its_tensors(suffix: str, source: Path, tmp_path: Path) -> None:
    file, tensors = tmp_path / f"weights{suffix}", weights(source)
    del tensors["head.bias"]
    tensors["other"] = torch.ones(2)
    if suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file)
    given = started(file, tmp_path / "run").config["started_from"]
    assert given["taken"] == [*WEIGHTS, "head.weight"]
    assert given["not_taken"] == {**SCALES, "head.bias": "is not there"}
    assert given["unused"] == ["other"]
    assert len(given["sha256"]) == 64


def test_other_labels_need_another_head(source: Path, tmp_path: Path) -> None:
    spec: dict[str, Any] = zoo.load(source).spec.to_dict()
    run = zoo.build(spec, {"training.start_from": source}, data=sequences(10), out=tmp_path / "run", device="cpu")
    assert run.config["started_from"]["taken"] == WEIGHTS + HEAD
    run = zoo.build(spec, {"training.start_from": source}, data=sequences(3), out=tmp_path / "other", device="cpu")
    assert run.config["started_from"]["taken"] == WEIGHTS
    reasons = run.config["started_from"]["not_taken"]
    assert reasons == {**SCALES, **dict.fromkeys(HEAD, "predicts something else there")}


def test_other_columns_need_another_first_layer(source: Path, tmp_path: Path) -> None:
    """The weights file of the run, which describes nothing, gives them all the same."""
    spec: dict[str, Any] = zoo.load(source).spec.to_dict()
    data = sequences(10, tuple("abcdefgh"))
    run = zoo.build(spec, {"training.start_from": source}, data=data, out=tmp_path / "run", device="cpu")
    assert run.config["started_from"]["taken"] == HEAD
    assert run.config["started_from"]["not_taken"][WEIGHTS[0]] == "reads other columns there"
    file = source / "model.safetensors"
    run = zoo.build(spec, {"training.start_from": file}, data=data, out=tmp_path / "file", device="cpu")
    assert run.config["started_from"]["taken"] == WEIGHTS + HEAD


def test_another_cell_is_not_taken(source: Path, tmp_path: Path) -> None:
    """An LSTM of 6 has input weights of the shape of a GRU of 8: four gates in place of three."""
    given = started(source, tmp_path / "run", "lstm", **{"architecture.hidden_size": 6}).config["started_from"]
    assert given["taken"] == ["head.bias"]
    assert given["not_taken"][WEIGHTS[0]] == "belongs to another cell there"
    assert given["not_taken"]["head.weight"] == "has the shape (10, 8) there and (10, 6) here"


def test_a_biLSTM_takes_the_direction_that_an_LSTM_has(tmp_path: Path) -> None:  # noqa: N802
    lstm = zoo.build("lstm", SMALL, out=tmp_path / "lstm", device="cpu").path
    given = started(lstm, tmp_path / "run", "bilstm").config["started_from"]
    assert given["taken"] == [*WEIGHTS, "head.bias"]


def test_other_words_keep_their_own_vectors(tmp_path: Path) -> None:
    first = zoo.build("sentiment", SMALL, out=tmp_path / "first", device="cpu").path
    same = started(first, tmp_path / "same", "sentiment").config["started_from"]
    assert same["taken"][0] == "encoder.table.weight"
    other = started(first, tmp_path / "other", "sentiment", **{"data.max_vocabulary": 20}).config["started_from"]
    assert other["not_taken"] == {"encoder.table.weight": "reads other tokens there"}


def test_frozen_parameters_stay_as_they_are(source: Path, tmp_path: Path) -> None:
    """Also under weight decay, which would move them without any gradient."""
    decay = {"training.optimizer": {"name": "adamw", "lr": 0.1, "weight_decay": 0.5}}
    run = started(source, tmp_path / "run", **decay, **{"training.freeze": ["stack.layers.0", "head.bias"]})
    before, after = weights(source), weights(run.path)
    for name in [*WEIGHTS, "head.bias"]:
        assert torch.equal(before[name], after[name]), name
    assert not torch.allclose(before["head.weight"], after["head.weight"], atol=1e-2)
    assert run.config["frozen"] == [*WEIGHTS, "head.bias"]
    assert f"Frozen: {', '.join(WEIGHTS)}, head.bias." in (run.path / "README.md").read_text()


@pytest.mark.parametrize("implementation", ["cell", "fused"])
def test_a_part_of_a_cell_may_be_frozen(implementation: str, tmp_path: Path) -> None:
    overrides = {**SMALL, "architecture.implementation": implementation, "training.freeze": [f"{LAYER}.h2h"]}
    run = zoo.build("gru", overrides, out=tmp_path / "run", device="cpu")
    initial = zoo.build("gru", {**overrides, "training.epochs": 2}, out=tmp_path / "longer", device="cpu")
    for name, value in weights(run.path).items():
        moved = not torch.equal(value, weights(initial.path)[name])
        assert moved == (name not in SCALES and f"{LAYER}.h2h" not in name), name


def test_a_stopped_training_resumes_bit_for_bit(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.training.engine.EPOCH_CHECKPOINT_SECONDS", -1.0)  # a checkpoint after each epoch
    overrides = {**SMALL, "training.epochs": 3, "training.start_from": source, "training.freeze": [f"{LAYER}.x2h"]}
    whole = zoo.build("gru", overrides, out=tmp_path / "whole", device="cpu")
    out = tmp_path / "stopped"
    zoo.build("gru", overrides, out=out, device="cpu")
    (out / "config.json").unlink()
    newest, before = sorted((out / "checkpoint").glob("step-*"), reverse=True)
    newest.unlink()
    assert int(before.stem.removeprefix("step-")) == 2 * 17
    resumed = zoo.build("gru", overrides, out=out, device="cpu", resume=True)
    assert (resumed.path / "model.safetensors").read_bytes() == (whole.path / "model.safetensors").read_bytes()


def test_weights_that_have_changed_are_refused_on_resume(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(weights(source), file)
    overrides = {**SMALL, "training.start_from": file}
    run = zoo.build("gru", overrides, out=tmp_path / "run", device="cpu")
    save_file({name: value + 1 for name, value in weights(source).items()}, file)
    with pytest.raises(zoo.RunError, match=r"start\.json: the training started from other weights than .* has now"):
        zoo.build("gru", overrides, out=run.path, device="cpu", resume=True)


def test_a_dry_run_shows_what_would_be_taken(source: Path, tmp_path: Path) -> None:
    settings = ("--set", f"training.start_from={source}", "--set", "training.freeze=[head]", "--dry-run")
    size = ("--set", "architecture.hidden_size=8", "--out", tmp_path / "run")
    outcome = run_zoo("build", "gru", *size, *settings)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"training starts from {source}: 6 of 8 tensors taken\n" in outcome.stderr
    assert "not taken: encoder.mean, encoder.std (a scale, which these data give)\n" in outcome.stderr
    assert "frozen: head.weight, head.bias\n" in outcome.stderr
    values = json.loads(run_zoo("build", "gru", *size, *settings, "--json").stdout)
    assert values["started_from"]["taken"] == WEIGHTS + HEAD
    assert values["frozen"] == HEAD
    assert not (tmp_path / "run").exists()


class Evil:
    """An object whose unpickling runs code."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (Path("executed"),)


def no_tensors(path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {}}, path)


def damaged(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 nothing")


def other_names(path: Path) -> None:
    torch.save({"lstm.weight_ih_l0": torch.ones(3)}, path)


def not_finite(path: Path) -> None:
    torch.save({"head.bias": torch.full((10,), torch.nan)}, path)


def altered(path: Path) -> None:
    zoo.build("gru", SMALL, out=path.parent / "whole", device="cpu")
    content = bytearray((path.parent / "whole" / "model.safetensors").read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("w.pt", lambda _: None, "does not exist"),
    "suffix": ("w.bin", lambda path: path.write_bytes(b""), "expected the folder of a run, or a .safetensors, .pt"),
    "a folder": ("w", lambda path: path.mkdir(), "is not a run"),
    "code": ("w.pt", lambda path: torch.save({"head.bias": Evil()}, path), "cannot be read as tensors alone"),
    "pickle": ("w.pt", lambda path: path.write_bytes(pickle.dumps(Evil())), "cannot be read as tensors alone"),
    "damaged": ("w.pt", damaged, "cannot be read as tensors alone"),
    "a checkpoint": ("w.pt", no_tensors, "holds the keys epoch, state_dict, expected tensors by name; write it with"),
    "a tensor": ("w.pt", lambda path: torch.save(torch.ones(2), path), "holds a Tensor, expected tensors by name"),
    "names": (
        "w.pt",
        other_names,
        "holds no tensor with a name and shape of this model; it has lstm.weight_ih_l0; the",
    ),
    "values": ("w.pt", not_finite, "head.bias has values that are not finite"),
    "no safetensors": ("w.safetensors", damaged, "is truncated, altered or no safetensors file"),
    "altered": ("w.safetensors", altered, "was altered since it was written"),
}


@pytest.mark.parametrize(("name", "write", "expected"), FAULTS.values(), ids=FAULTS)
def test_what_gives_no_weights_is_one_line(
    name: str, write: Callable[[Path], object], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name)
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "data: {name: digits}\narchitecture: {name: gru, hidden_size: 8}\ntask: {name: classification}\n"
        f"training:\n  start_from: {name}\n"
    )
    assert_one_line(run_zoo("build", spec), 3, f"{spec}:5:3: training.start_from: {name}", expected)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        ("[encoder]", f"'encoder' is the beginning of no parameter; parameters: {WEIGHTS[0]}, "),
        ("[stack.layer.0]", "(did you mean 'stack.layers.0'?)"),
        ("[head.]", "'head.' is the beginning of no parameter (did you mean 'head'?)"),
        ("[hea]", "'hea' is the beginning of no parameter (did you mean 'head'?)"),
        ("[stack, head]", "freezes every parameter, so that nothing is trained"),
    ],
)
def test_what_cannot_be_frozen_is_one_line(freeze: str, expected: str) -> None:
    outcome = run_zoo("build", "gru", "--set", f"training.freeze={freeze}", "--dry-run")
    assert outcome.exit_code == 3
    assert "error: --set training.freeze=" in outcome.stderr
    assert expected in outcome.stderr
