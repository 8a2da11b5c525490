"""Every kind of target from arrays to predictions: built, resumed, exported, proven, and predicted by the command."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.support.command import run_zoo
from zoo.data.dataset_checks import check_dataset
from zoo.training import engine

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 5, 2)).astype(np.float32)
SUMS = X.sum((1, 2))
LISTED = [RANDOM.normal(size=(3 + number % 4, 2)) for number in range(60)]
RUNNING = [np.cumsum(x, 0)[:, :1] * 3 + 5 for x in LISTED]
FUTURE = np.stack([np.stack([SUMS + step, 2 * SUMS - step], 1) for step in range(3)], 1)


def several() -> zoo.Dataset:
    columns = {"positive": SUMS > 0, "early": X[:, 0, 0] > 0, "late": X[:, -1, 1] > 0.5}
    return zoo.Dataset.from_arrays(X, columns)


def by_step() -> zoo.Dataset:
    gaps = [np.where(np.arange(len(y))[:, None] == 1, np.nan, y) for y in RUNNING]
    return zoo.Dataset.from_arrays(LISTED, gaps)


def future() -> zoo.Dataset:
    return zoo.Dataset.from_arrays(X, FUTURE.astype(np.float32))


def counts() -> zoo.Dataset:
    return zoo.Dataset.from_arrays(X, np.round(np.exp(SUMS / 5) * 3))


def skewed() -> zoo.Dataset:
    return zoo.Dataset.from_arrays(X, np.array(["low", "high"])[(SUMS > 2).astype(int)])


KINDS: dict[str, tuple[Callable[[], zoo.Dataset], dict[str, Any], list[str]]] = {
    "balanced": (
        skewed,
        {"name": "classification", "class_weights": "balanced", "loss": "focal"},
        ["label", "p(high)", "p(low)"],
    ),
    "several labels": (
        several,
        {"name": "multilabel"},
        ["labels", "p(positive)", "p(early)", "p(late)"],
    ),
    "counts": (counts, {"name": "regression", "loss": "poisson"}, ["y"]),
    "spread": (
        future,
        {"name": "forecasting", "loss": "normal"},
        ["step", "y0", "y0 spread", "y1", "y1 spread"],
    ),
    "quantiles": (
        future,
        {"name": "forecasting", "quantiles": [0.1, 0.5, 0.9]},
        ["step", "y0 q0.1", "y0 q0.5", "y0 q0.9", "y1 q0.1", "y1 q0.5", "y1 q0.9"],
    ),
    "steps": (by_step, {"name": "step_regression"}, ["step", "y"]),
    "quantiles of steps": (
        by_step,
        {"name": "step_regression", "quantiles": [0.1, 0.5, 0.9]},
        ["step", "y q0.1", "y q0.5", "y q0.9"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_target_from_arrays_to_predictions(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, task, columns = KINDS[kind]
    data, folder = make(), tmp_path / "run"
    check_dataset(data)
    monkeypatch.setattr(engine, "EPOCH_CHECKPOINT_SECONDS", 0.0)  # a checkpoint after each epoch
    spec = {"architecture": {"name": "gru", "hidden_size": 5}, "task": task, "training": {"epochs": 3}}
    run = zoo.build(spec, data=data, out=folder, device="cpu")
    weights, metrics = (folder / "model.safetensors").read_bytes(), run.metrics.to_dict()

    max((folder / "checkpoint").glob("step-*"), key=lambda file: int(file.stem.removeprefix("step-"))).unlink()
    assert list((folder / "checkpoint").glob("step-*"))
    (folder / "model.safetensors").unlink()
    resumed = zoo.build(spec, data=make(), out=folder, device="cpu", resume=True)
    assert (folder / "model.safetensors").read_bytes() == weights
    assert (resumed.metrics.test, resumed.metrics.validation) == (metrics["test"], metrics["validation"])

    resumed.export(providers=["cpu"]).require_passed()
    x = data.test.x[0].numpy() if data.test.lengths is None else data.test.x[0, : data.test.lengths[0]].numpy()
    np.save(tmp_path / "x.npy", x)
    outcome = run_zoo("predict", folder, "--input", tmp_path / "x.npy", "--json", "--out", tmp_path / "out.csv")
    assert outcome.exit_code == 0, outcome.stderr
    header, *rows = csv.reader((tmp_path / "out.csv").read_text().splitlines())
    assert header == ["source", *columns]
    (prediction,) = json.loads(outcome.stdout)["predictions"]
    assert (
        len(rows) == len(prediction["answers"]) == (len(x) if data.signature.by_step else data.signature.horizon or 1)
    )
    (own,) = resumed.predict([x])
    assert [answer["numbers"] for answer in prediction["answers"]] == [dict(answer.numbers) for answer in own.answers]


def test_the_answer_to_several_labels_names_all_of_them(tmp_path: Path) -> None:
    spec = {
        "architecture": {"name": "gru", "hidden_size": 3},
        "task": {"name": "multilabel"},
        "training": {"epochs": 1},
    }
    run = zoo.build(spec, data=several(), out=tmp_path / "run", device="cpu")
    run.export(providers=["cpu"])
    (answer,) = run.predict(X[:1])[0].answers
    assert [*answer.probabilities] == ["positive", "early", "late"]
    assert answer.labels == tuple(name for name, share in answer.probabilities.items() if share >= 0.5)
    np.save(tmp_path / "x.npy", X[0])
    outcome = run_zoo("predict", run.path, "--input", tmp_path / "x.npy", "--top", "1")
    assert all(f"{name} " in outcome.stdout for name in answer.probabilities)
    card = (run.path / "README.md").read_text()
    assert "| class, test part | precision | recall | F1 | sequences or steps |" in card
    assert "| positive | " in card


def test_a_metric_that_needs_all_scores_chooses_the_weights(tmp_path: Path) -> None:
    spec = {"architecture": {"name": "gru", "hidden_size": 3}, "task": {"name": "classification"}}
    training = {"training.epochs": 2, "training.metric": "auroc"}
    run = zoo.build(spec, training, data=skewed(), out=tmp_path / "run", device="cpu")
    assert all("auroc" in record.validation for record in run.metrics.history)
    other = zoo.build(spec, {"training.epochs": 1}, data=skewed(), out=tmp_path / "other", device="cpu")
    assert "auroc" not in other.metrics.history[0].validation
    assert {"auroc", "average_precision"} <= other.metrics.validation.keys()


def test_a_metric_without_persistence_is_refused(tmp_path: Path) -> None:
    spec = {"architecture": {"name": "gru", "hidden_size": 3}, "task": {"name": "forecasting"}}
    with pytest.raises(zoo.SpecError, match=r"training\.metric: 'mase' is not known; known: loss, "):
        zoo.build(spec, {"training.metric": "mase"}, data=future(), out=tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    ("y", "labels", "message"),
    [
        (np.ones((60, 2)), ["a", "b", "c"], r"y: has the shape \(60, 2\), expected a column for each of 3 labels"),
        (np.full((60, 2), 0.5), ["a", "b"], "y: contains values of type float64 besides 0 and 1"),
        (np.ones((60, 2)), ["a", "a"], "labels: 'a' occurs twice"),
        ([np.zeros(4)] * 60, None, r"y\[0\]: has the shape \(4, 1\), expected numbers for each of 5 steps"),
        ([np.full(5, np.inf)] * 60, None, r"y\[0\]: has a number that is infinite"),
        ([np.full(5, np.nan)] * 60, None, "y: a target has no number in the training part"),
    ],
)
def test_targets_that_cannot_be_used(y: Any, labels: list[str] | None, message: str) -> None:
    with pytest.raises(zoo.DataError, match=message):
        zoo.Dataset.from_arrays(X, y, labels=labels)


def test_numbers_for_each_step_are_padded_with_nan() -> None:
    data = by_step()
    assert data.signature.by_step
    assert data.train.lengths is not None
    assert data.train.y.shape == (*data.train.x.shape[:2], 1)
    steps = np.arange(data.train.y.shape[1])
    missing = (steps >= data.train.lengths.numpy()[:, None]) | (steps == 1)
    assert np.array_equal(np.isnan(data.train.y[..., 0].numpy()), missing)
    assert zoo.Signature.from_dict(json.loads(json.dumps(data.signature.to_dict()))) == data.signature
    assert zoo.Signature.from_dict(json.loads(json.dumps(several().signature.to_dict()))) == several().signature


def test_a_metric_that_the_validation_part_does_not_define_is_an_error_of_the_spec(tmp_path: Path) -> None:
    whole = skewed()
    data = replace(whole, validation=replace(whole.validation, y=whole.validation.y.clone().fill_(1)))
    spec = {"architecture": {"name": "gru", "hidden_size": 3}, "task": {"name": "classification"}}
    with pytest.raises(zoo.SpecError, match=r"training\.metric: 'auroc' needs a class that only a part"):
        zoo.build(spec, {"training.metric": "auroc"}, data=data, out=tmp_path / "run", device="cpu")
