"""The fields of a spec that describe how a table is written."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from zoo.config import Config
from zoo.data.tables.date_form import DateForm
from zoo.data.tables.dialect import Dialect


def _checked_format(form: str) -> str:
    if form in ("s", "ms", "us", "ns"):
        return form
    try:
        read = datetime.strptime(datetime(2020, 12, 31).strftime(form), form)
    except ValueError as error:
        raise ValueError(f"must be a form of strptime such as %d.%m.%Y, or s, ms, us or ns: {error}") from None
    if read.year != 2020:
        raise ValueError("must contain the year, such as %d.%m.%Y")
    return form


class TableConfig(Config):
    """Fields that every data source with a table has."""

    separator: Annotated[str, Field(pattern=r'^[^"\r\n]$')] | None = None
    """Character between two cells of a CSV file. When left out, it is recognised: a comma, a semicolon, a tab or |."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of numbers, a point or a comma. When left out, it is recognised."""
    thousands: Annotated[str, Field(max_length=1)] | None = None
    """Mark between groups of three digits; empty for none. When left out, it is recognised."""
    encoding: str | None = None
    """Encoding of a CSV file, such as cp1252. When left out, UTF-8, or UTF-16 where the file begins with its mark."""
    null_values: tuple[str, ...] | None = None
    """Cells that stand for a missing value, beside empty ones. When left out: NA, n/a, NaN, None, null, nil, #N/A in
    columns of numbers and dates, and in columns of text none."""
    date_format: Annotated[str, AfterValidator(_checked_format)] | None = None
    """Form of the dates in the terms of strptime, such as %d.%m.%Y %H:%M, or the unit of numbers since 1970: s, ms, us
    or ns. When left out, it is recognised."""
    zone: str | None = None
    """Time zone of dates that are local times, such as Europe/Berlin."""

    @model_validator(mode="after")
    def _differ(self) -> TableConfig:
        if self.thousands and self.thousands == self.decimal:
            raise ValueError("thousands must differ from decimal")
        return self

    def dialect(self) -> Dialect:
        """Return how the cells of the file are written."""
        return Dialect(self.separator, self.decimal, self.thousands, self.encoding, self.null_values)

    def date_form(self) -> DateForm:
        """Return how its dates are written."""
        return DateForm(self.date_format, self.zone)
