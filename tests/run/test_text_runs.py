"""Runs of texts: vectors to start from, subwords from spec to prediction, and runs of an earlier version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo
from tests.support.command import run_zoo
from zoo.jobs.predict import predict
from zoo.plugins.registry import load_registry
from zoo.run import run as folder
from zoo.runtime import OnnxModel
from zoo.sealed import load_sealed

TABLE = "encoder.table.weight"
SPEC: dict[str, Any] = {
    "name": "films",
    "data": {"name": "text"},
    "encoder": {"name": "embedding", "size": 3},
    "architecture": {"name": "gru", "hidden_size": 4},
    "task": {"name": "classification"},
    "training": {"epochs": 1},
}


def table(folder: Path) -> Path:
    """Write 40 labelled texts of 13 words, each a text of its own."""
    path = folder / "films.jsonl"
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    texts = [f"{'good' if number % 2 else 'bad'} don\u2019t {words[number // 4]}" for number in range(40)]
    rows = [{"text": text, "label": ("neg", "pos")[number % 2]} for number, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def vectors(folder: Path) -> Path:
    path = folder / "vectors.txt"
    path.write_text("good 1 2 3\nfilms 7 7 7\ndon't -1 0.5 0\n")
    return path


def build(out: Path, resume: bool = False, **overrides: Any) -> zoo.Run:
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    return zoo.build(SPEC, named, out=out, device="cpu", resume=resume)


def weights(run: Path) -> dict[str, Tensor]:
    return load_sealed(run / "model.safetensors")[0]


def ids(run: zoo.Run) -> dict[str, int]:
    return {token: number for number, token in enumerate(run.config["signature"]["vocabulary"])}


def test_vectors_become_the_weights_of_the_words_that_have_one(tmp_path: Path) -> None:
    """Frozen, they stay as they are; the other words have the initial values of a build without a file."""
    data, file = table(tmp_path), vectors(tmp_path)
    fields: dict[str, Any] = {"data__file": data, "training__freeze": ["encoder"]}
    plain = build(tmp_path / "plain", **fields)
    run = build(tmp_path / "run", encoder__vectors=file, **fields)
    tokens, table_, initial = ids(run), weights(run.path)[TABLE], weights(plain.path)[TABLE].clone()
    initial[tokens["good"]] = torch.tensor([1.0, 2.0, 3.0])
    initial[tokens["don't"]] = torch.tensor([-1.0, 0.5, 0.0])
    assert torch.equal(table_, initial)
    assert run.config["vectors"] == {"file": str(file), "taken": 2, "tokens": len(tokens)}
    assert f"Vectors from {file}: 2 of {len(tokens)} tokens have one.\n" in (run.path / "README.md").read_text()
    assert plain.config["vectors"] is None
    trained = build(tmp_path / "trained", encoder__vectors=file, data__file=data)
    assert not torch.equal(weights(trained.path)[TABLE][tokens["good"]], torch.tensor([1.0, 2.0, 3.0]))


def test_the_file_of_vectors_is_not_needed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to resume, which gives the same bits, nor to export; but before a checkpoint it is."""
    monkeypatch.setattr("zoo.training.engine.EPOCH_CHECKPOINT_SECONDS", -1.0)  # a checkpoint after each epoch
    data, file = table(tmp_path), vectors(tmp_path)
    fields: dict[str, Any] = {"data__file": data, "encoder__vectors": file, "training__epochs": 3}
    whole = build(tmp_path / "whole", **fields)
    out = tmp_path / "stopped"
    shutil.copytree(whole.path, out)
    (out / "config.json").unlink()
    checkpoints = sorted((out / "checkpoint").glob("step-*"), reverse=True)
    checkpoints[0].unlink()
    content = file.read_text()
    file.unlink()
    resumed = build(out, resume=True, **fields)
    assert weights(out)[TABLE].equal(weights(whole.path)[TABLE])
    assert resumed.config["vectors"] == whole.config["vectors"]
    resumed.export(providers=["cpu"]).require_passed()
    shutil.rmtree(out / "checkpoint")
    with pytest.raises(zoo.DataError, match="there is no such file"):
        build(out, resume=True, **fields)
    file.write_text(content)
    build(out, resume=True, **fields)
    assert weights(out)[TABLE].equal(weights(whole.path)[TABLE])


