"""The engine: learning, selection of the best weights, early stopping, and errors of a diverging training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.support.builders import KINDS
from tests.support.models import make_model
from tests.support.runs import build_run
from tests.support.trainings import Recorder, classification, digits, make_engine, rows, weights
from zoo.errors import SpecError, TrainingError
from zoo.sealed import load_sealed
from zoo.tasks.task import Task
from zoo.training import engine as engine_module
from zoo.training.config import TrainingConfig
from zoo.training.engine import Engine, chosen_metric, evaluate

EPS = torch.finfo(torch.float32).eps


def scripted(task: Task, monkeypatch: pytest.MonkeyPatch, **values: list[float]) -> Task:
    """Replace metrics of a task by given series, one value for each epoch."""
    true_metrics = task.metrics
    epochs = iter(range(1000))

    def metrics(statistics: zoo.Statistics) -> dict[str, float]:
        epoch = next(epochs)
        return true_metrics(statistics) | {name: series[epoch] for name, series in values.items()}

    monkeypatch.setattr(task, "metrics", metrics)
    return task


def test_the_loss_falls(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, epochs=8, optimizer={"name": "adam", "lr": 0.01})
    before, _ = evaluate(engine.model, engine.task, engine.validation)
    engine.fit()
    losses = [record.train_loss for record in engine.history]
    assert losses == sorted(losses, reverse=True)
    assert engine.history[-1].validation["loss"] < before["loss"]


@pytest.mark.parametrize(
    ("metric", "series", "best"),
    [
        ("accuracy", {"accuracy": [0.5, 0.7, 0.6, 0.7, 0.1], "loss": [3.0, 2.0, 0.5, 1.0, 0.1]}, 4),  # the lower loss
        ("accuracy", {"accuracy": [0.5, 0.7, 0.6, 0.7, 0.1], "loss": [3.0, 1.0, 0.5, 2.0, 0.1]}, 2),
        ("accuracy", {"accuracy": [0.5, 0.7, 0.7, 0.7, 0.1], "loss": [3.0, 1.0, 1.0, 2.0, 0.1]}, 3),  # the later
        ("loss", {"loss": [2.0, 1.5, 1.0, 1.25, 3.0]}, 3),
        ("loss", {"loss": [2.0, 1.0, 1.5, 1.0, 3.0]}, 4),
        ("macro_f1", {"macro_f1": [0.9, 0.8, 0.7, 0.6, 0.5]}, 1),
    ],
)
def test_the_best_weights_are_those_of_the_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str, series: dict[str, list[float]], best: int
) -> None:
    """At the same metric, the epoch with the lower validation loss is better; at the same loss, the later one."""
    task = scripted(classification(), monkeypatch, **series)
    model = make_model("gru_after", hidden_size=12)
    after: list[dict[str, Tensor]] = []
    engine = make_engine(
        tmp_path, model=model, task=task, epochs=5, metric=metric, after_epoch=lambda _: after.append(weights(model))
    )
    engine.fit()
    assert [record.epoch for record in engine.history if record.best][-1] == best
    for epoch, then in enumerate(after, 1):
        equal = all(torch.equal(then[name], value) for name, value in weights(model).items())
        assert equal == (epoch == best)


def test_the_validation_part_has_no_effect_if_the_training_loss_selects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of epochs with the same training loss the later one is kept, although its validation loss is higher."""
    task = scripted(classification(), monkeypatch, loss=[1.0, 2.0, 3.0])
    losses = iter([0.5, 0.25, 0.25])
    monkeypatch.setattr(Engine, "_mean_loss", lambda _: next(losses))
    engine = make_engine(tmp_path, task=task, epochs=3, metric="train_loss")
    engine.fit()
    assert [record.best for record in engine.history] == [True, True, True]


@pytest.mark.parametrize(
    ("accuracy", "loss", "best"),
    [
        ([0.5, 0.4, 0.6, 0.6, 0.5, 0.9], [1.0, 1.0, 1.0, 1.5, 1.0, 1.0], [True, False, True, False, False]),
        # At the same accuracy a lower loss is an improvement; an equal one is not, although its weights are kept.
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5], [1.0, 0.9, 0.8, 0.8, 0.8, 0.7], [True, True, True, True, True]),
        ([0.1, 0.1, 0.1, 0.1, 0.1, 0.1], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0], [True, True, True]),
    ],
    ids=["a worse loss", "a lower loss", "a standstill"],
)
def test_early_stopping_counts_epochs_without_improvement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: list[float], loss: list[float], best: list[bool]
) -> None:
    task = scripted(classification(), monkeypatch, accuracy=accuracy, loss=loss)
    engine = make_engine(tmp_path, task=task, epochs=6, early_stopping={"patience": 2})
    engine.fit()
    assert [record.best for record in engine.history] == best


