"""Cells as dates: ISO, day or month first, names of months, epochs, offsets and local times of a zone."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from zoo.data.tables.date_form import DateForm
from zoo.data.tables.zones import local_to_utc
from zoo.errors import DataError

if TYPE_CHECKING:
    import polars as pl

ADVICE = "give one such as 2020-12-31 or 2020-12-31 13:00:00, or set data.date_format"

_EPOCHS = {"s": (1e8, 1e10, 10**6), "ms": (1e11, 1e13, 1000), "us": (1e14, 1e16, 1), "ns": (1e17, 1e19, 0)}
"""For each unit the numbers that stand for dates from 1973 to 2286, and its microseconds; 0: nanoseconds."""
_SECOND = 10**6
_BLOCK = 2**20
"""Cells that are split into their parts at a time."""
_WHOLE = (
    r"^(?P<date>.*?)"
    r"(?:[T ,]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)? ?(?P<offset>Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
_WEEKDAY = r"^(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+"
_FORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"^\d{4}-\d{1,2}-\d{1,2}$", ("%Y-%m-%d",)),
    (r"^\d{4}-\d{1,2}$", ("%Y-%m",)),
    (r"^\d{8}$", ("%Y%m%d",)),
    (r"^\d{1,2}-\d{1,2}-\d{4}$", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"^\d{1,2}-\d{1,2}-\d{2}$", ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d")),
    (r"^\d{1,2} [A-Za-z]+ \d{4}$", ("%d %B %Y",)),
    (r"^[A-Za-z]+ \d{1,2} \d{4}$", ("%B %d %Y",)),
    (r"^\d{4} [A-Za-z]+ \d{1,2}$", ("%Y %B %d",)),
    (r"^[A-Za-z]+ \d{4}$", ("%B %Y",)),
    (r"^\d{1,2} [A-Za-z]+ \d{2}$", ("%d %B %y", "%y %B %d")),
)
"""Date parts, with their separators made equal, and the forms that they may have."""


_ISO = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]$"


class CellFault(Exception):  # noqa: N818  (becomes a DataError with the place of the cell)
    """A cell is no date or has no certain meaning; ``row`` counts from 0, the text follows the cell in the message."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


