"""(t) A CSV file of 2 million rows and 8 columns as arrays: Zoo's reader against plain polars, on one thread."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.interleave import compare
from zoo.data.tables.read import read_table

ROWS, COLUMNS = 2_000_000, 8


def main() -> None:
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # takes effect where nothing has imported polars before
    import polars as pl

    print(f"\n(t) read a CSV file of {ROWS:,} rows x {COLUMNS} columns of numbers: zoo.read_table / polars.read_csv")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbers.csv"
        write_numbers(path)

        def by_zoo() -> list[np.ndarray]:
            table = read_table(path)
            return [table.numbers(name) for name in table.names]

        def by_polars() -> list[np.ndarray]:
            return [column.to_numpy() for column in pl.read_csv(path)]

        for first, second in zip(by_zoo(), by_polars(), strict=True):
            np.testing.assert_array_equal(first, second)
        size, threads = path.stat().st_size / 1e6, pl.thread_pool_size()
        print(f"    {compare(by_zoo, by_polars, rounds=7)}   {size:.0f} MB, threads: {threads}")


def write_numbers(path: Path) -> None:
    """Write random numbers with 6 decimals, the same each time."""
    import polars as pl

    values = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).round(6) * 100
    names = [f"sensor {number}" for number in range(1, COLUMNS + 1)]
    pl.DataFrame(values, schema=names).write_csv(path, float_precision=4)


if __name__ == "__main__":
    main()
