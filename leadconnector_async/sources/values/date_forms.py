"""The forms of dates, as people and programs write them, in tables and in the heads of mails.

Of tables: every way in which a text can be read. Of mails: those of RFC 5322 with its obsolete
forms, what programs make of it, and ISO 8601.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from leadconnector_async.sources.fields import WrongValueError, compiled, expression, table_of

Order = Literal["any", "dmy", "mdy", "ymd"]
"""Which of day, month and year comes first; ``any`` where the text itself tells."""

ORDERED: Final[dict[Order, str]] = {"dmy": "day", "mdy": "month", "ymd": "year"}
"""The orders that a text can leave open, and what comes first in each."""


@cache
def words_of(table: str) -> dict[str, str]:
    """Say what the words of a table of ``date_words.toml`` stand for."""
    rows = table_of("date_words")[table].items()
    return {word: meant for meant, words in rows for word in words.split()}


def hours_of(zone: str, *, of_tables: bool = True) -> float | None:
    """Give the hours that a zone is ahead of UTC, by a name that stands for them alone."""
    found = words_of("hours").get(zone) or (of_tables and words_of("hours_of_tables").get(zone))
    return float(found) if found else None


_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CENTURY_TURN: Final = 69
"""Years of two digits from here on are of the 1900s, as POSIX has it for ``%y``."""

RARE_YEAR: Final = 2012
"""Few messages are of a year up to it: none is taken for the first number of ``05/03/24``."""

_BUDDHIST: Final = range(2500, 2700)
"""Years that are none of the common calendar in messages."""

_COMMENT: Final = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")


@cache
def _forms(name: str) -> list[re.Pattern[str]]:
    """The forms, compiled for the first date that is read: many a command reads none."""
    return [compiled(form) for form in table_of("expressions")[name]]


class DateReading(NamedTuple):
    """One way to read a text: in which order of day and month, and what it is then."""

    order: Order
    date: datetime
    is_buddhist: bool = False
    """Its year was one of Thailand's calendar, 543 ahead."""


def readings(text: str) -> list[DateReading]:
    """Give every way in which a text is a date; none for one that is no date.

    A date without an offset from UTC has no zone; one that names a zone which may be several, or a
    weekday that is another day's, is none.
    """
    bare, zone = without_comment(" ".join(text.strip("='\"").split()))
    found = list(_read(bare))
    if zone is not None and found and found[0].date.tzinfo is None:
        return list(_read(f"{bare} {zone}"))
    return found


def without_comment(text: str) -> tuple[str, str | None]:
    """Take away a comment in parentheses behind a date, and give it if it names a zone."""
    comment = _COMMENT.search(text)
    if comment is None:
        return text, None
    is_zone = expression("zone_in_comment").fullmatch(comment[1])
    return text[: comment.start()], comment[1] if is_zone else None


def _read(plain: str) -> Iterator[DateReading]:
    for form in _forms("date_forms"):
        if (match := form.fullmatch(plain)) is not None:
            yield from _readings(match.groupdict())
            return


def _readings(parts: dict[str, str | None]) -> Iterator[DateReading]:
    for order, given, month, day in _days(parts):
        is_buddhist = given in _BUDDHIST
        year = given - 543 * is_buddhist
        with suppress(ValueError, KeyError):  # no such day, time or zone
            date = datetime(year, month, day, *_time(parts), tzinfo=_zone(parts))
            weekday = parts.get("weekday")
            if weekday is None or date.weekday() == _WEEKDAYS.index(weekday.lower()):
                yield DateReading(order, date, is_buddhist)


def _days(parts: dict[str, str | None]) -> Iterator[tuple[Order, int, int, int]]:
    if parts.get("y"):
        yield "any", _number(parts, "y"), _number(parts, "m"), _number(parts, "d")
    elif parts.get("year"):
        if month := _month(parts["month"] or ""):
            yield "any", _year(parts["year"] or ""), month, _number(parts, "day")
    else:
        first, second, third = _number(parts, "a"), _number(parts, "b"), parts["c"] or ""
        last, newest = _year(third), datetime.now(UTC).year + 1
        can_be_last = parts["sep"] == "-" or last <= newest
        can_be_first = RARE_YEAR < _year(parts["a"] or "") <= newest
        if can_be_last or len(third) > len("yy"):
            yield "dmy", last, second, first
            yield "mdy", last, first, second
        if len(third) == len("yy") and (parts["sep"] == "-" or not can_be_last or can_be_first):
            yield "ymd", _year(parts["a"] or ""), second, int(third)


def _number(parts: dict[str, str | None], name: str) -> int:
    return int(parts.get(name) or 0)


def _year(text: str, turn: int = _CENTURY_TURN) -> int:
    """Complete a year of two or three digits (RFC 5322, 4.3, which has a turn of its own)."""
    year = int(text)
    if len(text) > len("yyy"):
        return year
    return year + (2000 if len(text) == len("yy") and year < turn else 1900)