def test_a_resumed_training_selects_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the third of five epochs; the checkpoint determines the best epoch and the early stop."""
    accuracy, loss = [0.5, 0.7, 0.7, 0.7, 0.6, 0.9], [3.0, 1.0, 2.0, 1.0, 0.5, 0.1]
    settings: dict[str, Any] = {"epochs": 6, "early_stopping": {"patience": 3}}
    task = scripted(classification(), monkeypatch, accuracy=accuracy, loss=loss)
    unbroken = make_engine(tmp_path / "unbroken", task=task, **settings)
    unbroken.fit()
    assert [record.best for record in unbroken.history] == [True, True, False, True, False]

    class Stop(Exception):  # noqa: N818  (not an error)
        pass

    def stop(record: zoo.EpochRecord) -> None:
        if record.epoch == 3:
            raise Stop

    monkeypatch.setattr(engine_module, "EPOCH_CHECKPOINT_SECONDS", -1.0)
    task = scripted(classification(), monkeypatch, accuracy=accuracy, loss=loss)
    broken = make_engine(tmp_path / "broken", task=task, after_epoch=stop, **settings)
    with pytest.raises(Stop):
        broken.fit()
    task = scripted(classification(), monkeypatch, accuracy=accuracy[3:], loss=loss[3:])
    resumed = make_engine(tmp_path / "broken", task=task, **settings)
    resumed.restore(lambda _: None)
    resumed.fit()
    assert [record.best for record in resumed.history] == [record.best for record in unbroken.history]
    for name, value in weights(resumed.model).items():
        assert torch.equal(value, weights(unbroken.model)[name]), name


def test_early_stopping_does_not_stop_an_improving_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = scripted(classification(), monkeypatch, accuracy=[0.1, 0.2, 0.3])
    engine = make_engine(tmp_path, task=task, epochs=3, early_stopping={"patience": 1})
    engine.fit()
    assert len(engine.history) == 3


def gradient_norms(engine: Engine) -> list[float]:
    """Return a list that receives, during training, the norm of each gradient of the optimiser, in float64."""
    norms: list[float] = []

    def note(*_: object) -> None:
        gradients = [parameter.grad for parameter in engine.model.parameters() if parameter.grad is not None]
        norms.append(math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients)))

    engine.optimizer.register_step_pre_hook(note)
    return norms


def test_clip_norm_limits_the_norm(tmp_path: Path) -> None:
    """The bound: a norm of n numbers has a relative error of at most (n / 2 + 1) u, u = eps / 2 (Higham 2002, equation
    3.5), and the scaling rounds twice more."""
    free, clipped = (make_engine(tmp_path / str(clip), epochs=2, clip_norm=clip) for clip in (None, 0.2))
    free_norms, clipped_norms = gradient_norms(free), gradient_norms(clipped)
    free.fit()
    clipped.fit()
    assert min(free_norms) > 0.2  # every gradient needs clipping
    limit = 0.2 * (1 + EPS * (clipped.model.parameter_count / 4 + 2))
    assert 0.19 < min(clipped_norms) <= max(clipped_norms) <= limit


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_weight_decay_pulls_each_weight_towards_zero(tmp_path: Path, optimizer: str) -> None:
    """After one step the weights with and without decay differ by lr * decay * weight.

    SGD adds decay * weight to the gradient; AdamW (Loshchilov and Hutter 2019, algorithm 2, line 12) subtracts it
    separately from the step. Each of the two results has four roundings, with an error of eps / 2 each, of numbers no
    larger than the weight, the step or the decay.
    """
    lr, decay = 0.125, 0.5
    results = []
    for weight_decay in (0.0, decay):
        settings = {"name": optimizer, "lr": lr, "weight_decay": weight_decay}
        engine = make_engine(tmp_path / str(weight_decay), epochs=1, batch_size=200, optimizer=settings)
        before = weights(engine.model)
        engine.fit()
        results.append(weights(engine.model))
    plain, decayed = results
    for name, weight in before.items():
        difference = (plain[name] - decayed[name]).double()
        expected = lr * decay * weight.double()
        scale = weight.abs() + (plain[name] - weight).abs() + expected.abs()
        assert bool(((difference - expected).abs() <= 2 * 4 * EPS / 2 * scale).all()), name
        assert float(expected.abs().max()) > 100 * EPS


IMPLEMENTATIONS = [(kind, "cell") for kind in KINDS] + [(kind, "fused") for kind in KINDS if KINDS[kind].has_kernel]


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize(("kind", "implementation"), IMPLEMENTATIONS)
def test_bfloat16_trains(tmp_path: Path, kind: str, implementation: str, direction: str) -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = make_model(kind, hidden_size=12, num_layers=2, implementation=implementation, direction=direction)
        before = weights(model)
        engine = make_engine(
            tmp_path / precision,
            model=model,
            train=rows(digits().train, 64),
            epochs=4,
            precision=precision,
            optimizer={"name": "adam", "lr": 0.01},
        )
        engine.fit()
        losses[precision] = [record.train_loss for record in engine.history]
        for name, value in weights(model).items():
            assert value.dtype == torch.float32
            assert not torch.equal(value, before[name]), name
    assert losses["bfloat16"][-1] < losses["bfloat16"][0]
    assert losses["bfloat16"] != losses["float32"]  # autocast was on
    # The first epoch is one step, one forward pass with equal weights: 8 time steps of 2 layers, in each of which the
    # products and the new state are rounded, by half an eps at most.
    assert losses["bfloat16"][0] == pytest.approx(losses["float32"][0], rel=32 * torch.finfo(torch.bfloat16).eps / 2)


def test_the_seed_determines_everything(tmp_path: Path) -> None:
    def build(folder: str, seed: int) -> bytes:
        torch.manual_seed(hash(folder) % 2**31)  # earlier random numbers have no effect
        settings = ("architecture.num_layers=2", "architecture.dropout=0.2", f"training.seed={seed}")
        return (build_run(tmp_path / folder, "lstm", *settings) / "model.safetensors").read_bytes()

    first = build("first", 1)
    assert build("again", 1) == first
    assert build("other", 2) != first


def test_an_epoch_takes_every_row_once_in_an_order_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """201 rows in batches of 64: three full ones and one of 9."""
    task, train = classification(), rows(digits().train, 201)
    numbered = zoo.Split(train.x, torch.arange(201) % 10)
    taken: list[Tensor] = []
    true_loss = task.loss

    def loss(scores: Tensor, target: Tensor) -> Tensor:
        taken.append(target)
        return true_loss(scores, target)

    monkeypatch.setattr(task, "loss", loss)
    make_engine(tmp_path, task=task, train=numbered, epochs=2).fit()
    assert [len(batch) for batch in taken] == 2 * [64, 64, 64, 9]
    epochs = [torch.cat(taken[:4]), torch.cat(taken[4:])]
    for epoch in epochs:
        assert torch.equal(epoch.bincount(), numbered.y.bincount())
    assert not torch.equal(*epochs)


def test_the_training_loss_is_the_mean_over_rows(tmp_path: Path) -> None:
    """The last batch has one row of 201, which must not count as much as 50. At this rate no weight changes."""
    engine = make_engine(
        tmp_path,
        train=rows(digits().train, 201),
        batch_size=50,
        epochs=1,
        optimizer={"name": "sgd", "lr": 1e-30},
    )
    engine.fit()
    expected, _ = evaluate(engine.model, engine.task, engine.train_split)
    # Each batch's mean is a float32 sum of up to 50 losses, and five of them are added: no more than 60 roundings.
    assert engine.history[0].train_loss == pytest.approx(expected["loss"], rel=60 * EPS / 2)


def test_reports_give_the_mean_loss_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "REPORT_SECONDS", -1.0)  # report after every step
    listener = Recorder()
    engine = make_engine(tmp_path, listener=listener, epochs=2)
    engine.fit()
    assert [(epoch, step) for epoch, step, _ in listener.steps] == [(e, s) for e in (1, 2) for s in (1, 2, 3, 4)]
    assert [loss for _, step, loss in listener.steps if step == 4] == [r.train_loss for r in engine.history]
    assert listener.records == engine.history


def assert_all_finite(folder: Path) -> None:
    for file in folder.glob("**/*.safetensors"):
        tensors, _ = load_sealed(file)
        for name, tensor in tensors.items():
            assert bool(tensor.isfinite().all()), f"{file}: {name}"


def test_a_loss_that_is_not_finite_stops_with_step_rate_and_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN in step 2 of epoch 3, which is step 10 of 12; the checkpoints of the two earlier epochs remain."""
    monkeypatch.setattr(engine_module, "EPOCH_CHECKPOINT_SECONDS", -1.0)
    task = classification()
    true_loss = task.loss
    steps = iter(range(1, 1000))
    monkeypatch.setattr(task, "loss", lambda scores, y: true_loss(scores, y) * (math.nan if next(steps) == 10 else 1))
    engine = make_engine(
        tmp_path, task=task, epochs=3, optimizer={"name": "sgd", "lr": 0.5}, schedule={"name": "cosine"}
    )
    with pytest.raises(TrainingError) as caught:
        engine.fit()
    lr = 0.5 * engine.config.schedule.scale(10 / 12)
    assert str(caught.value) == (
        f"the loss is not finite in epoch 3, step 2 (learning rate {lr:.3g}); the checkpoints saved before are good; "
        "lower training.optimizer.lr or set training.clip_norm to 1"
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "step-0000000004.safetensors",
        "step-0000000008.safetensors",
    ]
    assert_all_finite(tmp_path)


