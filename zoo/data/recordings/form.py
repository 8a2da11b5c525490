"""What a signature keeps of recordings: how files become recordings, columns features, and long recordings windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from zoo.data.preparation.form import Feature, Missing, categories_of
from zoo.data.tables.date_form import RECOGNISED_FORM, DateForm
from zoo.data.tables.dialect import RECOGNISED, Dialect


@dataclass(frozen=True)
class Reading:
    """How files become recordings; the same in training and in prediction."""

    sequence: str = ""
    """Column, or array, with the name of the recording of each row; empty where each file is one recording."""
    order: str = ""
    """Column by which the rows of a recording are sorted; empty for the order of the file."""
    key: str = ""
    """Column of an index with the names of the recordings, or the paths of the files; empty where there is no index."""
    index: str = ""
    """Name of the file of the index, which is no recording where it lies in the folder; empty where there is none."""
    static: bool = False
    """Whether the index gives features, so that a folder to predict must have it."""
    features: tuple[str, ...] = ()
    """Columns that are features, though they are called date or time."""
    unnamed: int = 0
    """Number of the features of arrays in which they have no names; 0 where they have."""
    dialect: Dialect = RECOGNISED
    """How the cells of tables are written, as far as the spec states it."""
    dates: DateForm = RECOGNISED_FORM
    """How dates are written, as far as the spec states it."""


@dataclass(frozen=True)
class RecordingForm:
    """How files become the sequences of a model of recordings; plain values that a signature keeps."""

    reading: Reading
    features: tuple[Feature, ...]
    """The features of a step, in their order; none of them looks ahead."""
    missing: Missing = "refuse"
    """Treatment of missing values."""
    window: int = 0
    """Steps of a window; 0 where recordings are not cut."""
    step: int = 0
    """Distance of two windows; 0 where recordings are not cut."""
    mean: bool = True
    """Whether the answer for a recording is the mean of those for its windows, rather than an answer for each
    window."""
    label: str = ""
    """Column of the classes, to evaluate on other files; empty where numbers are predicted."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that are features."""
        return tuple(dict.fromkeys(feature.column for feature in self.features))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """Categories of each feature; see `categories_of`."""
        return categories_of(self.features)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the form of a dictionary that ``dataclasses.asdict`` made, also one read back from JSON.

        Raises:
            TypeError: ``values`` is not such a dictionary.
        """
        fields = values["reading"]
        parts = {
            "features": tuple(fields["features"]),
            "dialect": Dialect.from_dict(fields["dialect"]),
            "dates": DateForm(**fields["dates"]),
        }
        features = tuple(map(Feature.from_dict, values["features"]))
        return cls(**{**values, "reading": Reading(**{**fields, **parts}), "features": features})
