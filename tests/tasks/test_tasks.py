"""Tasks: losses, metrics and baselines against scikit-learn and plain arithmetic."""

from __future__ import annotations

from dataclasses import replace
from math import log, log2
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, mean_squared_error
from torch import Tensor, nn

import zoo
from zoo.plugins.registry import load_registry
from zoo.run.baselines import naive_metrics, not_beaten
from zoo.tasks.forecasting import Forecasting
from zoo.tasks.number_loss import RegressionConfig
from zoo.tasks.regression import Regression
from zoo.tasks.step_regression import StepRegression
from zoo.training.engine import score

CLOSE = 64 * 2.0**-23
"""Relative error bound for sums of about fifty float32 numbers, each rounded once."""
LABELS = ("a", "b", "c")
CLASSES = zoo.Signature(features=2, labels=LABELS)
TWO = zoo.Signature(features=2, labels=("no", "yes"))
STEPS = zoo.Signature(vocabulary=LABELS, tokenizer="characters", labels=LABELS, by_step=True)
NUMBERS = zoo.Signature(features=2, targets=("u", "v"), target_scale=zoo.Scale((10.0, -5.0), (2.0, 100.0)))
FUTURE = zoo.Signature(features=2, targets=("u", "v"), horizon=3, target_scale=zoo.Scale((10.0, -5.0), (2.0, 100.0)))


def make(name: str, signature: zoo.Signature, **options: Any) -> zoo.Task:
    kind = load_registry().tasks[name]
    return kind(kind.Config.model_validate(options), signature)


def metrics(task: zoo.Task, scores: Tensor, target: Tensor) -> dict[str, float]:
    return task.metrics(task.statistics(scores, target))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(*shape: int, count: int = 3, seed: int = 1) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(seed))


def test_classification_agrees_with_scikit_learn() -> None:
    task, scores, target = make("classification", CLASSES), draw(50, 3), classes(50)
    actual, guesses = metrics(task, scores, target), scores.argmax(1)
    assert actual["accuracy"] == pytest.approx(accuracy_score(target, guesses))
    assert actual["macro_f1"] == pytest.approx(f1_score(target, guesses, average="macro"))
    assert actual["loss"] == pytest.approx(log_loss(target, scores.double().softmax(1)))
    assert float(task.loss(scores, target)) == pytest.approx(actual["loss"], rel=CLOSE)


def test_a_sigmoid_for_two_classes_is_the_softmax_of_zero_and_its_score() -> None:
    task, scores, target = make("classification", TWO, output="sigmoid"), draw(50, 1), classes(50, count=2)
    pair = torch.cat([torch.zeros(50, 1), scores], 1)
    assert task.outputs == 1
    assert metrics(task, scores, target) == metrics(make("classification", TWO), pair, target)
    assert float(task.loss(scores, target)) == pytest.approx(metrics(task, scores, target)["loss"], rel=CLOSE)
    outputs = task.readout()(scores)
    torch.testing.assert_close(outputs["probabilities"], pair.softmax(1))
    assert outputs["logits"] is scores


def test_a_sigmoid_needs_two_classes() -> None:
    with pytest.raises(zoo.SpecError, match=r"task\.output: 'sigmoid' is for two classes and these data have 3"):
        make("classification", CLASSES, output="sigmoid")


@pytest.mark.parametrize("name", ["tagging", "language_modelling"])
def test_steps_without_a_target_do_not_count(name: str) -> None:
    task, scores, target = make(name, STEPS), draw(6, 5, 3), classes(6, 5)
    target[0, 2:] = zoo.IGNORED
    target[3, 0] = zoo.IGNORED
    counted = target != zoo.IGNORED
    actual = metrics(task, scores, target)
    assert actual["loss"] == pytest.approx(
        float(nn.functional.cross_entropy(scores[counted], target[counted])), rel=CLOSE
    )
    assert actual["accuracy"] == pytest.approx(accuracy_score(target[counted], scores[counted].argmax(1)))
    changed = scores.masked_fill(~counted[:, :, None], 1e4)
    assert metrics(task, changed, target) == actual


def test_the_loss_by_step_is_a_mean_over_sequences() -> None:
    task, scores, target = make("tagging", STEPS), draw(6, 5, 3), classes(6, 5)
    target[0, 1:] = zoo.IGNORED
    each = [float(task.loss(scores[row : row + 1], target[row : row + 1])) for row in range(6)]
    assert float(task.loss(scores, target)) == pytest.approx(np.mean(each), rel=CLOSE)
    assert each[0] == pytest.approx(float(nn.functional.cross_entropy(scores[0, :1], target[0, :1])), rel=CLOSE)


def test_bits_per_character_are_the_logarithm_to_base_two() -> None:
    task = make("language_modelling", STEPS)
    shares = torch.tensor([0.5, 0.25, 0.25])
    target = torch.tensor([[0, 0, 1, 2]])
    actual = metrics(task, shares.log().expand(1, 4, 3), target)
    assert actual["bits_per_character"] == pytest.approx((1 + 1 + 2 + 2) / 4)
    assert actual["loss"] == pytest.approx(actual["bits_per_character"] * log(2))


