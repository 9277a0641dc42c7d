"""The form that dates of a file have in common.

The order of day and month, which one date alone need not tell and all dates of a file mostly do;
the form that an owner, or a mapping, names; and a date whose zone, or time, stands beside it: the
zone as the name of a column, or a cell of the row, gives it.
"""

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache, cached_property, lru_cache
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo, available_timezones

from leadconnector_async.sources import fields
from leadconnector_async.sources.fields import WrongValueError, expression, quoted, shown
from leadconnector_async.sources.values import date_forms


class Survey:
    """What all dates of a file say of the order in which they have day and month."""

    def __init__(self) -> None:
        self._orders: set[date_forms.Order] = set(date_forms.ORDERED)
        self._days: dict[date_forms.Order, set[int]] = {}
        self.either: list[date_forms.DateReading] = []
        """The first date that can be two."""
        self.sample: str = ""
        self.apart: dict[tuple[date_forms.Order, ...], str] = {}
        """A date for each choice of orders that dates leave."""

    def add(self, text: str, found: Sequence[date_forms.DateReading]) -> None:
        """Note one date."""
        orders = tuple(sorted(reading.order for reading in found))
        self._orders.intersection_update(orders)
        for reading in found:
            self._days.setdefault(reading.order, set()).add(reading.date.day)
        self.apart.setdefault(orders, text)
        if not self.either and len({reading.date for reading in found}) > 1:
            self.either, self.sample = list(found), text

    @cached_property  # asked once every date is noted
    def orders(self) -> set[date_forms.Order]:
        """Those that read every date.

        Of two numbers that can be the year, days vary the more. Where neither does, the last is the
        year unless few messages are so old. Years in front of hyphens are usual.
        """
        first, last = (self._days.get(order, ()) for order in ("dmy", "ymd"))
        sample = next(iter(self.apart.values()), "")
        if not {"dmy", "ymd"} <= self._orders or re.match(r"\D*\d+-", sample):
            return self._orders
        is_last = len(last) <= len(first) and max(last, default=0) > date_forms.RARE_YEAR % 100
        return self._orders - {"ymd"} if is_last else self._orders

    def wrong(self) -> WrongValueError:
        """Say why no order can be taken."""
        if self.orders:
            dates = " or ".join(map(_spelled, self.either))
            wrong = f'can be {dates}, and no date of the file tells which ("{self.sample}")'
            orders = [reading.order for reading in self.either]
        else:
            several = " and ".join(f'"{text}"' for text in list(self.apart.values())[:3])
            wrong = f"has no one order of day and month in this file, which holds {several}"
            orders = sorted({order for choice in self.apart for order in choice})
        sample = self.sample or next(iter(self.apart.values()))
        return WrongValueError(wrong, f"give --date-format {patterns(orders, sample)}")


def _spelled(reading: date_forms.DateReading) -> str:
    date = reading.date
    return f"{date:%B} {date.day}" if reading.order == "mdy" else f"{date.day} {date:%B %Y}"


def patterns(orders: Sequence[date_forms.Order], sample: str) -> str:
    """Write the patterns that would decide, with the separator that a sample has."""
    separator = next((char for char in sample if char in "/.-"), "/")
    letters = {"d": "%d", "m": "%m", "y": "%Y" if re.search(r"\d{4}", sample) else "%y"}
    return " or ".join(separator.join(letters[one] for one in order) for order in orders)


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)

FORMATS: Final = ("iso", "epoch", "epoch-ms", "excel")
"""Forms of dates that have a name and no pattern."""

_SERIAL_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time, as the sheet has it

NUMBERS: Final = frozenset(FORMATS[1:])

_UNITS: Final = {"epoch": timedelta(seconds=1), "epoch-ms": timedelta(milliseconds=1)}


class ZoneName(NamedTuple):
    """A zone as a table names it: in the name of a ``column``, or in a cell of the row."""

    text: str
    column: str | None = None


