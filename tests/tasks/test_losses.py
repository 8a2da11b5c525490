"""Losses and metrics that a spec can choose, against torch, scikit-learn and plain arithmetic."""

from __future__ import annotations

from functools import partial
from math import log, pi
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn
from torch import Tensor, nn

import zoo
from tests.tasks.test_tasks import CLASSES, CLOSE, FUTURE, NUMBERS, STEPS, TWO, classes, draw, make, metrics, split
from zoo.nn.readout import scores_of
from zoo.run.baselines import naive_metrics
from zoo.training.engine import score

LABELLED = zoo.Signature(features=2, labels=("a", "b", "c"), multilabel=True)
BY_STEP = zoo.Signature(features=2, targets=("u",), by_step=True, lengths=True, target_scale=zoo.Scale((3.0,), (2.0,)))
QUANTILES = {"quantiles": (0.1, 0.5, 0.9)}


def test_balanced_weights_come_from_the_training_part() -> None:
    task, scores, target = make("classification", CLASSES, class_weights="balanced"), draw(50, 3), classes(50)
    with pytest.raises(zoo.SpecError, match=r"'balanced' needs the training part"):
        task.loss(scores, target)
    task.fit(split(torch.tensor([0, 0, 0, 1, 1, 2])))
    weights = torch.tensor([2 / 3, 1.0, 2.0])  # 6 / (3 classes * 3, 2 and 1 examples)
    each = nn.functional.cross_entropy(scores, target, reduction="none") * weights[target]
    assert float(task.loss(scores, target)) == pytest.approx(float(each.mean()), rel=CLOSE)
    assert metrics(task, scores, target)["loss"] == pytest.approx(float(each.mean()), rel=CLOSE)


def test_weights_by_label_and_smoothing_are_those_of_torch() -> None:
    task = make("classification", CLASSES, class_weights={"b": 3.0}, label_smoothing=0.2)
    scores, target = draw(50, 3), classes(50)
    weights = torch.tensor([1.0, 3.0, 1.0])
    expected = nn.functional.cross_entropy(scores, target, weights, reduction="none", label_smoothing=0.2).mean()
    assert float(task.loss(scores, target)) == pytest.approx(float(expected), rel=CLOSE)
    assert metrics(task, scores, target)["loss"] == pytest.approx(float(expected), rel=CLOSE)


def test_labels_that_are_numbers_have_weights_too() -> None:
    task = make("classification", zoo.Signature(features=2, labels=("0", "1")), class_weights={1: 2})
    assert task.config.model_dump()["class_weights"] == {"1": 2.0}
    for value in ({"0": -1}, {"0": True}, "even", 3):
        with pytest.raises(ValueError, match="must be 'balanced', or positive weights by label"):
            make("classification", CLASSES, class_weights=value)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_focal_loss_weighs_an_example_by_how_wrong_it_is(output: str) -> None:
    task, target = make("classification", TWO, loss="focal", gamma=2.0, output=output), classes(50, count=2)
    scores = draw(50, task.outputs)
    pair = scores if output == "softmax" else torch.cat([torch.zeros(50, 1), scores], 1)
    share = pair.double().softmax(1)[torch.arange(50), target]
    expected = float((-((1 - share) ** 2) * share.log()).mean())
    assert float(task.loss(scores, target)) == pytest.approx(expected, rel=CLOSE)
    plain = make("classification", TWO, loss="focal", gamma=0.0, output=output)
    assert float(plain.loss(scores, target)) == pytest.approx(
        float(nn.functional.cross_entropy(pair, target)), rel=CLOSE
    )


def test_a_certain_and_right_example_has_a_finite_slope_in_the_focal_loss() -> None:
    scores = torch.tensor([[200.0, 0.0]], requires_grad=True)
    make("classification", TWO, loss="focal", gamma=0.5).loss(scores, torch.tensor([0])).backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[0.0, 0.0]]


def test_losses_by_step_are_means_of_the_steps_of_each_sequence() -> None:
    task, scores, target = (
        make("tagging", STEPS, loss="focal", gamma=0.0, class_weights={"a": 2.0}),
        draw(6, 5, 3),
        classes(6, 5),
    )
    target[0, 1:] = zoo.IGNORED
    weights = torch.tensor([2.0, 1.0, 1.0])
    each = [
        float((nn.functional.cross_entropy(s[t >= 0], t[t >= 0], reduction="none") * weights[t[t >= 0]]).mean())
        for s, t in zip(scores, target, strict=True)
    ]
    assert float(task.loss(scores, target)) == pytest.approx(np.mean(each), rel=CLOSE)