@pytest.mark.parametrize(("name", "signature"), [("regression", NUMBERS), ("forecasting", FUTURE)])
def test_errors_are_measured_in_both_units(name: str, signature: zoo.Signature) -> None:
    task = make(name, signature)
    shape = (20, 3, 2) if signature.horizon else (20, 2)
    target = draw(*shape, seed=2) * torch.tensor([2.0, 100.0]) + torch.tensor([10.0, -5.0])
    scores = draw(20, task.outputs, seed=3)
    actual = metrics(task, scores, target)
    scaled = ((target - torch.tensor([10.0, -5.0])) / torch.tensor([2.0, 100.0])).flatten(1)
    unscaled = (scores.reshape(shape) * torch.tensor([2.0, 100.0]) + torch.tensor([10.0, -5.0])).flatten(1)
    assert actual["loss"] == pytest.approx(mean_squared_error(scaled, scores), rel=CLOSE)
    assert actual["scaled_mae"] == pytest.approx(mean_absolute_error(scaled, scores), rel=CLOSE)
    assert actual["mae"] == pytest.approx(mean_absolute_error(target.flatten(1), unscaled), rel=CLOSE)
    assert actual["rmse"] == pytest.approx(mean_squared_error(target.flatten(1), unscaled) ** 0.5, rel=CLOSE)
    assert float(task.loss(scores, target)) == pytest.approx(actual["loss"], rel=CLOSE)
    y = task.readout()(scores)["y"]
    assert y.shape == target.shape
    torch.testing.assert_close(y.flatten(1), unscaled)


def test_statistics_of_two_parts_add_up() -> None:
    tasks = [
        (make("classification", CLASSES), draw(9, 3), classes(9)),
        (make("regression", NUMBERS), draw(9, 2), draw(9, 2)),
    ]
    for task, scores, target in tasks:
        halves = [task.statistics(scores[part], target[part]) for part in (slice(0, 4), slice(4, 9))]
        for name, whole in task.statistics(scores, target).items():
            torch.testing.assert_close(halves[0][name] + halves[1][name], whole)


def split(y: Tensor, naive: Tensor | None = None) -> zoo.Split:
    return zoo.Split(torch.zeros(len(y), 4, 2), y, None, naive)


def test_the_majority_baseline_predicts_the_class_frequencies() -> None:
    train, test = split(torch.tensor([0, 1, 1, 1])), split(torch.tensor([1, 1, 0, 2]))
    naive = naive_metrics(make("classification", CLASSES), train, test)
    assert naive["majority"]["accuracy"] == 0.5
    # Shares with one example of each class added: 2/7, 4/7, 1/7.
    assert naive["majority"]["loss"] == pytest.approx(-np.mean(np.log([4 / 7, 4 / 7, 2 / 7, 1 / 7])))
    pair = naive_metrics(make("classification", TWO, output="sigmoid"), train, split(torch.tensor([1, 0])))
    assert pair["majority"]["accuracy"] == 0.5
    assert pair["majority"]["loss"] == pytest.approx(-np.mean(np.log([4 / 6, 2 / 6])))


def test_the_baselines_of_language_modelling_are_uniform_and_unigram() -> None:
    train, test = split(torch.tensor([[0, 0, 0, 0, 1]])), split(torch.tensor([[0, 1, zoo.IGNORED]]))
    naive = naive_metrics(make("language_modelling", STEPS), train, test)
    assert naive["uniform"]["bits_per_character"] == pytest.approx(log2(3))
    assert naive["unigram"]["bits_per_character"] == pytest.approx(-(log2(5 / 8) + log2(2 / 8)) / 2)


def test_persistence_predicts_the_last_known_value() -> None:
    y, last = draw(8, 3, 2), draw(8, 3, 2, seed=4)
    task = make("forecasting", FUTURE)
    naive = naive_metrics(task, split(y), split(y, last))
    assert naive["persistence"]["mae"] == pytest.approx(float((y - last).abs().mean()), rel=CLOSE)
    assert naive["mean"]["mae"] == pytest.approx(float((y - y.mean(0)).abs().mean()), rel=CLOSE)
    assert set(naive_metrics(task, split(y), split(y))) == {"mean"}


def test_baselines_that_the_result_does_not_beat_are_named() -> None:
    task = make("classification", CLASSES)
    naive = {"majority": {"accuracy": 0.5, "loss": 1.0}}
    assert not_beaten(task, "accuracy", {"accuracy": 0.5}, naive) == ["majority"]
    assert not_beaten(task, "accuracy", {"accuracy": 0.6}, naive) == []
    assert not_beaten(task, "loss", {"loss": 1.1}, naive) == ["majority"]
    assert not_beaten(task, "loss", {"loss": 0.9}, naive) == []


def test_scores_are_matched_with_their_rows_whatever_the_order_of_the_batches() -> None:
    """With lengths, batches are sorted by length, and the scores of a baseline must follow their rows."""
    lengths = torch.tensor([3, 1, 2, 3])
    y = torch.tensor([0, 1, 2, 0])
    part = zoo.Split(torch.zeros(4, 3, dtype=torch.int64), y, lengths)
    right = nn.functional.one_hot(y, 3).float()
    actual, _ = score(make("classification", CLASSES), part, lambda _, rows: right[rows])
    assert actual["accuracy"] == 1


