from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadconnector_async.sources._dates import read_date, to_utc
from leadconnector_async.sources._values import Wrong

BERLIN = ZoneInfo("Europe/Berlin")
HALF_PAST_NINE = datetime(2024, 1, 31, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31T09:30:00Z",
        "2024-01-31t09:30:00z",
        "2024-01-31 09:30:00Z",
        "2024-01-31T09:30Z",
        "2024-01-31T10:30:00+01:00",
        "2024-01-31T10:30:00+0100",
        "2024-01-31T10:30+01",
        "2024-01-31T04:30:00.000-05:00",
        "20240131T093000Z",
        "2024-W05-3T09:30:00Z",
        " 2024-01-31T09:30:00Z ",
    ],
)
def test_iso_8601_with_an_offset_comes_out_in_utc(text: str) -> None:
    """Every spelling that RFC 3339 or Python knows names the same moment."""
    date = read_date(text, None)
    assert date == HALF_PAST_NINE
    assert date.tzinfo is UTC


@pytest.mark.parametrize("text", ["2024-01-31T10:30:00", "2024-01-31 10:30", "20240131T1030"])
def test_a_local_time_takes_the_zone_that_was_given(text: str) -> None:
    """--timezone applies to dates without an offset, and to no others."""
    assert read_date(text, BERLIN) == HALF_PAST_NINE
    assert read_date("2024-01-31T10:30:00+01:00", ZoneInfo("Asia/Tokyo")) == HALF_PAST_NINE


def test_a_date_alone_is_its_midnight() -> None:
    """A date without time is midnight of the zone."""
    assert read_date("2024-01-31", BERLIN) == datetime(2024, 1, 30, 23, tzinfo=UTC)


def test_local_times_that_occur_twice_or_never_have_one_reading() -> None:
    """The first of two; a skipped one as if the clocks had not gone forward."""
    assert read_date("2024-10-27T02:30:00", BERLIN) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    assert read_date("2024-03-31T02:30:00", BERLIN) == datetime(2024, 3, 31, 1, 30, tzinfo=UTC)


def test_digits_beyond_the_microsecond_are_rounded() -> None:
    """Seven digits, as .NET writes them, are read as they are inside a whole JSON record."""
    assert read_date("2024-01-31T09:29:59.9999999Z", None) == HALF_PAST_NINE


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("2024-01-31T09:30:00", "no offset"),
        ("2024-01-31", "no offset"),
        ("1706693400", "epoch"),
        ("1704012312345", "epoch"),
        ("1706693400.25", "epoch"),
        ("-1706693400", "epoch"),
        ("0", "epoch"),
        (1706693400, "is a number"),
        (None, "is null"),
        ("2024-02-30T00:00:00Z", 'no ISO 8601 date ("2024-02-30T00:00:00Z")'),
        ("2024-01-31T24:30:00Z", "no ISO 8601 date"),
        ("31.01.2024", 'is text of 10 characters that is no ISO 8601 date ("31.01.2024")'),
        ("0001-01-01T00:00:00+14:00", "outside the calendar"),
        ("9999-12-31T23:00:00-14:00", "outside the calendar"),
    ],
)
def test_everything_else_is_refused_with_its_shape(value: object, wrong: str) -> None:
    """A guess at a date would put messages into the wrong place of a history."""
    with pytest.raises(Wrong) as caught:
        read_date(value, None)
    assert wrong in caught.value.wrong


def test_only_what_looks_like_a_date_is_quoted() -> None:
    """Where columns are shifted, the cell of the date holds the text of a message."""
    with pytest.raises(Wrong) as caught:
        read_date("see you at 9", None)
    assert caught.value.wrong == "is text of 12 characters that is no ISO 8601 date"


@settings(deadline=None)  # other work on the machine must not fail it
@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_no_moment_is_moved(local: datetime, minutes: int) -> None:
    """Whatever the offset, reading and writing come to the same moment, to the microsecond."""
    date = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert read_date(date.isoformat(), None) == date
    assert to_utc(date, None) == date