@pytest.mark.parametrize(
    ("name", "signature", "options", "message"),
    [
        ("classification", CLASSES, {"class_weights": {"d": 1.0}}, "'d' is no label of these data; expected a, b, c"),
        ("classification", CLASSES, {"loss": "focal", "label_smoothing": 0.1}, "is for the loss 'cross_entropy'"),
        ("forecasting", FUTURE, {"quantiles": (0.5, 0.1)}, r"ascending order with the median, .* got \[0\.5, 0\.1\]"),
        ("forecasting", FUTURE, {"quantiles": (0.1, 0.9)}, "must be in ascending order with the median"),
        ("regression", NUMBERS, {"quantiles": (0.1, 0.5), "loss": "mae"}, r"task\.quantiles: have the pinball loss"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(name: str, signature: zoo.Signature, options: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        make(name, signature, **options)


def test_a_negative_count_is_refused() -> None:
    task = make("regression", zoo.Signature(features=2, targets=("u",)), loss="poisson")
    with pytest.raises(zoo.SpecError, match=r"task\.loss: 'poisson' is for counts, .* has the target -3; use 'mse'"):
        task.fit(split(torch.tensor([[2.0], [-3.0]])))


def test_ranking_metrics_are_those_of_scikit_learn() -> None:
    scores, target = draw(60, 3), classes(60)
    task = make("classification", CLASSES)
    actual, _ = score(task, split(target), lambda _, rows: scores[rows])
    shares = scores.double().softmax(1)
    assert actual["auroc"] == pytest.approx(sklearn.roc_auc_score(target, shares, multi_class="ovr"))
    assert actual["average_precision"] == pytest.approx(
        sklearn.average_precision_score(nn.functional.one_hot(target, 3), shares, average="macro")
    )
    assert actual["balanced_accuracy"] == pytest.approx(sklearn.balanced_accuracy_score(target, scores.argmax(1)))
    assert "auroc" not in score(task, split(target), lambda _, rows: scores[rows], ranked=False)[0]


def test_without_both_kinds_of_sequences_there_is_no_ranking() -> None:
    actual, _ = score(
        make("classification", TWO), split(torch.zeros(5, dtype=torch.int64)), lambda _, rows: draw(5, 2)[rows]
    )
    assert np.isnan(actual["auroc"])


def test_the_table_of_classes_is_that_of_scikit_learn() -> None:
    task, scores, target = make("classification", CLASSES), draw(50, 3), classes(50)
    rows = task.table(task.statistics(scores, target))
    expected = sklearn.precision_recall_fscore_support(target, scores.argmax(1))
    assert [row["label"] for row in rows] == ["a", "b", "c"]
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [row[name] for row in rows] == pytest.approx(list(values))
    never = task.table(task.statistics(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([1])))
    assert never[2] == {"label": "c", "precision": None, "recall": None, "f1": None, "support": 0}


def test_several_labels_agree_with_scikit_learn() -> None:
    task, scores, target = make("multilabel", LABELLED), draw(50, 3), (draw(50, 3, seed=5) > 0.3).float()
    actual, sums = score(task, split(target), lambda _, rows: scores[rows])
    guesses = (scores >= 0).numpy()
    for average in ("micro", "macro"):
        assert actual[f"{average}_f1"] == pytest.approx(sklearn.f1_score(target, guesses, average=average))
    assert actual["average_precision"] == pytest.approx(sklearn.average_precision_score(target, scores))
    assert actual["auroc"] == pytest.approx(sklearn.roc_auc_score(target, scores))
    assert float(task.loss(scores, target)) == pytest.approx(actual["loss"], rel=CLOSE)
    assert [row["support"] for row in task.table(sums)] == target.sum(0).tolist()
    naive = naive_metrics(task, split(target), split(target))["frequencies"]
    assert naive["auroc"] == 0.5
    nothing = metrics(task, torch.full((2, 3), -1.0), torch.zeros(2, 3))
    assert (nothing["micro_f1"], nothing["macro_f1"]) == (0.0, 0.0)


def scaled(target: Tensor) -> Tensor:
    return ((target - torch.tensor([10.0, -5.0])) / torch.tensor([2.0, 100.0])).flatten(1)


TARGET = draw(20, 2, seed=2) * torch.tensor([2.0, 100.0]) + torch.tensor([10.0, -5.0])


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({"loss": "mae"}, nn.functional.l1_loss),
        ({"loss": "huber", "delta": 0.5}, partial(nn.functional.huber_loss, delta=0.5)),
    ],
)
def test_point_losses_are_those_of_torch(options: dict[str, Any], function: Any) -> None:
    task, scores = make("regression", NUMBERS, **options), draw(20, 2)
    expected = pytest.approx(float(function(scores, scaled(TARGET))), rel=CLOSE)
    assert float(task.loss(scores, TARGET)) == expected
    assert metrics(task, scores, TARGET)["loss"] == expected


def test_the_normal_loss_is_the_likelihood_of_the_exported_distribution() -> None:
    task, scores = make("regression", NUMBERS, loss="normal"), draw(20, 4)
    outputs = task.readout()(scores)
    assert [*outputs] == ["y", "spread"]
    exact = {name: value.double() for name, value in outputs.items()}
    likelihood = -torch.distributions.Normal(exact["y"], exact["spread"]).log_prob(TARGET.double())
    in_units = likelihood - torch.tensor([2.0, 100.0]).log()  # the loss is that of scaled numbers
    actual = metrics(task, scores, TARGET)
    assert float(task.loss(scores, TARGET)) == pytest.approx(float(in_units.mean()), rel=CLOSE)
    assert actual["loss"] == pytest.approx(float(in_units.mean()), rel=CLOSE)
    inside = ((TARGET - outputs["y"]).abs() <= 1.6448536 * outputs["spread"]).double().mean()
    assert actual["coverage_of_0.9"] == pytest.approx(float(inside))


def test_the_poisson_loss_is_the_likelihood_of_the_exported_rate() -> None:
    """Up to a constant, and over the factor of the scale; the offset has no part in it."""
    signature = zoo.Signature(features=2, targets=("u",), target_scale=zoo.Scale((7.0,), (4.0,)))
    task, scores = make("regression", signature, loss="poisson"), draw(20, 1)
    target = classes(20, 1, count=9).float()
    rate = task.readout()(scores)["y"]
    torch.testing.assert_close(rate, scores.exp() * 4)
    negative = -torch.distributions.Poisson(rate.double()).log_prob(target.double())
    constant = torch.lgamma(target.double() + 1) - target * log(4.0)
    assert float(task.loss(scores, target)) == pytest.approx(float(((negative - constant) / 4).mean()), rel=CLOSE)
    assert metrics(task, scores, target)["mae"] == pytest.approx(float((rate - target).abs().mean()), rel=CLOSE)


def test_the_pinball_loss_is_that_of_scikit_learn() -> None:
    task, scores = make("forecasting", FUTURE, **QUANTILES), draw(20, 18)
    target = draw(20, 3, 2, seed=2)
    rows = scores.chunk(3, 1)
    expected = np.mean(
        [sklearn.mean_pinball_loss(scaled(target), row, alpha=q) for row, q in zip(rows, (0.1, 0.5, 0.9), strict=True)]
    )
    assert float(task.loss(scores, target)) == pytest.approx(expected, rel=CLOSE)
    assert metrics(task, scores, target)["loss"] == pytest.approx(expected, rel=CLOSE)


def test_quantiles_do_not_cross_and_the_median_stays() -> None:
    task, scores = make("forecasting", FUTURE, quantiles=(0.05, 0.1, 0.5, 0.9, 0.95)), draw(20, 30)
    outputs = task.readout()(scores)
    assert [*outputs] == ["y", "q0.05", "q0.1", "q0.9", "q0.95"]
    ranked = torch.stack([outputs[name] for name in ("q0.05", "q0.1", "y", "q0.9", "q0.95")])
    assert bool((ranked.diff(dim=0) >= 0).all())
    assert bool((torch.stack(scores.chunk(5, 1)).diff(dim=0) < 0).any())  # as the scores do
    median = scores.chunk(5, 1)[2].reshape(20, 3, 2) * torch.tensor([2.0, 100.0]) + torch.tensor([10.0, -5.0])
    torch.testing.assert_close(outputs["y"], median)
    target = draw(20, 3, 2)
    inside = ((outputs["q0.05"] <= target) & (target <= outputs["q0.95"])).double().mean()
    assert metrics(task, scores, target)["coverage_of_0.9"] == pytest.approx(float(inside))


@pytest.mark.parametrize("options", [{"loss": "mse"}, {"loss": "poisson"}, {"loss": "normal"}, QUANTILES])
def test_scores_follow_from_outputs(options: dict[str, Any]) -> None:
    """The metrics of a file of lower precision are computed from its outputs."""
    for name, signature in (("regression", NUMBERS), ("forecasting", FUTURE)):
        task = make(name, signature, **options)
        readout = task.readout()
        outputs = readout(draw(20, task.outputs))
        for key, value in readout(scores_of(readout, outputs)).items():
            torch.testing.assert_close(value, outputs[key], rtol=1e-4, atol=1e-4)


def test_relative_errors() -> None:
    task = make("forecasting", zoo.Signature(features=2, targets=("u",), horizon=2))
    train = split(torch.tensor([[[1.0], [3.0]], [[4.0], [4.0]]]), torch.tensor([[[0.0], [0.0]], [[2.0], [2.0]]]))
    assert "mase" not in task.known_metrics
    task.fit(train)  # persistence errs by 1, 3, 2, 2
    assert "mase" in task.known_metrics
    actual = metrics(task, torch.tensor([[2.0, 0.0]]), torch.tensor([[[1.0], [0.0]]]))
    assert actual["mase"] == pytest.approx(0.5 / 2)
    assert actual["smape"] == pytest.approx((2 * 1 / 3 + 0) / 2)


def test_naive_distributions_have_the_spread_of_the_training_part() -> None:
    y, last = draw(400, 3, 2), draw(400, 3, 2, seed=4)
    for options, coverage in ((QUANTILES, 0.8), ({"loss": "normal"}, 0.9)):
        naive = naive_metrics(make("forecasting", FUTURE, **options), split(y, last), split(y, last))
        assert set(naive) == {"quantiles" if "quantiles" in options else "mean", "persistence"}
        for name, values in naive.items():
            assert values[f"coverage_of_{coverage}"] == pytest.approx(coverage, abs=0.03), name
        assert naive["persistence"]["mae"] == pytest.approx(float((y - last).abs().mean()), rel=CLOSE)
    normal = naive_metrics(make("forecasting", FUTURE, loss="normal"), split(y), split(y))["mean"]
    spread = scaled(y).double().std(0, correction=0)
    assert normal["loss"] == pytest.approx(float((spread.log() + 0.5 + 0.5 * log(2 * pi)).mean()), rel=1e-6)


@pytest.mark.parametrize("options", [{"loss": "mse"}, {"loss": "normal"}, {"loss": "poisson"}, QUANTILES])
def test_steps_without_a_number_do_not_count(options: dict[str, Any]) -> None:
    task, target = make("step_regression", BY_STEP, **options), draw(6, 5, 1).abs()
    scores = draw(6, 4, task.outputs, seed=3).requires_grad_()
    target[:, 4] = torch.nan  # the padding of a longer sequence in another batch
    target[0, 1:] = torch.nan
    each = [task.loss(scores[row : row + 1], target[row : row + 1]) for row in range(6)]
    loss = task.loss(scores, target)
    assert float(loss.detach()) == pytest.approx(float(torch.stack(each).detach().mean()), rel=CLOSE)
    loss.backward()
    assert scores.grad is not None
    assert bool(scores.grad.isfinite().all())
    assert not scores.grad[0, 1:].any()
    actual = metrics(task, scores.detach(), target)
    changed = scores.detach().clone()
    changed[0, 1:] = 9.0
    assert metrics(task, changed, target) == actual
    valid = ~target[:, :4].isnan()
    assert actual["mae"] == pytest.approx(
        float((task.readout()(scores.detach())["y"] - target[:, :4])[valid].abs().mean()), rel=CLOSE
    )


def test_statistics_of_distributions_add_up() -> None:
    for options in (QUANTILES, {"loss": "normal"}, {"loss": "poisson"}):
        task, target = make("forecasting", FUTURE, **options), draw(9, 3, 2)
        scores = draw(9, task.outputs)
        halves = [task.statistics(scores[part], target[part]) for part in (slice(0, 4), slice(4, 9))]
        for name, whole in task.statistics(scores, target).items():
            torch.testing.assert_close(halves[0][name] + halves[1][name], whole)
