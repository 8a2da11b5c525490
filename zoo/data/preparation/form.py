"""What a signature keeps of a table: which columns are read, in which order, and how gaps are filled. Plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from zoo.data.tables.date_form import RECOGNISED_FORM, DateForm
from zoo.data.tables.dialect import RECOGNISED, Dialect

Missing = Literal["refuse", "previous", "interpolate", "mask"]
"""Treatment of a missing cell: an error; the value before it; a straight line to the value after it; or the value
before it and a further feature that is 1 there."""


@dataclass(frozen=True)
class Feature:
    """A number of each step, from a column of the table."""

    column: str
    """Name of the column."""
    kind: Literal["number", "category", "missing"] = "number"
    """``category``: the id of the cell's category; ``missing``: 1 where the cell is missing, else 0."""
    categories: tuple[str, ...] = ()
    """Names of the categories, of which the k-th has the id k, counted from 1; any other cell has the id 0."""
    ahead: int = 0
    """Number of rows by which the feature looks ahead, for a column whose future is known."""
    offset: float = 0.0
    """Number that is subtracted in float64, where float32 would merge the values of the column."""
    fill: float | None = None
    """Value of a gap without a value before it, where ``missing`` is ``mask``: the mean of the training part."""

    @property
    def name(self) -> str:
        """Name of the feature: that of the column, with what was done to it."""
        missing = " missing" if self.kind == "missing" else ""
        offset = f"-{self.offset:.15g}" if self.offset else ""
        return f"{self.column}{missing}{offset}{f'+{self.ahead}' if self.ahead else ''}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the feature of a dictionary that ``dataclasses.asdict`` made, also one read back from JSON."""
        return cls(**{**values, "categories": tuple(values["categories"])})


def categories_of(features: Sequence[Feature]) -> tuple[tuple[str, ...], ...]:
    """Return the categories of each feature, as a signature has them; empty where all are numbers."""
    categories = tuple(feature.categories for feature in features)
    return categories if any(categories) else ()


@dataclass(frozen=True)
class TableForm:
    """How the rows of a table become the sequences of a model."""

    features: tuple[Feature, ...]
    """The features of a step, in their order."""
    targets: tuple[str, ...] = ()
    """The columns to predict. Where columns are known ahead, the rows after the last one with targets are future."""
    horizon: int = 0
    """Number of rows to predict after a window; 0 for the targets of its last row."""
    window: int = 0
    """Rows of a sequence; 0 for all rows of a series."""
    season: int | None = None
    """Rows of a season, for seasonal persistence; None where the data have none."""
    group: str | None = None
    """Column that names the series of each row; None where the table is one series."""
    date: str | None = None
    """Column of dates; None where the rows have none."""
    sort: bool = False
    """Whether the rows of a series are sorted by their dates; otherwise another order is an error."""
    every: str | None = None
    """Regular distance of the rows, see `zoo.data.preparation.timeline.parse_step`; None where there is none."""
    missing: Missing = "refuse"
    """Treatment of missing cells and rows."""
    dialect: Dialect = RECOGNISED
    """How the cells of the file are written, as far as the spec states it."""
    dates: DateForm = RECOGNISED_FORM
    """How the dates are written, as far as the spec states it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """Categories of each feature; see `categories_of`."""
        return categories_of(self.features)

    @property
    def ahead(self) -> int:
        """Largest number of rows by which a feature looks ahead; 0 where no column is known ahead."""
        return max((feature.ahead for feature in self.features), default=0)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the form of a dictionary that ``dataclasses.asdict`` made, also one read back from JSON.

        Raises:
            TypeError: ``values`` is not such a dictionary.
        """
        parts = {
            "features": tuple(map(Feature.from_dict, values["features"])),
            "targets": tuple(values["targets"]),
            "dialect": Dialect.from_dict(values["dialect"]),
            "dates": DateForm(**values["dates"]),
        }
        return cls(**{**values, **parts})
