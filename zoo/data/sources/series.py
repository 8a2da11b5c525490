"""The data source ``series``: windows over one or many time series from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field

import zoo
from zoo.data.caching.rule import CacheRule, is_cached
from zoo.data.caching.space import MEMORY, Space
from zoo.data.caching.stored_table import stored_table
from zoo.data.preparation.columns import Columns
from zoo.data.preparation.features import features, newest_targets, past_steps, target_values
from zoo.data.preparation.fit import fit_features, is_category, require_resolution
from zoo.data.preparation.form import Feature, Missing, TableForm
from zoo.data.preparation.parts import Divided, Division, divide_series
from zoo.data.preparation.scales import Scaling, feature_scale, scale
from zoo.data.preparation.series import find_series
from zoo.data.preparation.summary import Summary, describe
from zoo.data.preparation.timeline import parse_step
from zoo.data.sources.example_series import EXAMPLES
from zoo.data.sources.prepared import Prepared, cached, joined, narrowed
from zoo.data.sources.windows import Rows

__all__ = ["Series", "zoo_register_data"]


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


Size = Annotated[Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0, lt=1)], BeforeValidator(_count_or_share)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class Series(zoo.DataSource):
    """Windows over the rows of a table: one time series, or with ``group`` many; without a file, an example.

    The target rows of a window belong to one part only, and a window lies in one series. The windows of the training
    part lie in it entirely; those of the other parts may begin in the rows of the part before, which are known when the
    model has to predict.

    ``naive`` is persistence: the last known value of each target. For a forecast it is that of the window's last row;
    with a horizon of 0 it is that of the row before, and the mean over the training rows where there is no row before.
    """

    name = "series"

    class Config(zoo.TableConfig):
        file: str | None = None
        """A table: CSV, TSV, Parquet, Arrow or JSON lines, rows in the order of time; relative to the current folder.
        When left out, the example."""
        example: Literal["prices", "stores"] = "prices"
        """Data to use without a file: prices: the daily prices of Google's shares from 2004 to 2008 that come with
        matplotlib; stores: generated daily sales of 12 stores, for group: store."""
        inputs: Names | None = None
        """Names of the columns that are the features of a step: numbers, or texts and booleans as categories. When left
        out, every column of numbers; with a horizon of 0 without the targets, which the model would otherwise only
        copy."""
        targets: Names | None = None
        """Names of the columns to predict. Required with a file; 'close' or 'sales' in the examples."""
        known: tuple[str, ...] = ()
        """Columns that are known for the whole horizon when the model predicts, such as holidays: they are features of
        the past and of the future. Requires a window of at least the horizon."""
        categories: tuple[str, ...] = ()
        """Columns whose cells are names, even where they are numbers. They are features, beside the inputs when these
        are left out."""
        group: str | None = None
        """Column that names the series of each row, for many in one file. When left out, the file is one series."""
        group_feature: bool = False
        """Whether the name of the series is a feature, a category. A series that is not in the training part is an
        unknown one."""
        per: Literal["all", "group"] = "all"
        """Whether scales are those of all series together or of each series, kept in the model by the name of the
        series, which then is a feature; an unknown series has those of all together."""
        split: Literal["time", "groups"] = "time"
        """Parts: time: each series is divided in time; groups: whole series, in a fixed random order."""
        date: str | None = None
        """Name of the column of dates; empty for none. When left out, a column with the name date, time, timestamp or
        datetime."""
        sort: bool = False
        """Whether to sort the rows of each series by date. When left out, rows in another order are an error."""
        every: Annotated[str, AfterValidator(_checked_step)] | None = None
        """Regular distance of the rows: a count and ms, s, min, h, d, w or business day, such as 15min. A row that the
        file lacks by this distance counts as missing. When left out, the rows of the file follow each other."""
        missing: Missing = "refuse"
        """Treatment of missing cells and rows: refuse: an error; previous: the value before; interpolate: a straight
        line between the numbers before and after, which uses a value from after the gap; mask: the number before, and a
        further feature that is 1 there; windows whose targets are missing are then left out."""
        window: zoo.Size = 20
        """Rows of a sequence."""
        horizon: Annotated[int, Field(ge=0)] = 1
        """Number of rows after the window to forecast; 0 to predict the targets of the window's last row."""
        season: zoo.Size | None = None
        """Rows of a season, such as 7 for days of the week: the values of the last season become a further baseline."""
        train: Size = 0.7
        """Rows of each series for training, from the beginning, or series: a count, or a share of all."""
        validation: Size = 0.15
        """Rows for validation, after the training rows, or series: a count, or a share of all."""
        test: Size = 0.15
        """Rows for testing, after the validation rows, or series: a count, or a share of all. The rest is not used."""
        input_scaling: Scaling = "standard"
        """Scale of each input column, from the training rows: standard: mean 0 and standard deviation 1; min_max: from
        0 to 1; none: unscaled. Categories are not scaled."""
        target_scaling: Scaling = "standard"
        """Scale of each target column, like input_scaling."""
        cache: CacheRule = "auto"
        """Whether the prepared rows are kept in a cache and mapped into memory, for files beyond it: auto: where
        reading the file would take more than half of the memory; true; false."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Series.Config)
        if config.file is None or not is_cached(config.cache, Path(config.file)):
            return self._prepared(config, MEMORY).dataset()
        return cached(Path(config.file), config, lambda space: self._prepared(config, space))

    def _prepared(self, config: Config, space: Space) -> Prepared:
        """Return the rows of a table and what describes them, whose arrays are made in a space."""
        make, target, _ = EXAMPLES[config.example]
        if config.file is None:
            table = make()
        elif space.folder is None:
            table = zoo.read_table(Path(config.file), config.dialect())
        else:
            table = stored_table(Path(config.file), config.dialect(), space.scratch)
        columns = Columns(table, space)
        roles = _roles(config, columns, (target,) if config.file is None else None)
        draft = TableForm(
            features=tuple(Feature(name, ahead=config.horizon) for name in config.known),
            targets=roles.targets,
            horizon=config.horizon,
            window=config.window,
            season=config.season,
            group=config.group,
            date=roles.date,
            sort=config.sort,
            every=config.every,
            missing=config.missing,
            dialect=config.dialect(),
            dates=config.date_form(),
        )
        series = find_series(table, draft)
        for name in (*roles.targets, *(name for name in roles.inputs if name not in roles.categories)):
            columns.numbers(name, "targets" if name in roles.targets else "inputs")
        past = [past_steps(columns, each, draft) for each in series]
        sizes = (config.train, config.validation, config.test)
        divided = divide_series(series, past, Division(sizes, config.window, config.horizon, config.split))
        zoo.require_memory(
            _size(config, roles, divided, stored=space.folder is not None),
            "the windows with their targets",
            {"data.horizon": config.horizon, "data.train": max(len(each.parts[0]) for each in divided)},
        )
        form = replace(draft, features=_features(config, columns, roles, divided))
        return _prepare(config, columns, form, divided, Summary(series, past, divided, roles.left_out))


@dataclass(frozen=True)
class _Roles:
    """What the columns of a table are for."""

    date: str | None
    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    """Columns of the features, the group not among them."""
    categories: tuple[str, ...]
    """Those of the inputs that are categories."""
    left_out: dict[str, str]
    """The other columns, each with the reason."""


def _roles(config: Series.Config, columns: Columns, default: tuple[str, ...] | None) -> _Roles:
    table = columns.table
    named = (*(config.inputs or ()), *(config.targets or ()), *config.known, *config.categories)
    if config.date is None:
        # Without the zone: in which of two equal hours a local time is depends on the order within its series.
        date = zoo.date_column(table, replace(config.date_form(), zone=None), named)
    elif date := config.date or None:
        table.require(date, "date")
    if config.group is not None:
        table.require(config.group, "group")
    for field in ("group_feature", "per", "split"):
        if config.group is None and getattr(config, field) not in (False, "all", "time"):
            raise zoo.DataError(f"data.{field}: needs the name of each row's series; set data.group")
    kinds = {name: columns.kind(name) for name in table.names if name and name not in (date, config.group)}
    numeric = tuple(name for name, kind in kinds.items() if kind == "number")
    targets = config.targets or default
    if targets is None:
        names = ", ".join(map(repr, numeric[:12]))
        raise zoo.DataError(f"data.targets: is required with data.file; name columns of {table.source} such as {names}")
    _check_names(config, columns, targets, date)
    excluded = () if config.horizon else targets
    declared = (*config.categories, *config.known)
    inputs = config.inputs or tuple(
        name for name in kinds if name not in excluded and (name in numeric or name in declared)
    )
    inputs = tuple(dict.fromkeys((*inputs, *declared)))
    for name in excluded:
        if name in inputs:
            raise zoo.DataError(
                f"data.inputs: {name!r} is also a target, and with a horizon of 0 the window contains it; remove it"
            )
    if not inputs:
        raise zoo.DataError(f"{table.source}: has no column of numbers besides the targets; add one to predict from")
    used = {*inputs, *targets}
    reasons = {"number": "not in data.inputs", "date": "dates"}
    left_out = {name: reasons.get(kind, kind) for name, kind in kinds.items() if name not in used}
    categories = tuple(name for name in inputs if is_category(columns, name, config.categories))
    return _Roles(date, targets, inputs, categories, left_out)


def _check_names(config: Series.Config, columns: Columns, targets: Sequence[str], date: str | None) -> None:
    """Raise a `DataError` for a column that a field names wrongly, twice, or for two purposes that do not agree."""
    table = columns.table
    fields = {"targets": targets, "inputs": config.inputs or (), "categories": config.categories, "known": config.known}
    for field, names in fields.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                raise zoo.DataError(f"data.{field}: names the column {name!r} twice; remove one of them")
            if name == date and (field != "inputs" or columns.kind(name) != "number"):
                raise zoo.DataError(f"data.{field}: {name!r} is the column of dates; name columns of numbers")
            if name == config.group:
                raise zoo.DataError(
                    f"data.{field}: {name!r} is the column of data.group; to make it a feature set data.group_feature"
                )
            table.require(name, field)
            if field in ("categories", "known") and name in targets:
                raise zoo.DataError(f"data.{field}: {name!r} is a target, a number that is not known ahead; remove it")
    if config.known and not config.horizon:
        raise zoo.DataError(
            "data.known: needs rows to forecast, and data.horizon is 0; name the columns in data.inputs"
        )
    if config.known and config.window < config.horizon:
        raise zoo.DataError(
            f"data.known: the window of {config.window:,} rows cannot hold what is known of {config.horizon:,} rows; "
            "set data.window to at least data.horizon"
        )


def _size(config: Series.Config, roles: _Roles, divided: Sequence[Divided], *, stored: bool) -> int:
    """Return the bytes of the windows, at least: of one series they are views, but baselines copy the targets."""
    targets = sum(len(each.parts[0]) for each in divided) * config.horizon * len(roles.targets) * 16
    if len(divided) == 1 or stored:
        return targets
    return targets + sum(len(part) for each in divided for part in each.parts) * config.window * len(roles.inputs) * 4


def _features(
    config: Series.Config, columns: Columns, roles: _Roles, divided: Sequence[Divided]
) -> tuple[Feature, ...]:
    training = [(each.series, each.parts[0]) for each in divided if each.parts[0]]
    own = fit_features(columns, training, roles.inputs, roles.categories, config.missing, config.categories)
    ahead = tuple(
        replace(feature, ahead=config.horizon)
        for feature in own
        if feature.column in config.known and feature.kind != "missing"
    )
    if not (config.group_feature or config.per == "group"):
        return (*own, *ahead)
    names = zoo.sorted_labels({each.series.name for each in divided if each.parts[0]})
    assert config.group is not None
    return (*own, *ahead, Feature(config.group, "category", names))


def _prepare(
    config: Series.Config, columns: Columns, form: TableForm, divided: Sequence[Divided], summary: Summary
) -> Prepared:
    """Return the rows of all series with their signature."""
    space = columns.space
    x = [features(columns, each.series, form, each.past) for each in divided]
    y = [target_values(columns, each.series, form, each.past) for each in divided]
    filled = (
        y if form.missing != "mask" else [newest_targets(columns, each.series, form, each.past) for each in divided]
    )
    trained = [number for number, each in enumerate(divided) if each.parts[0]]
    x_train = [x[number][_slice(divided[number].parts[0])] for number in trained]
    y_train = [_present(y[number][_slice(divided[number].parts[0])]) for number in trained]
    x_scale, y_scale = _scales(config, form, joined(x_train, space), joined(y_train), summary)
    mean = joined(y_train).mean(0, keepdims=True)
    before = [np.concatenate([mean, each[:-1]]) for each in filled]
    starts = tuple(np.cumsum([0, *(len(each) for each in x[:-1])]).tolist())
    signature = zoo.Signature(
        features=len(form.features),
        window=form.window,
        columns=form.names,
        categories=form.categories,
        input_scale=x_scale,
        targets=form.targets,
        target_scale=y_scale,
        horizon=form.horizon,
        ordered=len(divided) == 1,
        form=form,
    )
    if config.per == "group":
        signature = _with_group_scales(
            config, signature, form, [divided[number] for number in trained], x_train, y_train
        )
    whole = [narrowed(joined(part, space), space, name) for name, part in (("x", x), ("y", y), ("before", before))]
    own = EXAMPLES[config.example][2] if config.file is None else Path(config.file).name
    return Prepared(
        Rows(whole[0], whole[1], whole[2], starts, form.window, form.horizon, form.season),
        tuple(tuple(each.parts[number] for each in divided) for number in range(3)),
        signature,
        describe(own, columns, form, summary, config.split),
        columns.table.source,
    )


def _scales(
    config: Series.Config, form: TableForm, x: NDArray[np.float64], y: NDArray[np.float64], summary: Summary
) -> tuple[zoo.Scale | None, zoo.Scale | None]:
    source = summary.series[0].table.source
    if not len(y):
        raise zoo.DataError(f"data.train: no training row of {source} has its targets; fill them in")
    for number, name in enumerate(form.targets):
        require_resolution(y[:, number], name, source)
    return feature_scale(form.features, x, config.input_scaling), scale(list(y.T), config.target_scaling)


def _with_group_scales(
    config: Series.Config,
    signature: zoo.Signature,
    form: TableForm,
    trained: Sequence[Divided],
    x_train: Sequence[NDArray[np.float64]],
    y_train: Sequence[NDArray[np.float64]],
) -> zoo.Signature:
    """Return the signature with a scale for each series of the training part, in the order of the ids."""
    group = len(form.features) - 1
    places = {each.series.name: number for number, each in enumerate(trained)}
    order = [places[name] for name in form.features[group].categories]
    inputs = [feature_scale(form.features, x_train[place], config.input_scaling) for place in order]
    pooled = joined(y_train)
    targets = [
        scale(list((y_train[place] if len(y_train[place]) else pooled).T), config.target_scaling) for place in order
    ]
    input_scales = tuple(each for each in inputs if each is not None)
    target_scales = tuple(each for each in targets if each is not None)
    scaled = bool(input_scales or target_scales)
    return replace(signature, group=group if scaled else None, input_scales=input_scales, target_scales=target_scales)


def _slice(part: range) -> slice:
    return slice(part.start, part.stop)


def _present(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows whose targets are all present."""
    absent = np.isnan(y).any(1)
    return y[~absent] if absent.any() else y


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Series` as the data source ``series``."""
    return [Series]
