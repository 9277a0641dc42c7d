# ruff: noqa: RUF001 - dates are written in all scripts
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.fields import WrongValueError, notice
from leadconnector_async.sources.values.date_patterns import Survey
from leadconnector_async.sources.values.dates import EARLY, FOLD, GAP, LATE, TIMELESS, Dates

BERLIN = ZoneInfo("Europe/Berlin")
HALF_PAST_NINE = datetime(2024, 1, 31, 9, 30, tzinfo=UTC)


def read_date(value: object, zone: ZoneInfo | None) -> datetime | None:
    """Read one date alone."""
    return Dates(zone).read(value)


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
    assert date is not None
    assert (date, date.tzinfo) == (HALF_PAST_NINE, UTC)


@pytest.mark.parametrize("text", ["2024-01-31T10:30:00", "2024-01-31 10:30", "20240131T1030"])
def test_a_local_time_takes_the_zone_that_was_given(text: str) -> None:
    """--timezone applies to dates without an offset, and to no others."""
    assert read_date(text, BERLIN) == HALF_PAST_NINE
    assert read_date("2024-01-31T10:30:00+01:00", ZoneInfo("Asia/Tokyo")) == HALF_PAST_NINE


def test_a_date_alone_is_its_midnight() -> None:
    """A date without time is midnight of the zone."""
    assert read_date("2024-01-31", BERLIN) == datetime(2024, 1, 30, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "text", "utc", "notice"),
    [
        ("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30", FOLD),
        ("Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T01:30", GAP),
        ("Europe/Berlin", "2024-03-31T01:59:59", "2024-03-31T00:59:59", None),
        ("Europe/Berlin", "2024-03-31T03:00:00", "2024-03-31T01:00", None),
        ("America/New_York", "2024-11-03T01:30:00", "2024-11-03T05:30", FOLD),
        ("America/New_York", "2024-11-03T02:00:00", "2024-11-03T07:00", None),
        ("America/Havana", "2024-03-10T00:30:00", "2024-03-10T05:30", GAP),
        ("Australia/Lord_Howe", "2024-04-07T01:45:00", "2024-04-06T14:45", FOLD),
        ("America/New_York", "2024-07-29 3:06 PM EST", "2024-07-29T20:06", notice("winter")),
        ("America/New_York", "2024-01-29 3:06 PM EST", "2024-01-29T20:06", None),
        ("America/New_York", "2024-07-29 3:06 PM CST", "2024-07-29T21:06", None),
        ("America/New_York", "2024-07-29 3:06 PM EDT", "2024-07-29T19:06", None),
        ("America/Phoenix", "2024-07-29 3:06 PM MST", "2024-07-29T22:06", None),
        ("Asia/Tokyo", "9999-12-31 6:59 PM EST", "9999-12-31T23:59", LATE),
        ("Asia/Shanghai", "2024-01-29 3:06 PM CST", "2024-01-29T07:06", None),
        ("Asia/Manila", "2024-01-29 3:06 PM PST", "2024-01-29T07:06", None),
        ("Asia/Manila", "2024-01-29 3:06 PM CST", "2024-01-29T21:06", None),
        ("America/Sao_Paulo", "2024-03-03 3:06 PM CST", "2024-03-03T21:06", None),  # is called -03
    ],
)
def test_local_times_that_occur_twice_or_never_are_told(
    zone: str, text: str, utc: str, notice: str | None
) -> None:
    """The first of two; a skipped one as if the clocks had not gone forward; EST in summer."""
    dates = Dates(ZoneInfo(zone))
    assert dates.read(text) == datetime.fromisoformat(utc + "+00:00")
    assert dates.notices == ([] if notice is None else [notice])


