"""Data sources under their former names, for specs and runs of before."""

from __future__ import annotations

import zoo
from zoo.data.sources.series import Series

__all__ = ["Csv", "zoo_register_data"]


class Csv(Series):
    """The source ``series`` under its former name, with the same fields."""

    name = "csv"


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Csv` as the data source ``csv``."""
    return [Csv]
