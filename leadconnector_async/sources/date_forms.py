"""The forms of dates, as people and programs write them.

Every way in which a text can be read; the order of day and month, which one date alone need not
tell and all dates of a file mostly do; and the form that an owner names.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.values import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

Order = Literal["any", "dmy", "mdy", "ymd"]
"""Which of day, month and year comes first; ``any`` where the text itself tells."""

ORDERED: Final[dict[Order, str]] = {"dmy": "day", "mdy": "month", "ymd": "year"}
"""The orders that a text can leave open, and what comes first in each."""

_NAMED_HOURS: Final = {
    # RFC 5322 (4.3) gives those of North America; the others have one meaning each.
    name: hours
    for hours, names in (
        *((0.0, "UT UTC GMT Z WET"), (-4.0, "EDT"), (-5.0, "EST CDT"), (-6.0, "CST MDT")),
        *((-7.0, "MST PDT"), (-8.0, "PST AKDT"), (-9.0, "AKST"), (-10.0, "HST"), (-2.5, "NDT")),
        *((1.0, "WEST CET"), (2.0, "CEST EET"), (3.0, "EEST MSK"), (8.0, "AWST"), (9.0, "JST")),
        *((9.5, "ACST"), (10.0, "AEST"), (11.0, "AEDT"), (12.0, "NZST"), (13.0, "NZDT")),
    )
    for name in names.split()
}

_FULL_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)

_MONTHS: Final = {
    **{name: number for number, name in enumerate(_FULL_MONTHS, 1)},
    **{name[:3]: number for number, name in enumerate(_FULL_MONTHS, 1)},
    "sept": 9,
}

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CENTURY_TURN: Final = 69
"""Years of two digits from here on are of the 1900s, as POSIX has it for ``%y``."""

_WEEKDAY: Final = r"(?:(?P<weekday>mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?(?:day)?\.?,?\ +)?"

_MONTH: Final = r"(?P<month>[a-z]{3,9})\.?"

_DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"

_DATES: Final = (
    r"(?P<y>\d{4})(?P<sep>[-/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})",
    r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{4}|\d{2})",
    rf"{_MONTH}\ +{_DAY},?\ +(?P<year>\d{{4}})",
    rf"{_DAY}\.?[-\ /]{_MONTH}[-\ /,]\ *(?P<year>\d{{4}}|\d{{2}})",
)

_TIME: Final = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?:\ *(?P<half>[ap])\.?\ ?m\.?)?|\ *(?P<half_alone>[ap])\.?\ ?m\.?)"
)

_ZONE: Final = r"(?P<zone>[a-z]{1,4})?(?P<offset>[+-]\d{1,2}(?::?\d\d)?)?"

_AFTER: Final = rf"(?:(?:,?\ +(?:at\ +)?|t){_TIME}(?:\ *{_ZONE}))?"

_FORMS: Final = tuple(
    re.compile(pattern, re.VERBOSE | re.IGNORECASE | re.ASCII)
    for pattern in (
        *(f"{_WEEKDAY}{date}{_AFTER}" for date in _DATES),
        *(f"{_TIME},?\\ +{_WEEKDAY}{date}" for date in _DATES),
        # As the C library writes it, and the program date.
        rf"{_WEEKDAY}{_MONTH}\ +{_DAY}\ +{_TIME}(?:\ +{_ZONE})?\ +(?P<year>\d{{4}})",
    )
)

_COMMENT: Final = re.compile(r" ?\([^()]*\)$")


class DateReading(NamedTuple):
    """One way to read a text: in which order of day and month, and what it is then."""

    order: Order
    date: datetime


def readings(text: str) -> list[DateReading]:
    """Give every way in which a text is a date; none for one that is no date.

    A date without an offset from UTC has no zone; one that names a zone which may be several, or a
    weekday that is another day's, is none.
    """
    plain = _COMMENT.sub("", " ".join(text.split()))
    for form in _FORMS:
        if (match := form.fullmatch(plain)) is not None:
            return list(_readings(match.groupdict()))
    return []


def _readings(parts: dict[str, str | None]) -> Iterator[DateReading]:
    for order, year, month, day in _days(parts):
        with suppress(ValueError, KeyError):  # no such day, time or zone
            date = datetime(year, month, day, *_time(parts), tzinfo=_zone(parts))
            weekday = parts.get("weekday")
            if weekday is None or date.weekday() == _WEEKDAYS.index(weekday.lower()):
                yield DateReading(order, date)


def _days(parts: dict[str, str | None]) -> Iterator[tuple[Order, int, int, int]]:
    if parts.get("y"):
        yield "any", _number(parts, "y"), _number(parts, "m"), _number(parts, "d")
    elif parts.get("year"):
        if month := _MONTHS.get((parts["month"] or "").lower()):
            yield "any", _year(parts["year"] or ""), month, _number(parts, "day")
    else:
        first, second, third = _number(parts, "a"), _number(parts, "b"), parts["c"] or ""
        yield "dmy", _year(third), second, first
        yield "mdy", _year(third), first, second
        if len(third) == len("yy") and parts["sep"] == "-":
            yield "ymd", _year(parts["a"] or ""), second, int(third)


def _number(parts: dict[str, str | None], name: str) -> int:
    return int(parts.get(name) or 0)


def _year(text: str) -> int:
    year = int(text)
    if len(text) > len("yy"):
        return year
    return year + (1900 if year >= _CENTURY_TURN else 2000)


def _time(parts: dict[str, str | None]) -> tuple[int, int, int, int]:
    """Read the time; ``ValueError`` where a half of the day has no such hour."""
    hour, half = _number(parts, "hour"), parts.get("half") or parts.get("half_alone")
    if half is not None:
        if not 1 <= hour <= 12:  # noqa: PLR2004 - the hours of a clock's face
            raise ValueError
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    microsecond = int((parts.get("part") or "0").ljust(6, "0")[:6])
    return hour, _number(parts, "minute"), _number(parts, "second"), microsecond


def _zone(parts: dict[str, str | None]) -> timezone | None:
    """Find the zone; ``KeyError`` for a name of none, or of several."""
    name, offset = parts.get("zone"), parts.get("offset")
    if not name and not offset:
        return None
    hours = _NAMED_HOURS[name.upper()] if name else 0.0
    if offset is None:
        return timezone(timedelta(hours=hours)) if hours else UTC
    if hours:
        raise KeyError(name)
    digits = offset[1:].replace(":", "").rjust(2, "0")
    after = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return timezone(-after if offset[0] == "-" else after)


_DIRECTIVE: Final = re.compile(r"%-?([dmyY])")


class Survey:
    """What all dates of a file say of the order in which they have day and month."""

    def __init__(self) -> None:
        self.orders: set[Order] = set(ORDERED)
        self.either: list[DateReading] = []
        """The first date that can be two."""
        self.sample = ""
        self.apart: dict[tuple[Order, ...], str] = {}
        """A date for each choice of orders that dates leave."""

    def add(self, text: str, found: Sequence[DateReading]) -> None:
        """Note one date."""
        orders = tuple(sorted(reading.order for reading in found))
        self.orders.intersection_update(orders)
        self.apart.setdefault(orders, text)
        if not self.either and len({reading.date for reading in found}) > 1:
            self.either, self.sample = list(found), text

    def wrong(self) -> WrongValueError:
        """Say why no order can be taken."""
        if self.orders:
            dates = " or ".join(_spelled(reading) for reading in self.either)
            wrong = f"can be {dates}, and no date of the file tells which" + f' ("{self.sample}")'
            orders = [reading.order for reading in self.either]
        else:
            several = " and ".join(f'"{text}"' for text in list(self.apart.values())[:3])
            wrong = f"has no one order of day and month in this file, which holds {several}"
            orders = list(ORDERED)[:2]
        sample = self.sample or next(iter(self.apart.values()))
        return WrongValueError(wrong, f"give --date-format {patterns(orders, sample)}")


def order_of(form: str) -> Order | None:
    """Tell in which order a pattern has day, month and year, where all are numbers."""
    letters = "".join(_DIRECTIVE.findall(form)).lower()
    return next((order for order in ORDERED if order == letters), None)


def _spelled(reading: DateReading) -> str:
    date = reading.date
    return f"{date:%B} {date.day}" if reading.order == "mdy" else f"{date.day} {date:%B %Y}"


def patterns(orders: Sequence[Order], sample: str) -> str:
    """Write the patterns that would decide, with the separator that a sample has."""
    separator = next((char for char in sample if char in "/.-"), "/")
    year = "%Y" if re.search(r"\d{4}", sample) else "%y"
    letters = {"d": "%d", "m": "%m", "y": year}
    return " or ".join(separator.join(letters[one] for one in order) for order in orders)


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

SECOND: Final = timedelta(seconds=1)

MILLISECOND: Final = timedelta(milliseconds=1)

FORMATS: Final = ("iso", "epoch", "epoch-ms", "excel")
"""Forms of dates that have a name and no pattern."""

_SERIAL_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time, as the sheet has it

_PATTERN_COMMENT: Final = re.compile(r"\s*\([^()]*\)\s*$")
"""Behind a date: ``(Eastern Daylight Time)`` of JavaScript, ``(UTC)`` of RFC 5322."""

_NAMED_ZONE: Final = "%Z"

_UTC_NAMES: Final = frozenset({"UTC", "GMT"})

_NUMBERS: Final = frozenset(FORMATS[1:])

_UNITS: Final = {"epoch": SECOND, "epoch-ms": MILLISECOND}


class LocalText(str):
    """A date as text, in a zone of its own where it names no offset."""

    __slots__ = ("zone",)
    zone: tzinfo

    @classmethod
    def of(cls, text: str, zone: tzinfo) -> LocalText:
        """Join them."""
        local = cls(text)
        local.zone = zone
        return local

    def in_full(self) -> str:
        """Write the offset, where the text alone would lose it."""
        try:
            date = datetime.fromisoformat(self)
        except ValueError:
            return str(self)
        return date.isoformat() if date.tzinfo else date.replace(tzinfo=self.zone).isoformat()


def check_format(form: str) -> None:
    """Refuse a form of dates that none can have.

    Raises:
        SourceError: it is neither a name nor a pattern of `datetime.strptime`.
    """
    try:
        datetime.strptime("", form)  # noqa: DTZ007 - only the pattern counts
    except (ValueError, re.error) as error:
        sound = "does not match" in str(error) and "%" in form
        if not sound and form not in FORMATS:
            raise SourceError(
                f"--date-format {form}: is no form of dates: give a pattern such as "
                f"'%d/%m/%Y %H:%M', or one of {', '.join(FORMATS)}"
            ) from None


def by_format(text: str, form: str) -> datetime | None:
    """Read a date in one form, with a comment behind it or not. None where it has another form.

    Raises:
        ValueError: it is the zero of its form, and so no date.
    """
    date = _by_form(text, form)
    if date is None and text.endswith(")"):
        date = _by_form(_PATTERN_COMMENT.sub("", text), form)
    if form in _NUMBERS and date in (EPOCH, _SERIAL_ZERO):
        raise ValueError(text)
    return date


def _by_form(text: str, form: str) -> datetime | None:
    try:
        if form == "iso":
            return datetime.fromisoformat(text)
        if form in _NUMBERS:
            number = float(text)
            return of_serial(number) if form == "excel" else EPOCH + number * _UNITS[form]
        if _NAMED_ZONE in form and time.strptime(text, form).tm_zone not in _UTC_NAMES:
            return None  # it would be read as the machine's own zone, or as none
        date = datetime.strptime(text, form)  # noqa: DTZ007 - who calls knows the zone
        return date.replace(tzinfo=UTC) if _NAMED_ZONE in form else date
    except (ValueError, OverflowError):
        return None


def of_serial(days: float) -> datetime:
    """Read Excel's count of days, to the second: it has no exact form of a time."""
    return _SERIAL_ZERO + round(days * 86_400) * SECOND