def _time(parts: dict[str, str | None]) -> tuple[int, int, int, int]:
    """Read the time; ``ValueError`` where a half of the day has no such hour."""
    half = parts.get("half") or parts.get("half_alone") or parts.get("half_before")
    hour = _hour(_number(parts, "hour"), half)
    microsecond = int((parts.get("part") or "0").ljust(6, "0")[:6])
    return hour, _number(parts, "minute"), _number(parts, "second"), microsecond


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    if not 0 <= hour <= 12:  # noqa: PLR2004 - the hours of a clock's face
        raise ValueError(hour)
    return hour % 12 + (12 if half.lower() == "p" else 0)


def _zone(parts: dict[str, str | None]) -> tzinfo | None:
    """Find the zone; ``KeyError`` for a name of none, or of several."""
    name, offset = parts.get("zone"), parts.get("offset")
    if not name and not offset:
        return None
    if name and "/" in name:
        return ZoneInfo(name)
    hours = hours_of(name.upper()) if name else 0.0
    if hours is None or (hours and offset):
        raise KeyError(name)
    if offset is None:
        return timezone(timedelta(hours=hours))
    digits = offset[1:].replace(":", "").rjust(2, "0")
    return offset_zone(offset[0], digits[:2], digits[2:])


def offset_zone(sign: str, hours: str, minutes: str | None) -> timezone:
    """Give the zone that is ahead of UTC, or behind it, for all of the year."""
    away = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-away if sign == "-" else away)


FIX_DATE: Final = (
    'write one, such as "2024-01-31T09:30:00Z", as its date in the list of failed ones'
)

_MAIL_COMMENT: Final = re.compile(r"\(([^()]*)\)")

_LAST_YEAR: Final = re.compile(r"(?:^|\s)(\d{4})(?=\s|$)")

_NAME: Final = re.compile(r"[A-Za-z]{1,5}(?![A-Za-z])")

_FURTHEST: Final = 15
"""Hours. No zone is further from UTC; a larger figure is no offset."""

_ZERO: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - in any zone


def read_mail_date(text: str, zone: tzinfo | None = None) -> datetime:
    """Read a date; naive where it has no offset.

    ``-0000`` is UTC, of a sender whose zone is not known (RFC 5322, 3.3). ``zone`` is the user's: a
    name of several meanings is taken for the one that it has there. The day of Unix time's zero is
    no mail's.

    Raises:
        WrongValueError: it is no date, or its zone cannot be told. ``given`` is not set, or empty
            where the text is not to be given back: lists of failed records take that day.
    """
    bare = _MAIL_COMMENT.sub(" ", text)
    found = next(filter(None, (form.match(bare) for form in _forms("mail_date_forms"))), None)
    if found is None:
        raise _unreadable()
    rest, year = found["rest"], found["year"]
    if year is None and (last := _LAST_YEAR.search(rest)):
        year, rest = last[1], f"{rest[: last.start()]} {rest[last.end() :]}"
    comment = _MAIL_COMMENT.search(text)
    try:
        date = datetime(  # noqa: DTZ001 - its zone is read below
            _year(year or "", 50),
            _month(found["month"]),
            int(found["day"]),
            _hour(int(found["hour"]), found["half"]),
            int(found["minute"]),
            min(int(found["second"] or 0), 59),  # a leap second
        )
        if abs(date - _ZERO) <= timedelta(days=1):
            raise WrongValueError("is of 1970-01-01, which stands for none", FIX_DATE, "")
        return _placed(date, rest.strip() or (comment[1].strip() if comment else ""), zone)
    except (ValueError, OverflowError) as error:
        raise (error if isinstance(error, WrongValueError) else _unreadable()) from None


def _unreadable() -> WrongValueError:
    return WrongValueError("is no date that can be read", FIX_DATE)


def _month(text: str) -> int:
    name, months = text.lower(), words_of("months")
    return int(name) if name.isdigit() else int(months.get(name[:4]) or months.get(name[:3], "0"))


def _placed(date: datetime, text: str, zone: tzinfo | None) -> datetime:
    """Give a date the offset that a text names."""
    if offset := expression("mail_offset").match(text):
        if int(offset[2]) > _FURTHEST or int(offset[3] or 0) > 59:  # noqa: PLR2004 - of an hour
            raise ValueError(text)
        return date.replace(tzinfo=offset_zone(*offset.groups()))
    if not text:
        return date
    name = _NAME.match(text)
    if name is None:
        raise ValueError(text)
    hours_off = hours_of(name[0].upper(), of_tables=False)
    if hours_off is not None:
        return date.replace(tzinfo=timezone(timedelta(hours=hours_off)))
    for fold in (0, 1):
        local = date.replace(tzinfo=zone, fold=fold)
        if zone is not None and local.tzname() == name[0].upper():
            return local
    wrong = f"is in the zone {name[0]}, a name that does not tell its offset from UTC"
    fix = "give --timezone, such as --timezone Europe/London, if it is of that zone; or else"
    raise WrongValueError(wrong, f"{fix} {FIX_DATE}")