def test_dates_that_no_history_has_are_told() -> None:
    """Before 1990, in the future, and midnight where no time is given."""
    dates = Dates(UTC)
    for text, told in (
        ("1989-12-31T23:59:59Z", EARLY),
        ("1990-01-01T00:00:00Z", None),
        ("2999-01-01T00:00:00Z", LATE),
        ("2024-01-31", TIMELESS),
        ((datetime.now(UTC) + timedelta(hours=23)).isoformat(), None),
        ((datetime.now(UTC) + timedelta(hours=25)).isoformat(), LATE),
    ):
        dates.notices = []
        dates.read(text)
        assert dates.notices == ([] if told is None else [told]), text


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        (1706693400, "2024-01-31T09:30"),
        ("1706693400", "2024-01-31T09:30"),
        (1706693400.25, "2024-01-31T09:30:00.250"),
        ("1706693400250", "2024-01-31T09:30:00.250"),
        ("45322.395833", "2024-01-31T08:30"),
        (45322, "2024-01-30T23:00"),
        ("20240131103000", "2024-01-31T09:30"),
        ("20240131", "2024-01-30T23:00"),
        ("Wed, 31 Jan 2024 04:30:00 EST", "2024-01-31T09:30"),
        ("Wed Jan 31 2024 04:30:00 GMT-0500 (Eastern Standard Time)", "2024-01-31T09:30"),
        ("Jan 31, 2024, 10:30:00\u202fAM", "2024-01-31T09:30"),
        ("31. January 2024 10:30", "2024-01-31T09:30"),
        ("31-Jan-24 10:30", "2024-01-31T09:30"),
        ("2024/01/31 10:30:00", "2024-01-31T09:30"),
        ("2024-01-31 9:30:00 UTC", "2024-01-31T09:30"),
        ("2024-01-31 04:30:00 -0500", "2024-01-31T09:30"),
        ("\u200e2024-01-31 09:30:00Z\u200f", "2024-01-31T09:30"),
        ("Wed Jan 31 10:30:00 2024", "2024-01-31T09:30"),
        ("1706693400250000", "2024-01-31T09:30:00.250"),
        ("2024-01-31 04:30:00 (UTC-05:00)", "2024-01-31T09:30"),
        ("2024-01-31 4:30:00 AM (EST)", "2024-01-31T09:30"),
        ("2024-01-31 04:30 America/New_York", "2024-01-31T09:30"),
        ("Jan 31, 2024 10:30:00 AM (Read by you after 5 seconds)", "2024-01-31T09:30"),
        ("Mittwoch, 31. Jänner 2024 um 10:30 Uhr", "2024-01-31T09:30"),
        ("mer. 31 janv. 2024 à 10h30", "2024-01-31T09:30"),
        ("1er juil. 2024 à 10:30", "2024-07-01T08:30"),
        ("1 juin 2024 10:30", "2024-06-01T08:30"),
        ("miércoles, 31 de enero de 2024, 10:30 a. m.", "2024-01-31T09:30"),
        ("mercoledì 31 gennaio 2024 alle ore 9:30:00 UTC", "2024-01-31T09:30"),
        ("31 de jan. de 2024 às 10:30", "2024-01-31T09:30"),
        ("wo 31 januari 2024 om 10:30", "2024-01-31T09:30"),
        ("śr., 31 sty 2024 r., 10:30", "2024-01-31T09:30"),
        ("piątek, 3 maja 2024 o 10:30", "2024-05-03T08:30"),
        ("3 lipca 2024 10:30", "2024-07-03T08:30"),
        ("lördag 3 augusti 2024 kl. 10:30", "2024-08-03T08:30"),
        ("31 Ocak 2024 Çarşamba 10:30", "2024-01-31T09:30"),
        ("3 Kasım 2024 10:30", "2024-11-03T09:30"),
        ("ср, 31 янв. 2024 г., 10:30", "2024-01-31T09:30"),
        ("пятница, 3 мая 2024 г. в 10:30", "2024-05-03T08:30"),
        ("2024-01-31 04:30:00 -0500 EST", "2024-01-31T09:30"),
        ('="2024-01-31 10:30"', "2024-01-31T09:30"),
        ("Jan 31, 2024 10:30a", "2024-01-31T09:30"),
        ("/Date(1706693400250+0100)/", "2024-01-31T09:30:00.250"),
    ],
)
def test_forms_that_mean_one_moment_are_read(value: object, utc: str) -> None:
    """Unix time, days of Excel, and text; without an offset in the zone that was given."""
    assert read_date(value, BERLIN) == datetime.fromisoformat(utc + "+00:00")


