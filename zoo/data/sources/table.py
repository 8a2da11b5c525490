"""The data source ``csv``: windows over a time series from a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Tensor

import zoo
from zoo.data.sources.gaps import Missing, without_gaps
from zoo.data.sources.table_file import Series, prices, read_series
from zoo.data.sources.timeline import parse_step

__all__ = ["Csv", "zoo_register_data"]


def _count_or_share(value: object) -> object:
    """Check a value before pydantic does, which would report one fault for each member of the union."""
    if not isinstance(value, bool) and (
        (isinstance(value, int) and value > 0) or (isinstance(value, float) and 0 < value < 1)
    ):
        return value
    raise ValueError("must be a count of rows such as 200, or a share of them such as 0.7")


def _checked_step(text: str) -> str:
    parse_step(text)
    return text


Rows = Annotated[Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0, lt=1)], BeforeValidator(_count_or_share)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Scaling = Literal["standard", "min_max", "none"]


class Csv(zoo.DataSource):
    """Windows over the rows of a CSV file whose first line names the columns; without a file, daily share prices.

    The target rows of a window belong to one part only. The windows of the training part lie in it entirely; those of
    the other parts may begin in the rows of the part before, which are known when the model has to predict.

    ``naive`` is persistence: the last known value of each target. For a forecast it is that of the window's last row;
    with a horizon of 0 it is that of the row before, and the mean over the training rows where there is no row before.
    """

    name = "csv"

    class Config(zoo.Config):
        file: str | None = None
        """A CSV file in UTF-8, rows in the order of time; relative to the current folder. When left out, the daily
        prices of Google's shares from 2004 to 2008 that come with matplotlib."""
        inputs: Names | None = None
        """Names of the columns that are the features of a step. When left out, every column of numbers; with a horizon
        of 0 without the targets, which the model would otherwise only copy."""
        targets: Names | None = None
        """Names of the columns to predict. Required with a file; 'close' without."""
        date: str | None = None
        """Name of the column of dates, such as 2020-12-31 or 2020-12-31 13:00. When left out, a column with the name
        date, time, timestamp or datetime whose first cell is such a date."""
        every: Annotated[str, AfterValidator(_checked_step)] | None = None
        """Regular distance of the rows: a count and ms, s, min, h, d, w or business day, such as 15min. A row that the
        file lacks by this distance counts as missing. When left out, the rows of the file follow each other."""
        missing: Missing = "refuse"
        """Treatment of missing cells and rows: refuse: an error; previous: the number before; interpolate: a straight
        line between the numbers before and after, which uses a value from after the gap."""
        window: zoo.Size = 20
        """Rows of a sequence."""
        horizon: Annotated[int, Field(ge=0)] = 1
        """Number of rows after the window to forecast; 0 to predict the targets of the window's last row."""
        train: Rows = 0.7
        """Rows for training, from the beginning: a count, or a share of all rows."""
        validation: Rows = 0.15
        """Rows for validation, after the training rows: a count, or a share of all rows."""
        test: Rows = 0.15
        """Rows for testing, after the validation rows: a count, or a share of all rows. The rest is not used."""
        input_scaling: Scaling = "standard"
        """Scale of each input column, from the training rows: standard: mean 0 and standard deviation 1; min_max: from
        0 to 1; none: unscaled."""
        target_scaling: Scaling = "standard"
        """Scale of each target column, like input_scaling."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Csv.Config)
        named = (*(config.inputs or ()), *(config.targets or ()))
        table = prices(config.date) if config.file is None else read_series(Path(config.file), config.date, named)
        targets = _targets(config, table)
        target_columns = table.chosen(targets, "targets")
        inputs = _inputs(config, table, targets)
        columns = [*table.chosen(inputs, "inputs"), *target_columns]
        step = None if config.every is None else parse_step(config.every)
        values = without_gaps(table, columns, step, config.missing)
        parts = _parts(config, len(values), table.source)
        zoo.require_memory(
            len(parts[0]) * config.horizon * len(targets) * 16,  # windows are views, but baselines copy the targets
            "the targets of all windows",
            {"data.horizon": config.horizon, "data.train": len(parts[0])},
        )
        x, y = values[:, : len(inputs)], values[:, len(inputs) :]
        training = slice(len(parts[0]))
        x_scale = _scale(x[training], config.input_scaling)
        y_scale = _scale(y[training], config.target_scaling)
        before = np.concatenate([y[training].mean(0, keepdims=True), y[:-1]])  # the targets of the row before each row
        rows = _narrow(x), _narrow(y), _narrow(before)
        train, validation, test = (_windows(*rows, part, config.window, config.horizon) for part in parts)
        return zoo.Dataset(
            train=train,
            validation=validation,
            test=test,
            signature=zoo.Signature(
                features=len(inputs),
                window=config.window,
                columns=inputs,
                input_scale=x_scale,
                targets=targets,
                target_scale=y_scale,
                horizon=config.horizon,
                ordered=True,
            ),
            description=_description(config, table, parts),
        )


def _targets(config: Csv.Config, table: Series) -> tuple[str, ...]:
    if config.targets is not None:
        return config.targets
    if config.file is None:
        return ("close",)
    names = ", ".join(map(repr, table.numeric[:12]))
    raise zoo.DataError(f"data.targets: is required with data.file; name columns of {table.source} such as {names}")


def _inputs(config: Csv.Config, table: Series, targets: Sequence[str]) -> tuple[str, ...]:
    excluded = () if config.horizon else targets
    inputs = config.inputs or tuple(name for name in table.numeric if name not in excluded)
    for name in excluded:
        if name in inputs:
            raise zoo.DataError(
                f"data.inputs: {name!r} is also a target, and with a horizon of 0 the window contains it; remove it"
            )
    if not inputs:
        raise zoo.DataError(f"{table.source}: has no column of numbers besides the targets; add one to predict from")
    return inputs


def _parts(config: Csv.Config, rows: int, source: str) -> list[range]:
    """Return the rows of each part.

    Raises:
        DataError: the parts exceed the rows, or a part has too few rows for one window.
    """
    sizes = {"train": config.train, "validation": config.validation, "test": config.test}
    ends = [0]
    end = 0.0
    for size in sizes.values():
        # Ends are rounded rather than sizes, so that shares that add up to 1 leave no row out. The margin of 1e-9 rows
        # is far above the rounding error of the sum.
        end += size if isinstance(size, int) else size * rows
        ends.append(int(end + 1e-9))
    lengths = {name: stop - start for name, (start, stop) in zip(sizes, pairwise(ends), strict=True)}
    counts = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
    if ends[-1] > rows:
        raise zoo.DataError(f"data.train: the parts exceed the {rows:,} rows of {source}: {counts}; lower one of them")
    least = max(1, config.horizon)
    if lengths["train"] < config.window + config.horizon or min(lengths.values()) < least:
        raise zoo.DataError(
            f"data.window: too few of the {rows:,} rows of {source} for a window in each part: {counts}, "
            f"expected at least {config.window + config.horizon:,} for train (window {config.window:,}, horizon "
            f"{config.horizon:,}) and {least:,} for each other part; lower data.window or data.horizon"
        )
    return [range(*part) for part in pairwise(ends)]


def _scale(values: NDArray[np.float64], scaling: Scaling) -> zoo.Scale | None:
    """Return the scale of values (rows, columns), by column; a constant column becomes 0 and has a factor of 1."""
    if scaling == "none":
        return None
    low, high = values.min(0), values.max(0)
    offset, factor = (values.mean(0), values.std(0)) if scaling == "standard" else (low, high - low)
    # The model keeps scales as float32, in which the factor of a nearly constant column may be 0.
    constant = (low == high) | (factor.astype(np.float32) == 0)
    return zoo.Scale(
        tuple(np.where(low == high, low, offset).tolist()), tuple(np.where(constant, 1.0, factor).tolist())
    )


def _narrow(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32, order="C"))


def _windows(x: Tensor, y: Tensor, before: Tensor, part: range, window: int, horizon: int) -> zoo.Split:
    """Return every window whose target rows lie in ``part``, as views of the rows.

    Args:
        x: (rows, features).
        y: (rows, targets).
        before: (rows, targets): for each row the targets of the row before.
        part: the rows of the part.
        window: rows of a window.
        horizon: target rows after the window; 0 for the window's last row.
    """
    ahead = min(1, horizon)  # rows from the last of a window to its first target
    first = max(part.start - ahead, window - 1)  # last row of the first window
    last = part.stop - max(1, horizon) - ahead  # last row of the last window
    target_rows = slice(first + ahead, last + ahead + 1)  # first target row of each window
    sequences = x.unfold(0, window, 1).transpose(1, 2)[first - window + 1 : last - window + 2]
    if not horizon:
        return zoo.Split(sequences, y[target_rows], naive=before[target_rows])
    future = y.unfold(0, horizon, 1).transpose(1, 2)[target_rows]
    return zoo.Split(sequences, future, naive=before[target_rows].unsqueeze(1).expand(-1, horizon, -1))


def _description(config: Csv.Config, table: Series, parts: Sequence[range]) -> str:
    own = "Daily prices of Google's shares (matplotlib's sample data)"
    name = own if config.file is None else Path(config.file).name
    ends = [] if table.dates is None else [str(date.item()).removesuffix(" 00:00:00") for date in table.dates[[0, -1]]]
    when = f" from {ends[0]} to {ends[1]}" if ends else ""
    filling = {"refuse": "", "previous": " Gaps hold the number before.", "interpolate": " Gaps are interpolated."}
    train, validation, test = map(len, parts)
    target_rows = f"the rows after it (horizon {config.horizon:,})" if config.horizon else "its last row"
    return (
        f"{name}{when}, in the order of time: {train:,} rows for training, {validation:,} for validation, {test:,} for "
        f"testing.{filling[config.missing]} Each sequence is a window of {config.window:,} rows; its targets are those "
        f"of {target_rows}."
    )


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Csv` as the data source ``csv``."""
    return [Csv]
