"""Forecasting: the next numbers of a time series."""

from __future__ import annotations

import zoo
from zoo.tasks.regression import Regression

__all__ = ["Forecasting", "zoo_register_tasks"]


class Forecasting(Regression):
    """Regression whose numbers lie in the future, so that persistence (tomorrow as today) is what has to be beaten."""

    name = "forecasting"
    answers = "future"


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    return [Forecasting]
