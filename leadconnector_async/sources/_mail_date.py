"""Dates of mails: RFC 5322 with its obsolete forms, what programs make of it, and ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from leadconnector_async.sources._values import Wrong

if TYPE_CHECKING:
    from datetime import tzinfo

FIX: Final = 'write one, such as "2024-01-31T09:30:00Z", as its date in the list of failed ones'
_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_WEEKDAY: Final = r"\s*(?:[^\W\d]{2,12}\b\.?\s*,?\s*)?"
_TIME: Final = (
    r"(?P<hour>\d\d?)[:.](?P<minute>\d\d?)(?:[:.](?P<second>\d\d?)(?:[.,]\d+)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\b\.?)?\s*(?P<rest>.*)"
)
_MONTH: Final = r"(?P<month>[a-z]{3,9})\.?"
_FORMS: Final = tuple(
    re.compile(day + _TIME, re.IGNORECASE)
    for day in (
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[\s-]*{_MONTH}[\s-]*(?P<year>\d{{2,4}}),?\s+",
        # asctime: the year can be last
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})(?:,?\s+(?P<year>\d{{4}}))?,?\s+",
        r"\s*(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:T|\s+)",
    )
)
_COMMENT: Final = re.compile(r"\(([^()]*)\)")
_LAST_YEAR: Final = re.compile(r"(?:^|\s)(\d{4})(?=\s|$)")
_OFFSET: Final = re.compile(r"(?:GMT|UTC?|Z)?\s*([+-])(\d{1,2})(?::?(\d\d))?(?!\d)", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z]{1,5}(?![A-Za-z])")
_FURTHEST: Final = 15
"""Hours. No zone is further from UTC; a larger figure is no offset."""

_HOURS: Final[dict[str, float]] = {
    name: float(hours)
    for row in (
        # RFC 5322, 4.3, which gives those of America their meaning
        "0 UT UTC GMT Z|-5 EST|-4 EDT|-6 CST|-5 CDT|-7 MST|-6 MDT|-8 PST|-7 PDT",
        # names that are used for one offset alone
        "0 WET|1 WEST CET MEZ MET|2 CEST MESZ MEST EET SAST|3 EEST|8 HKT SGT AWST|9 JST KST",
        "-9 AKST|-8 AKDT|-10 HST|9.5 ACST|10 AEST|10.5 ACDT|11 AEDT|12 NZST|13 NZDT",
    )
    for hours, *names in (item.split() for item in row.split("|"))
    for name in names
}
"""Zones by name. Not here are those of several meanings: BST is of Britain and of Bangladesh, IST
of India, Ireland and Israel, AST of Canada and of Arabia, MSK was moved, and single letters mean
nothing (RFC 5322, 4.3)."""


def read_mail_date(text: str, zone: tzinfo | None = None) -> datetime:
    """Read a date; naive where it has no offset.

    ``-0000`` is UTC, of a sender whose zone is not known (RFC 5322, 3.3). ``zone`` is the user's: a
    name of several meanings is taken for the one that it has there.

    Raises:
        Wrong: it is no date, or its zone cannot be told. ``given`` is not set.
    """
    bare = _COMMENT.sub(" ", text)
    found = next((match for form in _FORMS if (match := form.match(bare))), None)
    if found is None:
        raise _unreadable()
    rest, year = found["rest"], found["year"]
    if year is None and (last := _LAST_YEAR.search(rest)):
        year, rest = last[1], f"{rest[: last.start()]} {rest[last.end() :]}"
    comment = _COMMENT.search(text)
    try:
        date = datetime(  # noqa: DTZ001 - its zone is read below
            _full_year(year or ""),
            _month(found["month"]),
            int(found["day"]),
            _hour(int(found["hour"]), found["half"]),
            int(found["minute"]),
            min(int(found["second"] or 0), 59),  # a leap second
        )
        return _placed(date, rest.strip() or (comment[1].strip() if comment else ""), zone)
    except (ValueError, OverflowError) as error:
        raise (error if isinstance(error, Wrong) else _unreadable()) from None


def _unreadable() -> Wrong:
    return Wrong("is no date that can be read", FIX)


def _full_year(text: str) -> int:
    """Complete a year of two or three digits (RFC 5322, 4.3)."""
    year = int(text)
    if len(text) > 3:  # noqa: PLR2004 - four digits are all of them
        return year
    return year + (2000 if len(text) == 2 and year < 50 else 1900)  # noqa: PLR2004 - as the RFC


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text[:3].lower()) + 1


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    if not 1 <= hour <= 12:  # noqa: PLR2004 - of half a day
        raise ValueError(hour)
    return hour % 12 + (12 if half.lower() == "p" else 0)


def _placed(date: datetime, text: str, zone: tzinfo | None) -> datetime:
    """Give a date the offset that a text names."""
    if offset := _OFFSET.match(text):
        hours, minutes = int(offset[2]), int(offset[3] or 0)
        if hours > _FURTHEST or minutes > 59:  # noqa: PLR2004 - of an hour
            raise ValueError(text)
        away = timedelta(hours=hours, minutes=minutes)
        return date.replace(tzinfo=timezone(-away if offset[1] == "-" else away) if away else UTC)
    if not text:
        return date
    name = _NAME.match(text)
    if name is None:
        raise ValueError(text)
    hours_off = _HOURS.get(name[0].upper())
    if hours_off is not None:
        return date.replace(tzinfo=timezone(timedelta(hours=hours_off)) if hours_off else UTC)
    for fold in (0, 1):
        local = date.replace(tzinfo=zone, fold=fold)
        if zone is not None and local.tzname() == name[0].upper():
            return local
    raise Wrong(
        f"is in the zone {name[0]}, a name that does not tell its offset from UTC",
        f"give --timezone, such as --timezone Europe/London, if it is of that zone; or else {FIX}",
    )
