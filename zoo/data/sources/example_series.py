"""Series for a spec without a file: embedded share prices, and generated sales of stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zoo

__all__ = ["EXAMPLES", "prices", "stores"]

STORES, DAYS = 12, 500


def prices() -> zoo.Table:
    """Return the daily prices of Google's shares from matplotlib's sample data: 1,047 rows, 2004 to 2008."""
    from matplotlib.cbook import get_sample_data  # slow to import, and needed only for these data

    values: NDArray[np.void] = get_sample_data("goog.npz")["price_data"]  # type: ignore[index]
    columns = {name: np.asarray(values[name]) for name in values.dtype.names or ()}
    return zoo.Table.of_columns("the embedded prices", columns, "embedded")


def stores() -> zoo.Table:
    """Return the daily sales of generated stores: each has a level, a pattern of the week, promotions and a region.

    Sales rise with a promotion, on the day before a holiday, and vanish on a holiday. Rows follow each other by date.
    """
    random = np.random.RandomState(0)
    dates = np.datetime64("2023-01-02") + np.arange(DAYS)  # a Monday
    holiday = np.zeros(DAYS)
    holiday[np.arange(23, DAYS - 1, 29) + random.randint(0, 6, len(range(23, DAYS - 1, 29)))] = 1
    columns: list[Mapping[str, NDArray[Any]]] = []
    for store in range(STORES):
        level = 100.0 * 2 ** random.uniform(0, 4)
        week = 1 + 0.4 * np.roll(np.array([-0.6, -0.4, -0.1, 0.1, 0.5, 1.0, -0.5]), random.randint(3))
        promotion = (random.uniform(size=DAYS // 5 + 1) < 0.25).repeat(5)[:DAYS].astype(np.float64)
        drift = np.exp(np.cumsum(random.normal(0, 0.01, DAYS)))
        eve = np.roll(holiday, -1)
        sales = level * drift * week[np.arange(DAYS) % 7] * (1 + 0.6 * promotion) * (1 + 0.5 * eve) * (1 - holiday)
        sales *= np.exp(random.normal(0, 0.05, DAYS))
        columns.append(
            {
                "date": dates,
                "store": np.full(DAYS, f"s{store + 1:02}"),
                "region": np.full(DAYS, ("north", "south", "west")[store % 3]),
                "holiday": holiday,
                "promotion": promotion,
                "sales": np.round(sales, 1),
            }
        )
    joined = {name: np.stack([part[name] for part in columns], 1).reshape(-1) for name in columns[0]}
    return zoo.Table.of_columns("the generated stores", joined, "generated")


EXAMPLES: Mapping[str, tuple[Callable[[], zoo.Table], str, str]] = {
    "prices": (prices, "close", "Daily prices of Google's shares (matplotlib's sample data)"),
    "stores": (stores, "sales", "Daily sales of generated stores"),
}
"""For each example its table, its default target, and what it is."""