class LocalText(str):
    """A date as text, in a zone of its own where it names no offset."""

    __slots__ = ("zone",)
    zone: tzinfo | ZoneName

    @classmethod
    def of(cls, text: str, zone: tzinfo | ZoneName) -> Self:
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
        zone = None if isinstance(self.zone, ZoneName) else self.zone
        return date.replace(tzinfo=date.tzinfo or zone).isoformat()


def by_format(text: str, form: str) -> datetime | None:
    """Read a date in one form, with a comment behind it or not. None where it has another form.

    ``(Eastern Daylight Time)`` of JavaScript and ``(UTC)`` of RFC 5322 stand behind an offset. A
    Unix time of before 1990 is one of another unit, or of another epoch.

    Raises:
        ValueError: it is the zero of its form, and so no date.
    """
    date = _by_form(text, form)
    if date is None and text.endswith((")", "]")):
        bare, zone = date_forms.without_comment(text)
        date = _by_form(bare, form)
        if date is not None and date.tzinfo is None and zone is not None:
            return None
    if form in NUMBERS and date in (EPOCH, _SERIAL_ZERO):
        raise ValueError(text)
    return None if form in _UNITS and date is not None and date < EARLIEST else date


def _by_form(text: str, form: str) -> datetime | None:
    try:
        if form == "iso":
            is_number = text.isdecimal() and len(text) != len("20240131")
            return None if is_number else datetime.fromisoformat(text)
        if form in NUMBERS:
            number = float(text)
            return of_serial(number) if form == "excel" else EPOCH + number * _UNITS[form]
        if "%Z" in form and time.strptime(text, form).tm_zone not in ("UTC", "GMT"):
            return None  # it would be read as the machine's own zone, or as none
        date = datetime.strptime(text, form)  # noqa: DTZ007 - who calls knows the zone
        return date.replace(tzinfo=UTC) if "%Z" in form else date
    except (ValueError, OverflowError):
        return None


def of_serial(days: float) -> datetime:
    """Read Excel's count of days, to the second: it has no exact form of a time."""
    return _SERIAL_ZERO + timedelta(seconds=round(days * 86_400))


_PART_OF_DAY: Final = re.compile(r"0?\.\d+|0", re.ASCII)

_MINUTES: Final = re.compile(r"0?\.[0-5]\d")


def joined_date(texts: Sequence[str]) -> str | None:
    """Join a day and its time, which may be a part of a day; None where one has both already.

    None too for ``0.42``, unless days are counted: it may be 42 minutes past midnight.
    """
    *days, time = (expression("beside_day_or_time").sub("", text) for text in texts)
    if any(":" in text for text in days) and (":" in time or time.isdecimal()):
        return None
    if _PART_OF_DAY.fullmatch(time):
        if days[0].isdecimal():
            return days[0] + time.lstrip("0")
        if _MINUTES.fullmatch(time):
            return None
        time = str(timedelta(seconds=round(float(time) * 86_400)))
    return " ".join((*days, time))


def zone_named(column: str) -> tzinfo | ZoneName | None:
    """Find the zone that a column says its dates are in: ``Date (UTC)``, ``Time (GMT-7)``."""
    return zone_and_rest(column)[0]


@lru_cache(maxsize=1024)
def zone_and_rest(column: str) -> tuple[tzinfo | ZoneName | None, str]:
    """Find the zone in the name of a column, and give the name without it."""
    column = column.replace("\N{MINUS SIGN}", "-")
    if expression("utc_in_column").search(column):
        return UTC, expression("utc_in_column").sub("", column)
    found = expression("zone_in_column").search(column)
    if found is not None and (zone := zone_in(found[0])) is not None:
        return zone, expression("zone_in_column").sub("", column)
    remark = expression("remark_in_column").search(column)
    if remark is None or len(column) > 100:  # noqa: PLR2004 - no name of a column
        return None, column
    name, bare = remark[1] or remark[2] or "", column[: remark.start()]
    key = _key(name)
    if key in date_forms.words_of("cities"):
        return ZoneName(name, column), bare
    fixed = zone_in(name) if expression("offset_in_cell").fullmatch(name) else None
    if (hours := date_forms.hours_of(key)) is not None:
        fixed = timezone(timedelta(hours=hours))
    if fixed is not None:
        return fixed, bare
    return None, bare if remark[1] and expression("plain_remark").fullmatch(name) else column