def test_a_first_loss_that_is_not_finite_points_to_the_data(tmp_path: Path) -> None:
    train = rows(digits().train, 200)
    huge = zoo.Split(train.x.float() * 1e38, train.y)
    with pytest.raises(TrainingError, match=r"epoch 1, step 1 \([^)]*\); look for huge values in the training data"):
        make_engine(tmp_path, model=make_model("rnn_relu", hidden_size=12), train=huge).fit()
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    """The last step of the epoch makes a weight infinite after its loss was computed."""
    engine = make_engine(tmp_path, epochs=1, clip_norm=1.0)
    steps = iter(range(1, 1000))
    parameter = next(engine.model.parameters())
    parameter.register_hook(lambda gradient: gradient * (math.inf if next(steps) == 4 else 1))
    with pytest.raises(
        TrainingError, match=r"weights' update is not finite in epoch 1, step 4 .*; lower training\.optimizer\.lr$"
    ):
        engine.fit()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_a_validation_result_that_is_not_finite_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    task = scripted(classification(), monkeypatch, **{metric: [0.5, math.inf]})
    with pytest.raises(TrainingError, match=f"the validation {metric} is not finite in epoch 2, step 4 "):
        make_engine(tmp_path, task=task).fit()
    assert_all_finite(tmp_path)


