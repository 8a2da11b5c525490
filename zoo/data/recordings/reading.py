"""How files become recordings, in plain values that a signature keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from zoo.data.tables.dates import DateForm
from zoo.data.tables.dialect import Dialect


@dataclass(frozen=True)
class Reading:
    """How files become recordings; the same in training and in prediction."""

    sequence: str = ""
    """Column, or array, with the name of the recording of each row; empty where each file is one recording."""
    order: str = ""
    """Column by which the rows of a recording are sorted; empty for the order of the file."""
    index: str = ""
    """Name of the table in a folder with a row for each of its files; empty where there is none."""
    dialect: Dialect = field(default_factory=Dialect)
    dates: DateForm = field(default_factory=DateForm)
