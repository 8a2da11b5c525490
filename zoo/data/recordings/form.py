"""What a signature keeps of recordings: how files become recordings, columns features, and long recordings windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from zoo.data.tables.dates import DateForm
from zoo.data.tables.dialect import Dialect

Missing = Literal["refuse", "previous", "interpolate", "mask"]


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
    """Name of an index that a folder must have, for the features that it gives; empty where it gives none."""
    dialect: Dialect = field(default_factory=Dialect)
    dates: DateForm = field(default_factory=DateForm)


@dataclass(frozen=True)
class FeatureForm:
    """How columns become features; plain values that a signature keeps."""

    inputs: tuple[str, ...]
    """The columns, in the order of their features."""
    categories: tuple[tuple[str, ...], ...]
    """For each of the columns the names of its categories, of which the k-th has the id k + 1; empty for a number."""
    missing: Missing
    masked: tuple[str, ...] = ()
    """Columns that have a further feature: 1 where the value is missing, else 0."""
    means: tuple[float, ...] = ()
    """For each of the columns its mean over the training part, for steps without any value before them; 0, the id of
    an unknown value, for a category."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return (*self.inputs, *(f"{name} missing" for name in self.masked))

    @property
    def feature_categories(self) -> tuple[tuple[str, ...], ...]:
        """Categories for each feature; empty where all are numbers."""
        return (*self.categories, *((),) * len(self.masked)) if any(self.categories) else ()


@dataclass(frozen=True)
class RecordingForm:
    """How files become the sequences of a model of recordings; plain values that a signature keeps."""

    reading: Reading
    features: FeatureForm
    window: int = 0
    """Steps of a window; 0 where recordings are not cut."""
    step: int = 0
    """Distance of two windows; 0 where recordings are not cut."""
    mean: bool = True
    """Whether the answer for a recording is the mean of those for its windows, rather than an answer for each window."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the form of a dictionary that ``dataclasses.asdict`` made, also one read back from JSON.

        Raises:
            TypeError: ``values`` is not such a dictionary.
        """
        reading, features = dict(values["reading"]), dict(values["features"])
        dialect, dates = dict(reading.pop("dialect")), reading.pop("dates")
        if dialect.get("null_values") is not None:
            dialect["null_values"] = tuple(dialect["null_values"])
        features["categories"] = tuple(tuple(names) for names in features["categories"])
        features |= {name: tuple(features[name]) for name in ("inputs", "masked", "means")}
        return cls(
            **{
                **values,
                "reading": Reading(**reading, dialect=Dialect(**dialect), dates=DateForm(**dates)),
                "features": FeatureForm(**features),
            }
        )