def read_dates(cells: pl.Series, form: DateForm) -> pl.Series:
    """Return cells as datetimes in microseconds, in UTC where they have an offset or a zone is stated.

    Args:
        cells: texts without surrounding white space, numbers, dates or datetimes; none is null.
        form: how they are written.

    Raises:
        CellFault: a cell is no date, has two meanings, or does not exist in the zone.
        DataError: there is no such zone.
    """
    import polars as pl

    if cells.dtype == pl.Date:
        moments, zoned = cells.cast(pl.Datetime("us")), None
    elif isinstance(cells.dtype, pl.Datetime):
        zoned = None if cells.dtype.time_zone is None else pl.repeat(True, len(cells), eager=True)
        moments = cells.dt.replace_time_zone(None) if zoned is None else cells.dt.convert_time_zone("UTC")
        moments = moments.dt.replace_time_zone(None).dt.cast_time_unit("us")
    elif form.format in _EPOCHS or (form.format is None and _is_epoch(cells)):
        return _of_epoch(cells, form.format)
    else:
        moments, zoned = _of_texts(cells.cast(pl.String), form.format)
    if zoned is not None and zoned.any():
        if not zoned.all():
            own, first = ("no time zone", "has one") if zoned[0] else ("a time zone", "has none")
            _refuse(zoned != zoned[0], f"has {own}, and the first date {first}; use one form")
        return moments
    if form.zone is None:
        return moments
    if form.zone not in available_timezones():
        close = get_close_matches(form.zone, available_timezones(), 1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        raise DataError(f"data.zone: {form.zone!r} is no time zone{guess}; give one such as Europe/Berlin")
    return local_to_utc(moments, form.zone, CellFault)


def _is_epoch(cells: pl.Series) -> bool:
    """Return whether the first cell is a number in the range of some epoch."""
    import polars as pl

    first = cells.head(1).cast(pl.Float64, strict=False).item() if len(cells) else None
    return first is not None and any(low <= first < high for low, high, _ in _EPOCHS.values())


def _of_epoch(cells: pl.Series, unit: str | None) -> pl.Series:
    import polars as pl

    values = cells.cast(pl.Float64, strict=False)
    if unit is None:
        unit, (low, high, _) = next(item for item in _EPOCHS.items() if item[1][0] <= values[0] < item[1][1])
        outside = ~((values >= low) & (values < high)).fill_null(False)
        _refuse(
            outside, f"is not a date in {unit} since 1970, as the first cell is; correct it or set data.date_format"
        )
    _refuse(~values.is_finite().fill_null(False), f"is not a number of {unit} since 1970; correct it")
    whole = cells.cast(pl.Int64, strict=False)  # exact where float64 is not
    factor = _EPOCHS[unit][2]
    if not factor:
        micro = whole.fill_null(values.cast(pl.Int64, strict=False)) // 1000
    else:
        micro = (whole * factor).fill_null((values * factor).round().cast(pl.Int64, strict=False))
    _refuse(micro.is_null(), f"is too large for a date in {unit} since 1970; correct it")
    return micro.cast(pl.Datetime("us"))


def _of_texts(cells: pl.Series, stated: str | None) -> tuple[pl.Series, pl.Series | None]:
    """Return the dates of texts, and which of them have an offset (those are in UTC); None for none."""
    import polars as pl

    if stated is not None:
        try:
            moments = _parsed(cells, stated.replace(".%f", "%.f").replace("%f", "%6f"))
        except pl.exceptions.PolarsError:  # a form that chrono has not, such as hours without minutes
            moments = pl.repeat(None, len(cells), dtype=pl.Datetime("us"), eager=True)
        if moments.has_nulls():
            moments = moments.zip_with(moments.is_not_null(), _by_strptime(cells, moments.is_null(), stated))
        _refuse(moments.is_null(), f"is not a date of the form {stated!r}; correct it or data.date_format")
        zoned = pl.repeat("%z" in stated, len(cells), eager=True)
        return moments, zoned
    # The fast way, for most files.
    first = cells[0] if len(cells) else ""
    iso = first[10:11] == "T"
    for length, usual in ((10, "%Y-%m-%d"), (19, "%Y-%m-%d %H:%M:%S")):
        if len(first) == length and first[4] == "-" and not iso:
            moments = _parsed(cells, usual)
            if not moments.has_nulls() and (cells.str.len_bytes() == length).all():
                return moments, None
    if iso and cells.str.contains(_ISO).all():
        moments = _parsed(cells, "%Y-%m-%dT%H:%M:%S")
        if not moments.has_nulls():
            return moments, None
    blocks = [_split(cells[start : start + _BLOCK]) for start in range(0, len(cells), _BLOCK)] or [_split(cells)]
    texts, micro, wrong, zoned = (pl.concat(parts) for parts in zip(*blocks, strict=True))
    moments = _dates_of(texts, cells)
    _refuse(wrong, f"is not a date; {ADVICE}")
    return moments + micro.cast(pl.Duration("us")), zoned


def _split(cells: pl.Series) -> tuple[pl.Series, pl.Series, pl.Series, pl.Series]:
    """Return the date parts of texts, and for each the microseconds in UTC after it, a fault, whether it has an offset.

    Args:
        cells: a block of them, as the parts of a cell take 300 bytes of memory.
    """
    import polars as pl

    parts = cells.str.extract_groups(_WHOLE).struct
    number = {
        name: parts.field(name).cast(pl.Int64, strict=False).fill_null(0) for name in ("hour", "minute", "second")
    }
    hour, half = number["hour"], parts.field("half").str.to_lowercase()
    wrong = (number["minute"] > 59) | (number["second"] > 59) | (hour > 23)
    wrong |= (half.is_not_null() & ((hour < 1) | (hour > 12))).fill_null(False)
    halves = half.replace_strict({"a": 0, "p": 12}, default=None, return_dtype=pl.Int64)
    hour = (hour % 12 + halves).fill_null(hour)
    fraction = parts.field("fraction").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).fill_null(0)
    micro = (hour * 3600 + number["minute"] * 60 + number["second"]) * _SECOND + fraction
    offset = parts.field("offset")
    return parts.field("date").fill_null(""), micro - _offset(offset), wrong, offset.is_not_null()


