"""Files to tables, by the ending of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.csvfile import csv_rows
from zoo.data.datafile import open_data
from zoo.data.tables.dialect import Dialect
from zoo.data.tables.table import Table


def read_table(path: Path, dialect: Dialect = Dialect()) -> Table:
    """Read a table whose first line names the columns.

    Raises:
        DataError: the file is not such a table.
    """
    import polars as pl

    with open_data(path) as stream:
        rows = list(csv_rows(path, stream))
    names = [name.strip() for name in rows[0][1]]
    columns = {name: [row[at] for _, row in rows[1:]] for at, name in enumerate(names)}
    lines = np.array([line for line, _ in rows[1:]], np.int64)
    frame = pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))
    return Table(str(path), frame, lines, f"separated by commas; {len(lines):,} rows", dialect)
