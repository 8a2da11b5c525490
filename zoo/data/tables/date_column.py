"""The column of dates of a table, recognised by its name."""

from __future__ import annotations

from collections.abc import Collection

from zoo.data.tables.date_form import RECOGNISED_FORM, DateForm
from zoo.data.tables.table import Table
from zoo.errors import DataError

DATE_NAMES = ("date", "time", "timestamp", "datetime")
"""Names of columns of dates, in lower case."""


def date_column(table: Table, form: DateForm = RECOGNISED_FORM, features: Collection[str] = ()) -> str | None:
    """Return the name of the column of dates, the first that has one of `DATE_NAMES` and is understood; or None.

    Args:
        table: the rows.
        form: how the dates are written.
        features: columns that the spec names as features or targets, and which need not be dates.

    Raises:
        DataError: there is a column of such a name, and none of them is understood.
    """
    faults: list[str] = []
    for name in table.names:
        if name.lower() in DATE_NAMES:
            try:
                table.dates(name, form)
            except DataError as error:
                if name not in features:
                    faults.append(f"{error}; where {name!r} is a feature, name it as one")
            else:
                return name
    if faults:
        raise DataError(faults[0])
    return None