def _offset(texts: pl.Series) -> pl.Series:
    """Return offsets such as +02:00, Z or null in microseconds."""
    import polars as pl

    digits = texts.str.extract_groups(r"^([+-])(\d{2}):?(\d{2})?$").struct
    sign, hours, minutes = (digits.field(name) for name in digits.fields)
    minutes = hours.cast(pl.Int64).fill_null(0) * 60 + minutes.cast(pl.Int64).fill_null(0)
    return minutes * (1 - 2 * (sign == "-").fill_null(False).cast(pl.Int64)) * 60 * _SECOND


def _dates_of(texts: pl.Series, cells: pl.Series) -> pl.Series:
    """Return the date parts of cells; ``cells`` are whole, for messages."""
    texts = texts.str.replace(_WEEKDAY, "").str.replace_all(r"[./]", "-")
    if len(texts) and any(map(str.isalpha, texts[0])):
        texts = texts.str.replace_all(r"[-, ]+", " ").str.replace(r"(?i)\bsept\b", "Sep").str.strip_chars()
    forms: tuple[str, ...] = ()
    pattern = ""
    for pattern, forms in _FORMS:  # noqa: B007  (the first that fits stays)
        if len(texts) and texts.head(1).str.contains(pattern).item():
            break
    else:
        _refuse(texts.is_not_null(), f"is not a date; {ADVICE}")
    texts = texts.set(~texts.str.contains(pattern), None)
    tried = {form: _parsed(texts, form) for form in forms}
    fewest = min(moments.null_count() for moments in tried.values())
    fitting = {form: moments for form, moments in tried.items() if moments.null_count() == fewest}
    form, moments = next(iter(fitting.items()))
    _refuse(moments.is_null(), f"is not a date; {ADVICE}")
    for other, others in fitting.items():
        if (differs := moments != others).any():
            row = int(differs.arg_max() or 0)
            first, second = (dates[row].date() for dates in (moments, others))
            between = next(character for character in cells[row] if not character.isalnum())
            shown = " or to ".join(repr(name.replace("-", between)) for name in (form, other))
            raise CellFault(
                row, f"may be {first} or {second}, as every cell of the column; set data.date_format to {shown}"
            )
    return moments


def _parsed(texts: pl.Series, form: str) -> pl.Series:
    """Return texts as datetimes by a chrono format, in UTC where it has an offset; null where a text does not fit."""
    import polars as pl

    moments = texts.str.to_datetime(form, strict=False, time_unit="us")
    return moments.dt.replace_time_zone(None) if isinstance(moments.dtype, pl.Datetime) else moments


def _by_strptime(texts: pl.Series, chosen: pl.Series, form: str) -> pl.Series:
    """Return chosen texts as Python reads them, null for the others and from the first that does not fit."""
    import polars as pl

    moments: list[datetime | None] = [None] * len(texts)
    for row in chosen.arg_true():
        try:
            moment = datetime.strptime(texts[row], form)
            moments[row] = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        except (ValueError, OverflowError):
            break
    return pl.Series(moments, dtype=pl.Datetime("us"))


def _refuse(bad: pl.Series, text: str) -> None:
    if bad.any():
        raise CellFault(int(bad.arg_max() or 0), text)