def test_vectors_and_weights_that_contradict_each_other(tmp_path: Path) -> None:
    data, file = table(tmp_path), vectors(tmp_path)
    run = build(tmp_path / "run", data__file=data)
    with pytest.raises(zoo.SpecError, match=r"encoder\.vectors: .*run has the encoder's weights too; leave one of the"):
        build(tmp_path / "other", data__file=data, encoder__vectors=file, training__start_from=run.path)
    with pytest.raises(zoo.DataError, match=r"the vectors have 3 numbers, and encoder\.size is 5; set"):
        build(tmp_path / "other", data__file=data, encoder__vectors=file, encoder__size=5)


def test_a_dry_run_counts_the_words_with_a_vector(tmp_path: Path) -> None:
    data, file = table(tmp_path), vectors(tmp_path)
    settings = (f"data.file={data}", f"encoder.vectors={file}", "encoder.size=3")
    changes = [word for setting in settings for word in ("--set", setting)]
    outcome = run_zoo("build", "sentiment", *changes, "--dry-run", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert f"vectors from {file}: 2 of " in outcome.stderr
    assert json.loads(outcome.stdout)["vectors"]["taken"] == 2


def test_subwords_from_the_spec_to_the_prediction(tmp_path: Path) -> None:
    """The exported file alone predicts, as the run does, the formats of the training and the standard input."""
    data = table(tmp_path)
    run = build(tmp_path / "run", data__file=data, data__tokenizer="subwords", data__vocabulary_size=270)
    run.export(providers=["cpu"]).require_passed()
    file = tmp_path / "alone.onnx"
    shutil.copy(run.path / "onnx" / "model.onnx", file)
    text = "good don\u2019t one"
    expected = run.predict([text])[0].answers
    data.write_text(json.dumps({"text": text}) + "\n")
    shutil.rmtree(run.path)
    model = OnnxModel(file)
    assert "Ġdon" in model.signature.vocabulary
    (answer,) = model.predict(text)
    _, (read,) = predict(file, [data])
    assert read.source == f"{data}:1"
    assert read.answers == answer.answers
    for label, share in expected[0].probabilities.items():
        assert np.isclose(answer.answers[0].probabilities[label], share, rtol=1e-5, atol=0)


def test_runs_of_an_earlier_version_keep_their_tokeniser(tmp_path: Path) -> None:
    """Their spec has no data.tokenizer and meant ``words``: to load the data again, and to resume."""
    data = table(tmp_path)
    run = build(tmp_path / "run", data__file=data, data__tokenizer="words")
    spec = run.path / "spec.yaml"
    newer = ("tokenizer:", "tokenizer_file:", "vocabulary_size:", "separator:", "encoding:", "null_values:", "vectors:")
    lines = [line for line in spec.read_text().splitlines() if not line.strip().startswith(newer)]
    spec.write_text("\n".join(lines) + "\n")
    assert zoo.load(run.path).spec.to_dict()["data"]["tokenizer"] == "words"
    loaded, _, _ = folder.Run(run.path).load(load_registry())  # an export in another precision loads its data again
    assert loaded.to_dict()["data"]["tokenizer"] == "words"
    bits = (run.path / "model.safetensors").read_bytes()
    build(run.path, resume=True, data__file=data, data__tokenizer="words")
    assert (run.path / "model.safetensors").read_bytes() == bits
    with pytest.raises(zoo.RunError, match="has 'tokenizer: words' where the given spec has 'tokenizer: words2'"):
        build(run.path, resume=True, data__file=data)
