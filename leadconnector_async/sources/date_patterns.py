"""The form that dates of a file have in common.

The order of day and month, which one date alone need not tell and all dates of a file mostly do;
the form that an owner, or a mapping, names; and a date whose zone, or time, stands beside it.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.date_forms import ORDERED, DateReading, Order, without_comment
from leadconnector_async.sources.fields import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Sequence


_DIRECTIVE: Final = re.compile(r"%-?([dmyY])")


class Survey:
    """What all dates of a file say of the order in which they have day and month."""

    def __init__(self) -> None:
        self.orders: set[Order] = set(ORDERED)
        self.either: list[DateReading] = []
        """The first date that can be two."""
        self.sample: str = ""
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

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)

SECOND: Final = timedelta(seconds=1)

MILLISECOND: Final = timedelta(milliseconds=1)

FORMATS: Final = ("iso", "epoch", "epoch-ms", "excel")
"""Forms of dates that have a name and no pattern."""

_SERIAL_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time, as the sheet has it

NUMBERS: Final = frozenset(FORMATS[1:])

_UNITS: Final = {"epoch": SECOND, "epoch-ms": MILLISECOND}


class ZoneName(NamedTuple):
    """A zone as a table names it: in the name of a ``column``, or in a cell of the row."""

    text: str
    column: str | None = None


class LocalText(str):
    """A date as text, in a zone of its own where it names no offset."""

    __slots__ = ("zone",)
    zone: tzinfo | ZoneName

    @classmethod
    def of(cls, text: str, zone: tzinfo | ZoneName) -> LocalText:
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

    ``(Eastern Daylight Time)`` of JavaScript and ``(UTC)`` of RFC 5322 stand behind an offset. A
    Unix time of before 1990 is one of another unit, or of another epoch.

    Raises:
        ValueError: it is the zero of its form, and so no date.
    """
    date = _by_form(text, form)
    if date is None and text.endswith(")"):
        bare, zone = without_comment(text)
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
    return _SERIAL_ZERO + round(days * 86_400) * SECOND


_BESIDE: Final = re.compile(
    r"(?<=\d)[ T]0?0:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?$|^(?:1899-12-3[01]|1900-01-0[01])[ T]"
)
"""What a sheet writes behind a day, and before a time of day."""

_PART_OF_DAY: Final = re.compile(r"0?\.\d+|0", re.ASCII)

_MINUTES: Final = re.compile(r"0?\.[0-5]\d")


def joined_date(texts: Sequence[str]) -> str | None:
    """Join a day and its time, which may be a part of a day; None where one has both already.

    None too for ``0.42``, unless days are counted: it may be 42 minutes past midnight.
    """
    *days, time = (_BESIDE.sub("", text) for text in texts)
    if sum(":" in text for text in (*days, time)) > 1:
        return None
    if _PART_OF_DAY.fullmatch(time):
        if days[0].isdecimal():
            return days[0] + time.lstrip("0")
        if _MINUTES.fullmatch(time):
            return None
        time = str(timedelta(seconds=round(float(time) * 86_400)))
    return " ".join((*days, time))
