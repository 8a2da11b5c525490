"""Cells as dates, in every usual form; a form that is not certain is refused with the field to set."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from tests.data.common import error_of
from tests.data.test_tables import table_of
from zoo.data.tables import dates

BERLIN = {"zone": "Europe/Berlin"}

# (cells, fields of DateForm, dates or the beginning of the error after x.csv:)
DATES: dict[str, tuple[list[str], dict[str, str], list[str] | str]] = {
    "ISO": (
        ["2020-01-31", "2020-02-01 13:00", "2020-02-01T13:00:01.5"],
        {},
        ["2020-01-31", "2020-02-01T13:00", "2020-02-01T13:00:01.5"],
    ),
    "ISO with slashes": (["2020/1/31", "2020/2/1"], {}, ["2020-01-31", "2020-02-01"]),
    "ISO with a T": (["2020-01-31T00:00:00", "2020-02-01T13:05:59"], {}, ["2020-01-31", "2020-02-01T13:05:59"]),
    "ISO with a T and without": (["2020-01-31T00:00:01", "2020-02-01"], {}, ["2020-01-31T00:00:01", "2020-02-01"]),
    "day first": (["01.02.2020", "31.12.2020"], {}, ["2020-02-01", "2020-12-31"]),
    "month first": (["1/2/2020 1:05 PM", "12/31/2020 12:00 a.m."], {}, ["2020-01-02T13:05", "2020-12-31"]),
    "short years": (["31/12/99", "01/02/20"], {}, ["1999-12-31", "2020-02-01"]),
    "months": (["2020-01", "2020-02"], {}, ["2020-01-01", "2020-02-01"]),
    "names of months": (["3 Jan 2020", "4 September 2020"], {}, ["2020-01-03", "2020-09-04"]),
    "names of months first": (["Jan 3, 2020 10:30", "Sept 4, 2020"], {}, ["2020-01-03T10:30", "2020-09-04"]),
    "names of days": (["Fri, 3-Jan-2020"], {}, ["2020-01-03"]),
    "digits": (["20200131", "20200201"], {}, ["2020-01-31", "2020-02-01"]),
    "epoch in s": (["1577836800", "1577836800.25"], {}, ["2020-01-01", "2020-01-01T00:00:00.25"]),
    "epoch in ms": (["1577836800123"], {}, ["2020-01-01T00:00:00.123"]),
    "epoch in ns": (["1577836800123456789"], {}, ["2020-01-01T00:00:00.123456"]),
    "epoch stated": (["5", "-1"], {"format": "s"}, ["1970-01-01T00:00:05", "1969-12-31T23:59:59"]),
    "same either way": (["03/03/2020", "4/4/2020"], {}, ["2020-03-03", "2020-04-04"]),
    "form stated": (["03/04/2020"], {"format": "%m/%d/%Y"}, ["2020-03-04"]),
    "fraction stated": (["03.04.2020 10:00:00.5"], {"format": "%d.%m.%Y %H:%M:%S.%f"}, ["2020-04-03T10:00:00.5"]),
    "hours stated": (["2020-04-03 10"], {"format": "%Y-%m-%d %H"}, ["2020-04-03T10:00"]),
    "fraction after a comma": (["3.4.2020 10:00:00,5"], {"format": "%d.%m.%Y %H:%M:%S,%f"}, ["2020-04-03T10:00:00.5"]),
    "years stated": (["2020", "2021"], {"format": "%Y"}, ["2020-01-01", "2021-01-01"]),
    "offsets": (
        ["2020-01-01T00:30+02:00", "2020-01-01 00:30 Z", "2020-01-01T00:30:00-0530"],
        {},
        ["2019-12-31T22:30", "2020-01-01T00:30", "2020-01-01T06:00"],
    ),
    "offset stated": (["1.2.2020 03:00 +0100"], {"format": "%d.%m.%Y %H:%M %z"}, ["2020-02-01T02:00"]),
    "offsets beside a zone": (["2020-07-01T00:00Z"], BERLIN, ["2020-07-01"]),
    "a zone": (["2020-01-01 12:00", "2020-07-01 12:00"], BERLIN, ["2020-01-01T11:00", "2020-07-01T10:00"]),
    "October": (
        ["2020-10-25 02:00", "2020-10-25 02:30", "2020-10-25 02:00", "2020-10-25 02:30", "2020-10-25 03:00"],
        BERLIN,
        ["2020-10-25T00:00", "2020-10-25T00:30", "2020-10-25T01:00", "2020-10-25T01:30", "2020-10-25T02:00"],
    ),
    "October, newest first": (
        ["2020-10-25 03:00", "2020-10-25 02:00", "2020-10-25 02:00", "2020-10-25 01:00"],
        BERLIN,
        ["2020-10-25T02:00", "2020-10-25T01:00", "2020-10-25T00:00", "2020-10-24T23:00"],
    ),
    "two Octobers": (
        ["2020-10-25 02:00", "2020-10-25 02:00", "2021-10-31 02:00", "2021-10-31 02:00"],
        BERLIN,
        ["2020-10-25T00:00", "2020-10-25T01:00", "2021-10-31T00:00", "2021-10-31T01:00"],
    ),
    "October once": (
        ["2020-10-25 01:00", "2020-10-25 02:00", "2020-10-25 03:00"],
        BERLIN,
        "3:1: '2020-10-25 02:00' comes twice in Europe/Berlin, and the order of the rows does not show which",
    ),
    "March": (
        ["2020-03-29 01:00", "2020-03-29 02:30"],
        BERLIN,
        "3:1: '2020-03-29 02:30' does not exist in Europe/Berlin, where clocks are set forward",
    ),
    "day or month": (
        ["03/04/2020", "05/06/2020"],
        {},
        "2:1: '03/04/2020' may be 2020-04-03 or 2020-03-04, as every cell of the column; set data."
        "date_format to '%d/%m/%Y' or to '%m/%d/%Y'",
    ),
    "day or month, with dots": (
        ["03.04.2020"],
        {},
        "2:1: '03.04.2020' may be 2020-04-03 or 2020-03-04, as every cell of the column; set data."
        "date_format to '%d.%m.%Y' or",
    ),
    "day or year": (["11/12/13"], {}, "2:1: '11/12/13' may be 2013-12-11 or 2013-11-12"),
    "both orders": (
        ["13/01/2020", "01/13/2020", "01/14/2020"],
        {},
        "2:1: '13/01/2020' is not a date; give one such as 2020-12-31",
    ),
    "no day of the calendar": (["2020-02-28", "2020-02-30"], {}, "3:1: '2020-02-30' is not a date"),
    "hour 24": (["2020-01-01 24:00"], {}, "2:1: '2020-01-01 24:00' is not a date"),
    "hour 13 in the afternoon": (["2020-01-01 13:00 pm"], {}, "2:1: '2020-01-01 13:00 pm' is not a date"),
    "a word": (
        ["2020-01-01", "soon"],
        {},
        "3:1: 'soon' is not a date; give one such as 2020-12-31 or 2020-12-31 13:00:00, or set data.date_format",
    ),
    "digits of another script": (["2020-01-01T01:00", "2020-01-01T٣:00"], {}, "3:1: '2020-01-01T٣:00' is not a date"),
    "fraction of another script": (["2020-01-01T01:00:00.٣"], {}, "2:1: '2020-01-01T01:00:00.٣' is not a date"),
    "a second too many": (["2016-12-31T23:59:59", "2016-12-31T23:59:60"], {}, "3:1: '2016-12-31T23:59:60' is not a"),
    "a day too many": (["2020-02-29T00:00:00", "2020-02-30T00:00:00"], {}, "3:1: '2020-02-30T00:00:00' is not a date"),
    "words": (["soon"], {}, "2:1: 'soon' is not a date"),
    "small numbers": (["0", "1"], {}, "2:1: '0' is not a date"),
    "an epoch and a number": (
        ["1577836800", "5"],
        {},
        "3:1: '5' is not a date in s since 1970, as the first cell is; correct it or set",
    ),
    "missing": (["2020-01-01", "NA"], {}, "3:1: 'NA' is not a date"),
    "another form": (
        ["2020-01-01"],
        {"format": "%d.%m.%Y"},
        "2:1: '2020-01-01' is not a date of the form '%d.%m.%Y'; correct it or data.date_format",
    ),
    "zones mixed": (
        ["2020-01-01 00:00", "2020-01-02 00:00Z"],
        {},
        "3:1: '2020-01-02 00:00Z' has a time zone, and the first date has none; use one form",
    ),
    "too large": (["1e30"], {"format": "s"}, "2:1: '1e30' is too large for a date in s since 1970"),
}


@pytest.mark.parametrize(("cells", "form", "expected"), DATES.values(), ids=DATES.keys())
def test_dates(cells: list[str], form: dict[str, str], expected: list[str] | str) -> None:
    table = table_of("date;a\n" + "".join(f"{cell};1\n" for cell in cells))
    if isinstance(expected, str):
        assert error_of(lambda: table.dates("date", zoo.DateForm(**form))).startswith(f"x.csv:{expected}")
    else:
        actual = table.dates("date", zoo.DateForm(**form))
        np.testing.assert_array_equal(actual, np.array(expected, "datetime64[us]"), strict=True)


@pytest.mark.parametrize("case", DATES)
def test_dates_are_the_same_by_blocks(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.setattr(dates, "_BLOCK", 1)
    test_dates(*DATES[case])


def test_dates_are_read_once_for_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[zoo.DateForm] = []

    def counting(cells: pl.Series, form: zoo.DateForm) -> pl.Series:
        reads.append(form)
        return dates.read_dates(cells, form)

    monkeypatch.setattr("zoo.data.tables.table.read_dates", counting)
    table, berlin = table_of("date,a\n2020-01-01 01:00,1\n"), zoo.DateForm(**BERLIN)
    for form in (zoo.DateForm(), zoo.DateForm(), berlin, berlin):
        hour = 0 if form == berlin else 1
        np.testing.assert_array_equal(table.dates("date", form), np.array([f"2020-01-01T0{hour}:00"], "datetime64[us]"))
    assert reads == [zoo.DateForm(), berlin]
    with pytest.raises(ValueError, match="read-only"):
        table.dates("date", berlin)[0] = np.datetime64("2000-01-01")


def test_a_zone_that_does_not_exist() -> None:
    message = error_of(lambda: table_of("d,a\n2020-01-01,1\n").dates("d", zoo.DateForm(zone="Europe/Berlim")))
    assert message == (
        "data.zone: 'Europe/Berlim' is no time zone (did you mean 'Europe/Berlin'?); give one such as Europe/Berlin"
    )


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), st.sampled_from(["", "Z", "+05:30", "-11:00"]))
def test_any_iso_date_is_that_of_python(moment: datetime, offset: str) -> None:
    text = moment.isoformat() + offset
    expected = datetime.fromisoformat(text)
    if offset:
        expected = expected.replace(tzinfo=None) - (expected.utcoffset() or datetime.min - datetime.min)
    assert table_of(f"a,b\n{text},1\n").dates("a").tolist() == [expected]


def test_the_column_of_dates() -> None:
    assert zoo.date_column(table_of("x,Timestamp\n1,2020-01-01\n")) == "Timestamp"
    assert zoo.date_column(table_of("day,x\n2020-01-01,1\n")) is None
    assert zoo.date_column(table_of("time,date\n13:00,2020-01-01\n")) == "date"
    unclear = table_of("date,x\n01/02/2020,1\n")
    assert zoo.date_column(unclear, zoo.DateForm("%d/%m/%Y")) == "date"
    assert zoo.date_column(unclear, features=["date"]) is None
    message = error_of(lambda: zoo.date_column(unclear))
    assert message.startswith("x.csv:2:1: '01/02/2020' may be 2020-02-01 or 2020-01-02")
    assert message.endswith("; where 'date' is a feature, name it as one")
