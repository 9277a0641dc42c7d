"""The zone of a table's dates, as the name of a column, or a cell of the row, gives it."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from leadconnector_async.sources.date_forms import HOURS_OF_TABLES, offset_zone
from leadconnector_async.sources.date_patterns import ZoneName
from leadconnector_async.sources.fields import WrongValueError, quoted, shown

_ZONE: Final = re.compile(
    r"[(\[]?(?<![a-z])(?:(?:utc|gmt)\s*[+-]\s*\d{1,2}(?::?\d\d)?|[a-z]+(?:/[a-z_-]+)+(?:[+-]\d+)?)[)\]]?",
    re.IGNORECASE,
)

_UTC: Final = re.compile(
    r"[(\[]?(?:(?<![a-z])(?:utc|gmt)(?![a-z])|(?:utc|gmt)$)(?!\s*[+-]?\s*\d)[)\]]?", re.IGNORECASE
)

_REMARK: Final = re.compile(
    r"[(\[]([^()\[\]]*(?:\([^()]*\))?)[)\]]\s*$|[\s_/-]([a-z]{2,8})$", re.IGNORECASE
)

_PLAIN: Final = re.compile(
    r"(?=.*[:/.-])[dmyhsatj:/. -]{4,}|(?:12|24).?h\w*|(?:.*\W)?(?:local|ortszeit|time ?zone|time)",
    re.IGNORECASE,
)
"""What in parentheses says how dates are written, or that they are local ones."""

_CITIES: Final = {
    name: city
    for row in (
        "America/New_York EST EDT ET EASTERN|America/Chicago CST CDT CT CENTRAL",
        "America/Denver MST MDT MT MOUNTAIN|America/Los_Angeles PST PDT PT PACIFIC",
        "America/Anchorage AKST AKDT|America/Halifax AST ADT|America/St_Johns NST NDT",
        "Europe/London BST|Europe/Berlin CET CEST MEZ MESZ MET|Europe/Athens EET EEST",
        "Europe/Lisbon WET WEST|Asia/Kolkata IST|Australia/Adelaide ACST ACDT",
        "Australia/Sydney AEST AEDT|Pacific/Auckland NZST NZDT",
    )
    for city, *names in (item.split() for item in row.split("|"))
    for name in names
}
"""Names of zones that do not tell an offset by themselves, and the most likely zone. Above a column
nobody knows whether such a name stands for half of the year or for all of it."""

_US_ZONE: Final = re.compile(
    r"(?:\((?:gmt|utc)[^)]*\) ?)?(?:us[ /])?(eastern|central|mountain|pacific)"
    r"(?P<time> time)?(?: \(us & canada\))?",
    re.IGNORECASE,
)

_OFFSET: Final = re.compile(
    r"(?:utc|gmt)? ?([+-]) ?(\d\d?(?!\d)|\d\d(?=\d\d$))(?::?([0-5]\d)|\.(00?|50?))?", re.IGNORECASE
)


def zone_named(column: str) -> tzinfo | ZoneName | None:
    """Find the zone that a column says its dates are in: ``Date (UTC)``, ``Time (GMT-7)``."""
    return _of_column(column)[0]


def without_zone(column: str) -> str:
    """Give the name of a column without the zone that it names."""
    return _of_column(column)[1]


@lru_cache(maxsize=1024)
def _of_column(column: str) -> tuple[tzinfo | ZoneName | None, str]:
    column = column.replace("\N{MINUS SIGN}", "-")
    if _UTC.search(column):
        return UTC, _UTC.sub("", column)
    found = _ZONE.search(column)
    if found is not None and (zone := zone_in(found[0])) is not None:
        return zone, _ZONE.sub("", column)
    remark = _REMARK.search(column)
    if remark is None or len(column) > 100:  # noqa: PLR2004 - no name of a column
        return None, column
    name, bare = remark[1] or remark[2], column[: remark.start()]
    key = _key(name)
    if key in _CITIES:
        return ZoneName(name, column), bare
    fixed = zone_in(name) if _OFFSET.fullmatch(name) else None
    if key in HOURS_OF_TABLES:
        fixed = timezone(timedelta(hours=HOURS_OF_TABLES[key]))
    if fixed is not None:
        return fixed, bare
    return None, bare if remark[1] and _PLAIN.fullmatch(name) else column


def _key(name: str) -> str:
    of_us = _US_ZONE.fullmatch(name)
    return (of_us[1] if of_us else name).upper()


@lru_cache(maxsize=1024)
def zone_in(text: str) -> tzinfo | None:
    """Read what names one zone for all of the year: ``America/Denver``, ``-07:00``, ``GMT-7``."""
    plain = text.strip("()[] ").replace("\N{MINUS SIGN}", "-")
    if plain.upper() in ("UTC", "GMT", "Z", "UT", "0", "ETC/UTC"):
        return UTC
    if (of_us := _US_ZONE.fullmatch(text)) and of_us["time"]:
        return ZoneInfo(_CITIES[of_us[1].upper()])
    if found := _OFFSET.fullmatch(plain):
        minutes = "30" if (found[4] or "").startswith("5") else found[3]
        is_one = int(found[2]) <= 14  # noqa: PLR2004 - hours: none is further from UTC
        return offset_zone(found[1], found[2], minutes) if is_one else None
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
    city, hours = _CITIES.get(key), HOURS_OF_TABLES.get(key)
    fixed = None if hours is None else timezone(timedelta(hours=hours))
    if city is None:
        if fixed is None and given is None:
            wrong = f"has no offset, and its time zone is {quoted(name.text)}, which is none"
            raise WrongValueError(wrong, _FIX_ZONE)
        return fixed
    if given is not None and _agrees(given, key):
        return given
    if in_cell and fixed and _away(date, fixed) == _away(date, ZoneInfo(city)):
        return fixed
    said = (
        f"time zone {quoted(name.text)}" if name.column is None else f"column {shown(name.column)}"
    )
    nor = "" if given is None else ", nor does --timezone have such a zone"
    never = f", or Etc/GMT{-hours:+g} if they do not" if hours and hours % 1 == 0 else ""
    raise WrongValueError(
        f"has no offset, and its {said} does not tell it{nor}",
        f"give --timezone {city} if clocks change there{never}, or rename the column",
    )


_FIX_ZONE: Final = (
    "write one such as America/Denver or -07:00, or give --timezone for such rows, or "
    "--map timezone= if the column is not the zone of the dates"
)


def _agrees(zone: tzinfo, name: str) -> bool:
    """Tell whether a zone has this name in a part of the year, or the offset that it has then."""
    there, hours = ZoneInfo(_CITIES[name]), HOURS_OF_TABLES.get(name)
    for month in (1, 7):
        date = datetime(2024, month, 1, tzinfo=zone)
        away = _away(date, there)
        is_then = hours is None or away == timedelta(hours=hours)
        if date.tzname() == name or (is_then and _away(date, zone) == away):
            return True
    return False


def _away(date: datetime, zone: tzinfo) -> timedelta | None:
    return date.replace(tzinfo=zone).utcoffset()
