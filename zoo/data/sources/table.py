"""The data source ``csv``: a time series from a table, cut into windows."""

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
from zoo.data.sources.table_file import Table, prices, read_table
from zoo.data.sources.timeline import parse_step

__all__ = ["Csv", "zoo_register_data"]


def _count_or_share(value: object) -> object:
    """One message for what pydantic would complain of twice."""
    if not isinstance(value, bool) and (
        (isinstance(value, int) and value > 0) or (isinstance(value, float) and 0 < value < 1)
    ):
        return value
    raise ValueError("must be a count of rows such as 200, or a share of them such as 0.7")


def _step(text: str) -> str:
    parse_step(text)
    return text


Rows = Annotated[Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0, lt=1)], BeforeValidator(_count_or_share)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Scaling = Literal["standard", "min_max", "none"]


class Csv(zoo.DataSource):
    """Windows over the rows of a CSV file whose first line names the columns; without a file, daily share prices.

    A window's targets stand in one part of the rows only. The windows of the training part lie in it entirely; those of
    the other parts may begin in the rows before, which are known by then.

    ``naive`` is persistence: each target as it last was known, at the window's last row for a forecast and at the row
    before it for a target of that row itself. The very first row of all has none before it; there it is the mean over
    the training rows.
    """

    name = "csv"

    class Config(zoo.Config):
        file: str | None = None
        """A CSV file in UTF-8, rows in the order of time; relative to where zoo is run. When left out, the daily prices
        of Google's shares from 2004 to 2008 that come with matplotlib."""
        inputs: Names | None = None
        """Names of the columns that a step consists of. When left out, every column of numbers; with a horizon of 0 the
        targets are not among them, since the answer would stand in the question."""
        targets: Names | None = None
        """Names of the columns to tell. Required with a file; 'close' without."""
        date: str | None = None
        """The column with the dates, such as 2020-12-31 or 2020-12-31 13:00. When left out, one that is called date,
        time, timestamp or datetime and begins with such a date."""
        every: Annotated[str, AfterValidator(_step)] | None = None
        """How far apart the rows ought to be: a count and ms, s, min, h, d, w or business day, such as 15min. A row
        that is missing by it counts as missing; when left out, rows follow each other as they stand."""
        missing: Missing = "refuse"
        """What becomes of missing cells and rows: an error, the number before, or a straight line between the numbers
        before and after, which looks ahead by as long as the gap."""
        window: zoo.Size = 20
        """Rows in a sequence."""
        horizon: Annotated[int, Field(ge=0)] = 1
        """Rows to tell after the window; 0 to tell the targets of the window's last row."""
        train: Rows = 0.7
        """Rows for training, the first ones: a count, or a share of all."""
        validation: Rows = 0.15
        """Rows for validation, after those for training."""
        test: Rows = 0.15
        """Rows for testing, after those for validation. What is left is not used."""
        input_scaling: Scaling = "standard"
        """Each input column less its mean over its deviation, or from 0 to 1; both taken from the training rows."""
        target_scaling: Scaling = "standard"
        """The same for the targets."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Csv.Config)
        table = prices(config.date) if config.file is None else read_table(Path(config.file), config.date)
        targets = _targets(config, table)
        told = table.chosen(targets, "targets")
        inputs = _inputs(config, table, targets)
        columns = [*table.chosen(inputs, "inputs"), *told]
        step = None if config.every is None else parse_step(config.every)
        values = without_gaps(table, columns, step, config.missing)
        parts = _parts(config, len(values), table.source)
        zoo.require_memory(
            len(parts[0]) * config.horizon * len(targets) * 16,  # windows are views, but naive predictors copy targets
            "the targets of all windows",
            {"data.horizon": config.horizon, "data.train": len(parts[0])},
        )
        x, y = values[:, : len(inputs)], values[:, len(inputs) :]
        x_scale = _scale(x[parts[0].start : parts[0].stop], config.input_scaling)
        y_scale = _scale(y[parts[0].start : parts[0].stop], config.target_scaling)
        mean = y[parts[0].start : parts[0].stop].mean(0, keepdims=True)
        before = np.concatenate([mean, y[:-1]])  # what was known of each row's targets before that row
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


def _targets(config: Csv.Config, table: Table) -> tuple[str, ...]:
    if config.targets is not None:
        return config.targets
    if config.file is None:
        return ("close",)
    names = ", ".join(map(repr, table.numeric[:12]))
    raise zoo.DataError(f"data.targets: is required with a file; {table.source} has columns of numbers: {names}")


def _inputs(config: Csv.Config, table: Table, targets: Sequence[str]) -> tuple[str, ...]:
    hidden = () if config.horizon else targets
    inputs = config.inputs or tuple(name for name in table.numeric if name not in hidden)
    for name in hidden:
        if name in inputs:
            raise zoo.DataError(
                f"data.inputs: {name!r} is also a target, and with a horizon of 0 it stands in the window; remove it"
            )
    if not inputs:
        raise zoo.DataError(f"{table.source}: has no column of numbers besides the targets, expected one to tell from")
    return inputs


def _parts(config: Csv.Config, rows: int, source: str) -> list[range]:
    """The rows of each part.

    Raises:
        DataError: where they are more than there are, or a part has too few for a single window.
    """
    sizes = {"train": config.train, "validation": config.validation, "test": config.test}
    ends = [0]
    end = 0.0
    for size in sizes.values():
        # Ends are rounded rather than sizes, so that shares of 1 in all leave no row out. What floating-point addition
        # loses is far below the 1e-9 of a row that decides.
        end += size if isinstance(size, int) else size * rows
        ends.append(int(end + 1e-9))
    lengths = {name: stop - start for name, (start, stop) in zip(sizes, pairwise(ends), strict=True)}
    counts = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
    if ends[-1] > rows:
        raise zoo.DataError(f"data.train: the parts are more than the {rows:,} rows of {source}: {counts}; lessen them")
    least = max(1, config.horizon)
    if lengths["train"] < config.window + config.horizon or min(lengths.values()) < least:
        raise zoo.DataError(
            f"data.window: too few of the {rows:,} rows of {source} for a window in each part: {counts}; needed are "
            f"{config.window + config.horizon:,} for train (window {config.window:,}, horizon {config.horizon:,}) and "
            f"{least:,} for each other part"
        )
    return [range(*part) for part in pairwise(ends)]


def _scale(values: NDArray[np.float64], scaling: Scaling) -> zoo.Scale | None:
    """The scale of each column of values (rows, columns); a constant column is moved to 0 and not stretched."""
    if scaling == "none":
        return None
    low, high = values.min(0), values.max(0)
    offset, factor = (values.mean(0), values.std(0)) if scaling == "standard" else (low, high - low)
    # The model holds scales as float32, where what is nearly constant may be constant.
    constant = (low == high) | (factor.astype(np.float32) == 0)
    return zoo.Scale(
        tuple(np.where(low == high, low, offset).tolist()), tuple(np.where(constant, 1.0, factor).tolist())
    )


def _narrow(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32, order="C"))


def _windows(x: Tensor, y: Tensor, before: Tensor, part: range, window: int, horizon: int) -> zoo.Split:
    """Every window whose targets lie in ``part``, as views of the rows.

    Args:
        x: (rows, features)
        y: (rows, targets)
        before: (rows, targets), for each row the targets of the one before it
    """
    told = max(1, horizon)
    ahead = min(1, horizon)  # from a window's last row to the first that is told
    first = max(part.start - ahead, window - 1)
    last = part.stop - told - ahead
    answers = slice(first + ahead, last + ahead + 1)
    sequences = x.unfold(0, window, 1).transpose(1, 2)[first - window + 1 : last - window + 2]
    if not horizon:
        return zoo.Split(sequences, y[answers], naive=before[answers])
    future = y.unfold(0, horizon, 1).transpose(1, 2)[answers]
    return zoo.Split(sequences, future, naive=before[answers].unsqueeze(1).expand(-1, horizon, -1))


def _description(config: Csv.Config, table: Table, parts: Sequence[range]) -> str:
    own = "Daily prices of Google's shares (matplotlib's sample data)"
    ends = [] if table.dates is None else [str(date.item()).removesuffix(" 00:00:00") for date in table.dates[[0, -1]]]
    when = f" from {ends[0]} to {ends[1]}" if ends else ""
    filling = {"refuse": "", "previous": " Gaps hold the number before.", "interpolate": " Gaps hold straight lines."}
    train, validation, test = map(len, parts)
    told = "its own last row" if config.horizon == 0 else f"the next {config.horizon}"
    return (
        f"{own if config.file is None else Path(config.file).name}{when}, in the order of time: {train:,} rows for "
        f"training, {validation:,} for validation, {test:,} for testing.{filling[config.missing]} Each sequence is a "
        f"window of {config.window:,} rows; told are the targets of {told}."
    )


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    return [Csv]
