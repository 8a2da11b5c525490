"""Optimisers and learning-rate schedules of a spec's ``training``."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import nn

from tests.support.trainings import make_engine
from zoo.training.config import SGD, Adam, AdamW, Constant, Cosine, OneCycle

Schedule = Constant | Cosine | OneCycle

ROUNDING = 8 * math.ulp(1.0)
"""Error bound of a schedule: about eight operations on numbers up to 1, each rounded by at most half an ulp, and a
cosine, rounded by one."""


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Constant(name="constant"), {1e-9: 1, 0.5: 1, 1: 1}),
        (Constant(name="constant", warmup=0.25), {0.0625: 0.25, 0.125: 0.5, 0.25: 1, 0.26: 1, 1: 1}),
        # Loshchilov and Hutter 2017, equation 5: (1 + cos(pi t)) / 2, whose values at thirds are 3/4 and 1/4.
        (Cosine(name="cosine"), {0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1: 0}),
        (Cosine(name="cosine", warmup=0.25), {0.125: 0.5, 0.25: 1, 0.5: 0.75, 0.625: 0.5, 0.75: 0.25, 1: 0}),
        (OneCycle(name="one_cycle"), {0: 1 / 25, 0.15: 0.52, 0.3: 1, 0.65: 0.500002, 1: 1 / 250_000}),
        (OneCycle(name="one_cycle", warmup=0), {0: 1, 0.5: 0.500002, 1: 1 / 250_000}),
    ],
)
def test_a_schedule_passes_through_its_points(schedule: Schedule, points: dict[float, float]) -> None:
    for progress, expected in points.items():
        assert schedule.scale(progress) == pytest.approx(expected, rel=0, abs=ROUNDING)


def test_one_cycle_equals_that_of_torch() -> None:
    """OneCycleLR follows Smith and Topin 2018. Its peak is step pct_start * total_steps - 1, here 3 of 0 to 10."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    peak, last = 3, 10
    torch_schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=last + 1, pct_start=(peak + 1) / (last + 1), cycle_momentum=False
    )
    schedule = OneCycle(name="one_cycle", warmup=peak / last)
    for step in range(last + 1):
        (expected,) = torch_schedule.get_last_lr()
        assert schedule.scale(step / last) == pytest.approx(expected, rel=0, abs=2 * ROUNDING)  # both are rounded
        if step < last:
            optimizer.step()
            torch_schedule.step()


@given(
    name=st.sampled_from(["constant", "cosine", "one_cycle"]),
    warmup=st.floats(0, 0.99),
    progress=st.floats(0, 1, exclude_min=True),
)
def test_a_schedule_stays_between_zero_and_its_peak(name: str, warmup: float, progress: float) -> None:
    schedule: Schedule = TypeAdapter(Schedule).validate_python({"name": name, "warmup": warmup})
    assert 0 <= schedule.scale(progress) <= 1
    assert schedule.scale(warmup) == 1 or warmup == 0  # the peak is at the end of the warmup


@pytest.mark.parametrize(
    ("optimizer", "kind", "settings"),
    [
        (SGD(name="sgd"), torch.optim.SGD, {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}),
        (
            SGD(name="sgd", lr=0.5, momentum=0.9, weight_decay=0.25),
            torch.optim.SGD,
            {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.25, "nesterov": False},
        ),
        (Adam(name="adam"), torch.optim.Adam, {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}),
        (Adam(name="adam", lr=0.5, weight_decay=0.25), torch.optim.Adam, {"lr": 0.5, "weight_decay": 0.25}),
        (
            AdamW(name="adamw"),
            torch.optim.AdamW,
            {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01},
        ),
        (AdamW(name="adamw", lr=0.5, weight_decay=0.25), torch.optim.AdamW, {"lr": 0.5, "weight_decay": 0.25}),
    ],
)
def test_an_optimizer_equals_that_of_torch(
    optimizer: SGD | Adam | AdamW, kind: type[torch.optim.Optimizer], settings: dict[str, object]
) -> None:
    parameter = nn.Parameter(torch.zeros(2))
    created = optimizer.create([parameter])
    assert type(created) is kind
    (group,) = created.param_groups
    assert group["params"] == [parameter]
    assert {name: group[name] for name in settings} == settings


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
@pytest.mark.parametrize("decay", [0.0, 1.0, 1e9])
def test_torch_accepts_the_largest_rate(kind: type[SGD | Adam | AdamW], decay: float) -> None:
    """At 3e38, also a float32, the first step of Adam fails with "value cannot be converted to type float"."""
    parameter = nn.Parameter(torch.ones(2))
    settings = {"name": kind.__name__.lower(), "lr": 1e9, "weight_decay": decay}
    optimizer = kind.model_validate(settings).create([parameter])
    for _ in range(2):
        parameter.grad = torch.ones(2)
        optimizer.step()


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_the_engine_uses_the_scheduled_rate_at_each_step(tmp_path: Path, schedule: str) -> None:
    """200 rows in batches of 64 are 4 steps an epoch, the last one with fewer rows."""
    settings = {"name": schedule, "warmup": 0.25}
    engine = make_engine(tmp_path, epochs=3, schedule=settings, optimizer={"name": "sgd", "lr": 0.5})
    used: list[float] = []
    engine.optimizer.register_step_post_hook(lambda optimizer, *_: used.append(optimizer.param_groups[0]["lr"]))
    engine.fit()
    scale = TypeAdapter(Schedule).validate_python(settings).scale
    assert used == [0.5 * scale(step / 12) for step in range(1, 13)]
    assert [record.lr for record in engine.history] == [used[3], used[7], used[11]]