@pytest.mark.parametrize("value", ["", " ", "0", 0, 0.0, "null", "N/A", "0000-00-00 00:00:00"])
def test_what_programs_write_for_nothing_is_no_date(value: object) -> None:
    """Zero is not 1970: no message is of that second."""
    assert read_date(value, None) is None


def test_a_form_that_is_given_goes_first() -> None:
    """As a pattern, by name, or for the order of day and month alone."""
    assert Dates(UTC, "%d.%m.%y %H.%M").read("31.01.24 09.30") == HALF_PAST_NINE
    assert Dates(UTC, "epoch").read("730976706") == datetime(1993, 3, 1, 9, 5, 6, tzinfo=UTC)
    assert Dates(UTC, "%d/%m/%Y").read("3/4/2024 9:05 PM") == datetime(
        2024, 4, 3, 21, 5, tzinfo=UTC
    )
    assert Dates(UTC, "%d/%m/%Y").read("2024-01-31T09:30:00Z") == HALF_PAST_NINE
    with pytest.raises(WrongValueError, match="no date in the order of --date-format"):
        Dates(UTC, "%d/%m/%Y").read("03/29/2024")
    for form in ("%Q", "soon", "%"):
        with pytest.raises(SourceError, match="is no form of dates"):
            Dates(UTC, form)


def test_digits_beyond_the_microsecond_are_rounded() -> None:
    """Seven digits, as .NET writes them, are read as they are inside a whole JSON record."""
    assert read_date("2024-01-31T09:29:59.9999999Z", None) == HALF_PAST_NINE


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("2024-01-31T09:30:00", "no offset"),
        ("2024-01-31", "no offset"),
        ("730976706", "can be Unix time or a Mac's"),
        ("170401231234", "is a number that is no time since 1990"),
        ("-1706693400", "is a number that is no time since 1990"),
        (1706693400000000000, "is a number that is no time since 1990"),
        (True, "is true or false"),
        (None, "is null"),
        ("03/29/2024", "order that only the whole file can tell"),
        ("Thu 03/01/2024", "no date of a known form"),
        ("2024-01-31 10:30 IST", "no date of a known form"),
        ("2024-01-31 10:30 (IST)", "no date of a known form"),
        ("2024-01-31 10:30 (Pacific Time)", "no date of a known form"),
        # In Polish and in Croatian they are different months.
        ("3 listopada 2024 10:30", "no date of a known form"),
        ("3 lip 2024 10:30", "no date of a known form"),
        ("Today 9:05 AM", "no date of a known form"),
        ("2024-02-30T00:00:00Z", 'no date of a known form ("2024-02-30T00:00:00Z")'),
        ("2024-01-31T24:30:00Z", "no date of a known form"),
        ("32.01.2024", 'is text of 10 characters that is no date of a known form ("32.01.2024")'),
        ("0001-01-01T00:00:00+14:00", "outside the calendar"),
        ("9999-12-31T23:00:00-14:00", "outside the calendar"),
    ],
)
def test_everything_else_is_refused_with_its_shape(value: object, wrong: str) -> None:
    """A guess at a date would put messages into the wrong place of a history."""
    with pytest.raises(WrongValueError) as caught:
        read_date(value, None)
    assert wrong in caught.value.wrong


def test_only_what_looks_like_a_date_is_quoted() -> None:
    """Where columns are shifted, the cell of the date holds the text of a message."""
    with pytest.raises(WrongValueError) as caught:
        read_date("see you at 9", None)
    assert caught.value.wrong == "is text of 12 characters that is no date of a known form"


@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_no_moment_is_moved(local: datetime, minutes: int) -> None:
    """Whatever the offset, reading and writing come to the same moment, to the microsecond."""
    date = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert read_date(date.isoformat(), None) == date
    assert Dates(None).utc(date) == date


def test_no_dates_leave_every_order() -> None:
    """As of a file that another program has changed since its dates were counted."""
    assert Survey().orders == {"dmy", "mdy", "ymd"}
