"""The task ``forecasting``: the next values of a time series."""

from __future__ import annotations

import zoo
from zoo.tasks.regression import Regression

__all__ = ["Forecasting", "zoo_register_tasks"]


class Forecasting(Regression):
    """Regression with targets in the future; its most important baseline is persistence, the last known value."""

    name = "forecasting"
    answers = "future"


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Forecasting` as the task ``forecasting``."""
    return [Forecasting]
