"""Dates of files: ISO 8601 in, UTC out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.sources._values import Wrong, kind_of

if TYPE_CHECKING:
    from datetime import tzinfo

EXAMPLE: Final = "2024-01-31T09:30:00Z"
_NUMBER: Final = re.compile(r"-?\d{9,}|-?\d+(\.\d*)?$", re.ASCII)
_BASIC_DATE: Final = 8
"""``YYYYMMDD`` is the one ISO form that looks like a number."""
_QUOTABLE: Final = re.compile(r"[0-9TZWtz:+\-./, ]{1,40}")


def to_utc(date: datetime, zone: tzinfo | None) -> datetime:
    """Move a date to UTC; one without offset is read as local time of ``zone``, with ``fold=0``."""
    if date.tzinfo is UTC:
        return date
    if date.tzinfo is None:
        if zone is None:
            raise Wrong(
                "has no offset from UTC",
                f"write the offset, as in {EXAMPLE}, or give --timezone, "
                "such as --timezone America/New_York",
            )
        date = date.replace(tzinfo=zone)
    try:
        return date.astimezone(UTC)
    except OverflowError:
        raise Wrong("is outside the calendar", f"write a date such as {EXAMPLE}") from None


def read_date(value: object, zone: tzinfo | None) -> datetime:
    """Read RFC 3339, or whatever else of ISO 8601 `datetime.fromisoformat` takes.

    RFC 3339 goes first, through msgspec, so that digits beyond the microsecond are rounded as they
    are where msgspec decodes a whole record. Epoch seconds are refused: some of them, such as
    1704012312345, are ISO 8601 dates of other centuries.
    """
    if type(value) is not str:
        raise Wrong(kind_of(value), f"write ISO 8601 as text, as in {EXAMPLE}")
    text = value.strip()
    if len(text) != _BASIC_DATE and _NUMBER.match(text):
        raise Wrong("is a number, perhaps epoch seconds", f"write ISO 8601, as in {EXAMPLE}")
    try:
        date = _parse(text)
    except ValueError:
        quoted = f' ("{text}")' if _QUOTABLE.fullmatch(text) else ""
        raise Wrong(
            f"is text of {len(text)} characters that is no ISO 8601 date{quoted}",
            f"write it as in {EXAMPLE}",
        ) from None
    return to_utc(date, zone)


def _parse(text: str) -> datetime:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return datetime.fromisoformat(text)