@pytest.mark.parametrize(
    ("name", "signature", "message"),
    [
        (
            "classification",
            STEPS,
            "'classification' predicts a class for each sequence, and these data have a class for each step",
        ),
        ("tagging", CLASSES, "'tagging' predicts a class for each step, and these data have a class for each sequence"),
        (
            "regression",
            FUTURE,
            "'regression' predicts numbers for each sequence, and these data have numbers of the future",
        ),
        ("forecasting", CLASSES, "use 'classification'"),
    ],
)
def test_data_of_another_kind_are_rejected(name: str, signature: zoo.Signature, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        make(name, signature)


GROUPS = zoo.Signature(
    features=2,
    categories=(("small", "large"), ()),
    group=0,
    targets=("u", "v"),
    target_scale=zoo.Scale((10.0, -5.0), (2.0, 100.0)),
    target_scales=(zoo.Scale((1.0, 0.0), (0.5, 1.0)), zoo.Scale((1000.0, 50.0), (200.0, 10.0))),
)


@pytest.mark.parametrize("options", [{}, {"loss": "poisson"}, {"loss": "normal"}, {"quantiles": (0.1, 0.5, 0.9)}])
@pytest.mark.parametrize("kind", [Regression, Forecasting, StepRegression])
def test_errors_are_in_the_units_of_each_group(kind: type[Regression], options: dict[str, Any]) -> None:
    """The loss of a batch is the mean of the losses of its sequences, each by a task with the scale of its group."""
    horizon, by_step, config = 3 * (kind is Forecasting), kind is StepRegression, RegressionConfig(**options)
    grouped = kind(config, replace(GROUPS, horizon=horizon, by_step=by_step))
    ids = [0, 1, 2, 2, 0]
    x = torch.tensor([[[float(number), 7.0]] * 4 for number in ids])
    target = (100 * draw(5, *([horizon] if horizon else [4] if by_step else []), 2)).abs()
    outputs = grouped.outputs
    scores = draw(5, *([4] if by_step else []), outputs, seed=1)
    scales = [GROUPS.target_scale, *GROUPS.target_scales]
    plain = zoo.Signature(features=2, targets=("u", "v"), horizon=horizon, by_step=by_step)
    alone = [kind(config, replace(plain, target_scale=scales[number])) for number in ids]
    rows = [slice(row, row + 1) for row in range(5)]
    losses = [float(task.loss(scores[row], target[row])) for task, row in zip(alone, rows, strict=True)]
    assert float(grouped.for_batch(x).loss(scores, target)) == pytest.approx(np.mean(losses), rel=CLOSE)
    whole = grouped.for_batch(x).statistics(scores, target)
    each = [task.statistics(scores[row], target[row]) for task, row in zip(alone, rows, strict=True)]
    for key, value in whole.items():
        assert float(value) == pytest.approx(sum(float(other[key]) for other in each))
    split = zoo.Split(x, target, naive=target + 1)
    grouped.fit(split)
    result = naive_metrics(grouped, split, split)
    assert result["persistence"]["mae"] == pytest.approx(1.0, rel=1e-5)


def test_mase_is_relative_to_the_persistence_of_each_group() -> None:
    task = make("regression", GROUPS)
    x = torch.tensor([[[float(number), 0.0]] for number in (1, 2, 1, 2)])
    y = torch.zeros(4, 2)
    errors = torch.tensor([[1.0, 1.0], [100.0, 10.0]]).repeat(2, 1)
    split = zoo.Split(x, y, naive=y + errors)
    task.fit(split)
    assert naive_metrics(task, split, split)["persistence"]["mase"] == pytest.approx(1.0)
    only_small = split.take(torch.tensor([0, 2]))
    assert naive_metrics(task, split, only_small)["persistence"]["mase"] == pytest.approx(1.0)
    unknown = replace(only_small, x=torch.zeros_like(only_small.x))  # relative to the mean over all groups
    pooled = np.mean([1 / 50.5, 1 / 5.5])
    assert naive_metrics(task, split, unknown)["persistence"]["mase"] == pytest.approx(pooled)


def test_the_mean_of_each_group_is_a_baseline() -> None:
    """In scaled units the mean of all groups is 0, which is the mean of each group in its own units."""
    grouped = make("regression", GROUPS)
    ids = torch.tensor([1.0, 2.0]).repeat(20)
    factor, offset = torch.tensor([[0.5, 1.0], [200.0, 10.0]]), torch.tensor([[1.0, 0.0], [1000.0, 50.0]])
    deviation = draw(40, 2)
    deviation -= deviation.mean(0)
    y = deviation * factor.repeat(20, 1) + offset.repeat(20, 1)
    split = zoo.Split(torch.stack([ids, ids], 1)[:, None], y)
    mean = naive_metrics(grouped, split, split)["mean"]
    assert mean["loss"] == pytest.approx(float(deviation.square().mean()), rel=1e-4)