def test_a_huge_learning_rate_writes_only_finite_values(tmp_path: Path) -> None:
    model = make_model("rnn_relu", hidden_size=12)
    engine = make_engine(tmp_path, model=model, optimizer={"name": "sgd", "lr": 1e9})
    with pytest.raises(TrainingError, match=r"not finite in epoch 1, step \d \(learning rate 1e\+09\); .*lower"):
        engine.fit()
    assert_all_finite(tmp_path)


@pytest.mark.parametrize("deterministic", [False, True])
def test_deterministic_mode_is_on_while_training_and_off_after(tmp_path: Path, deterministic: bool) -> None:
    modes: list[bool] = []
    engine = make_engine(
        tmp_path,
        epochs=2,
        deterministic=deterministic,
        after_epoch=lambda _: modes.append(torch.are_deterministic_algorithms_enabled()),
    )
    engine.fit()
    assert modes == [deterministic, deterministic]
    assert not torch.are_deterministic_algorithms_enabled()


def test_deterministic_mode_ends_with_an_error_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = scripted(classification(), monkeypatch, loss=[math.nan])
    with pytest.raises(TrainingError):
        make_engine(tmp_path, task=task, deterministic=True).fit()
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_unknown_metric_is_reported_with_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"training\.metric: 'acuracy' .*accuracy, macro_f1, balanced_accuracy, loss"):
        chosen_metric(classification(), TrainingConfig(metric="acuracy"))


def test_the_default_metric_is_the_first_of_the_task() -> None:
    assert chosen_metric(classification(), TrainingConfig()) == "accuracy"


def test_evaluation_restores_the_mode_and_counts_every_row(tmp_path: Path) -> None:
    """More rows than one batch of an evaluation; dropout must not act."""
    model, task, split = make_model("lstm", hidden_size=5, num_layers=2, dropout=0.5), classification(), digits().train
    assert len(split) % engine_module.EVALUATION_BATCH
    assert len(split) > engine_module.EVALUATION_BATCH
    model.train()
    metrics, statistics = evaluate(model, task, split)
    assert model.training
    assert evaluate(model, task, split)[0] == metrics
    assert int(statistics["confusion"].sum()) == len(split)
    assert torch.equal(statistics["confusion"].sum(1), split.y.bincount().double())