def _key(name: str) -> str:
    # Of Windows, the first one is that of summers too.
    if in_full := expression("us_zone_in_full").fullmatch(name):
        return f"{in_full[1][0]}{in_full[2][0]}T".upper()
    of_us = expression("us_zone").fullmatch(name)
    return (of_us[1] if of_us else name).upper()


@lru_cache(maxsize=1024)
def zone_in(text: str) -> tzinfo | None:
    """Read what names one zone for all of the year: ``America/Denver``, ``-07:00``, ``GMT-7``."""
    plain = text.strip("()[] ").replace("\N{MINUS SIGN}", "-")
    if plain.upper() in ("UTC", "GMT", "Z", "UT", "0", "ETC/UTC"):
        return UTC
    if (of_us := expression("us_zone").fullmatch(text)) and of_us["time"]:
        return ZoneInfo(date_forms.words_of("cities")[of_us[1].upper()])
    if found := expression("offset_in_cell").fullmatch(plain):
        minutes = "30" if (found[4] or "").startswith("5") else found[3]
        is_one = int(found[2]) <= 14  # noqa: PLR2004 - hours: none is further from UTC
        return date_forms.offset_zone(found[1], found[2], minutes) if is_one else None
    city = plain.replace(" ", "_")
    with suppress(KeyError, ValueError, OSError):  # Date/Time is no city
        return ZoneInfo(city) if "/" in city else None
    known = _cities().get(city.casefold())
    return None if known is None else ZoneInfo(known)


@cache
def _cities() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def zone_at(name: ZoneName, date: datetime, given: tzinfo | None) -> tzinfo | None:
    """Tell which zone a name stands for at a local time, beside the ``given`` one of a user.

    None for a cell that names no zone where one is given.

    Raises:
        WrongValueError: nobody can tell.
    """
    in_cell = name.column is None
    if in_cell and (zone := zone_in(name.text)) is not None:
        return zone
    key = _key(name.text)
    city, hours = date_forms.words_of("cities").get(key), date_forms.hours_of(key)
    fixed = None if hours is None else timezone(timedelta(hours=hours))
    if city is None:
        if fixed is None and given is None:
            raise fields.wrong_value("no_zone", named=quoted(name.text))
        return fixed
    if given is not None and _agrees(given, key):
        return given
    if in_cell and fixed and _away(date, fixed) == _away(date, ZoneInfo(city)):
        return fixed
    said = f"time zone {quoted(name.text)}" if in_cell else f"column {shown(name.column or '')}"
    nor = "" if given is None else ", nor does --timezone have such a zone"
    never = f", or Etc/GMT{-hours:+g} if they do not" if hours and hours % 1 == 0 else ""
    raise fields.wrong_value("unclear_zone", said=said, nor=nor, city=city, never=never)


def _agrees(zone: tzinfo, name: str) -> bool:
    """Tell whether a zone has this name in a part of the year, or the offset that it has then."""
    there, hours = ZoneInfo(date_forms.words_of("cities")[name]), date_forms.hours_of(name)
    for month in (1, 7):
        date = datetime(2024, month, 1, tzinfo=zone)
        away = _away(date, there)
        is_then = hours is None or away == timedelta(hours=hours)
        if date.tzname() == name or (is_then and _away(date, zone) == away):
            return True
    return False


def _away(date: datetime, zone: tzinfo) -> timedelta | None:
    return date.replace(tzinfo=zone).utcoffset()
